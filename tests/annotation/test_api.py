import json

import pytest
from django.test import Client
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from annotation.api.views.account import MeApi
from annotation.models import ApiToken, Assignment, Membership, Project, Prompt, Ranking
from annotation.services.tokens import token_create, token_revoke
from tests.factories import (
    claim_make,
    demonstration_make,
    demonstration_task_make,
    labeler_make,
    project_make,
    prompt_make,
    ranking_make,
    ranking_task_make,
    user_make,
)

pytestmark = pytest.mark.django_db

P = "/api/v1/projects/project/"


def refusal(response, status, code):
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert set(body) == {"code", "message", "extra"}
    assert body["message"]
    return body["extra"]


# Who gets in


def test_a_token_opens_the_api_and_a_wrong_one_gets_401(alice):
    token, text = token_create(user=alice, name="laptop")
    client = APIClient()
    anonymous = client.get("/api/v1/me/")
    refusal(anonymous, 401, "not_authenticated")
    assert anonymous["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).json() == {
        "id": alice.pk,
        "username": "alice",
        "is_staff": False,
        "projects": [],
    }
    for wrong in ("Bearer", "Bearer x", f"Bearer {text}x", f"bearer {text} y", "Bearer \xff"):
        refusal(
            client.get("/api/v1/me/", headers={"Authorization": wrong}),
            401,
            "authentication_failed",
        )
    refusal(
        client.get("/api/v1/me/", headers={"Authorization": "Basic YTpi"}), 401, "not_authenticated"
    )
    token_revoke(user=alice, token_id=token.pk)
    refusal(
        client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}),
        401,
        "authentication_failed",
    )


def test_a_session_needs_its_csrf_token_to_write(project, alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(P).status_code == 200
    body = {"content_type": "application/json", "data": {"name": "New"}}
    refusal(client.patch(P, **body), 403, "csrf_failed")
    client.cookies["csrftoken"] = "a" * 32
    response = client.patch(P, **body, headers={"X-CSRFToken": "a" * 32})
    assert response.json()["name"] == "New"


READS = ["", "memberships/", "prompts/", "rankings/", "demonstrations/", "thumbs/"]


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("get", "", "labeler"),
        ("post", "assignments/claim/", "labeler"),
        ("get", "memberships/", "reviewer"),
        ("get", "prompts/", "reviewer"),
        ("get", "rankings/", "reviewer"),
        ("get", "demonstrations/", "reviewer"),
        ("get", "thumbs/", "reviewer"),
        ("patch", "", "admin"),
        ("post", "memberships/", "admin"),
        ("post", "prompts/import/", "admin"),
    ],
)
def test_each_address_asks_for_its_role(project, alice, bob, charlie, api, method, path, needed):
    reviewer = user_make()
    Membership.objects.create(project=project, user=reviewer, role="reviewer")
    people = {"labeler": bob, "reviewer": reviewer, "admin": alice}
    order = list(people)
    for role, user in people.items():
        response = getattr(api(user), method)(P + path, {}, format="json")
        if order.index(role) >= order.index(needed):
            assert response.status_code in (200, 204, 400), response.content
        else:
            assert refusal(response, 403, "permission_denied")["needed"] == needed
    refusal(getattr(api(charlie), method)(P + path, {}, format="json"), 404, "not_found")
    refusal(getattr(api(), method)(P + path, {}, format="json"), 401, "not_authenticated")


def test_options_tells_a_stranger_nothing(project, charlie, api):
    refusal(api(charlie).options(P), 405, "method_not_allowed")


def test_requests_are_throttled(alice, api, monkeypatch):
    class Two(UserRateThrottle):
        rate = "2/min"

    monkeypatch.setattr(MeApi, "throttle_classes", [Two])
    codes = [api(alice).get("/api/v1/me/").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    response = api(alice).get("/api/v1/me/")
    assert refusal(response, 429, "throttled")["retry_after_seconds"] > 0
    assert int(response["Retry-After"]) > 0


# Labeling


def test_claim_submit_and_nothing_left(project, bob, api):
    ranking_task_make(project)
    client = api(bob)
    shown = client.post(f"{P}assignments/claim/", {"kind": "ranking"}, format="json").json()
    assert client.get(f"/api/v1/assignments/{shown['id']}/").json() == shown | {
        "lease_expires_at": shown["lease_expires_at"]
    }
    order = [[completion["id"]] for completion in shown["completions"]]
    address = f"/api/v1/assignments/{shown['id']}/submit/"
    submitted = client.post(address, {"order": order, "seconds_spent": 3}, format="json")
    assert submitted.status_code == 201
    ranking = Ranking.objects.get()
    assert submitted.json() == {"kind": "ranking", "id": ranking.pk}
    assert ranking.order == order
    again = client.post(address, {"order": order}, format="json")
    assert refusal(again, 409, "assignment_already_submitted") == {"judgement_id": ranking.pk}
    assert client.post(f"{P}assignments/claim/").status_code == 204


def test_draft_renew_and_skip(project, bob, alice, api):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    address = f"/api/v1/assignments/{assignment.pk}/"
    client = api(bob)
    saved = client.put(f"{address}draft/", {"text": "half"}, format="json")
    assert set(saved.json()) == {"lease_expires_at"}
    assert client.get(address).json()["draft"] == {"text": "half"}
    assert client.post(f"{address}renew/").status_code == 200
    refusal(api(alice).post(f"{address}renew/"), 404, "not_found")
    refusal(client.post(f"{address}skip/", {}, format="json"), 400, "invalid_input")
    assert client.post(f"{address}skip/", {"reason": "?"}, format="json").status_code == 204
    refusal(client.put(f"{address}draft/", {}, format="json"), 409, "assignment_not_active")


def test_an_expired_lease_is_a_conflict(project, bob, api):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    Assignment.objects.update(lease_expires_at=assignment.claimed_at)
    address = f"/api/v1/assignments/{assignment.pk}/submit/"
    refusal(api(bob).post(address, {"text": "Late."}, format="json"), 409, "assignment_expired")
    claimed = api(bob).post(f"{P}assignments/claim/").json()
    assert (claimed["id"], claimed["draft"]) == (assignment.pk, {"text": "Late."})


def test_an_unknown_kind_is_refused(project, bob, api):
    response = api(bob).post(f"{P}assignments/claim/", {"kind": "divination"}, format="json")
    refusal(response, 400, "unknown_kind")


# Projects, prompts, records, tokens


def test_only_staff_make_projects(alice, api):
    body = {"slug": "new", "name": "New", "kinds": ["ranking"]}
    refusal(api(alice).post("/api/v1/projects/", body, format="json"), 403, "permission_denied")
    alice.is_staff = True
    alice.save()
    made = api(alice).post("/api/v1/projects/", body, format="json")
    assert (made.status_code, made.json()["kinds"]) == (201, ["ranking"])
    again = api(alice).post("/api/v1/projects/", body, format="json")
    refusal(again, 409, "slug_taken")
    assert Project.objects.count() == 1


def test_a_patch_changes_what_it_names(project, alice, api):
    response = api(alice).patch(P, {"lease_minutes": 5}, format="json")
    assert (response.json()["lease_minutes"], response.json()["name"]) == (5, "The project")
    extra = refusal(
        api(alice).patch(P, {"completions_per_task": 10}, format="json"), 400, "invalid_input"
    )
    assert list(extra["fields"]) == ["completions_per_task"]


def test_members_are_added_by_name(project, alice, charlie, api):
    body = {"username": "charlie", "role": "labeler"}
    made = api(alice).post(f"{P}memberships/", body, format="json").json()
    assert made["user"] == {"id": charlie.pk, "username": "charlie"}
    listed = api(alice).get(f"{P}memberships/").json()["results"]
    assert [(m["user"]["username"], m["role"]) for m in listed] == [
        ("alice", "admin"),
        ("charlie", "labeler"),
    ]
    nobody = {"username": "nobody", "role": "labeler"}
    refusal(api(alice).post(f"{P}memberships/", nobody, format="json"), 404, "not_found")
    last = {"username": "alice", "role": "labeler"}
    refusal(api(alice).post(f"{P}memberships/", last, format="json"), 409, "last_admin")


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"lines": [{"prompt": "A"}, '{"prompt": "B"}']}, "format": "json"},
        {"data": {"text": '{"prompt": "A"}\n{"prompt": "B"}\n'}, "format": "json"},
        {
            "data": b'{"prompt": "A"}\n{"prompt": "B"}\n',
            "content_type": "application/x-ndjson",
        },
    ],
)
def test_prompts_come_in_three_forms(project, alice, api, body):
    response = api(alice).post(f"{P}prompts/import/", **body)
    assert response.json() == {"created": 2, "duplicates": 0}
    assert Prompt.objects.count() == 2


def test_bad_prompt_lines_are_named(project, alice, api):
    response = api(alice).post(
        f"{P}prompts/import/",
        b'{"prompt": "A"}\n{"prompt": 5}\noops\n',
        content_type="application/x-ndjson",
    )
    extra = refusal(response, 400, "prompt_lines_invalid")
    assert [error["line"] for error in extra["errors"]] == [2, 3]
    assert Prompt.objects.count() == 0


def test_records_are_listed_in_pages(project, alice, bob, api):
    first = ranking_make(project, bob)
    second = ranking_make(project, bob)
    demonstration = demonstration_make(project, bob, "Boil it.")
    page = api(alice).get(f"{P}rankings/?page_size=1").json()
    assert (page["count"], [r["id"] for r in page["results"]]) == (2, [first.pk])
    page = api(alice).get(page["next"]).json()
    assert [r["id"] for r in page["results"]] == [second.pk]
    assert page["results"][0]["ranks"] == [1, 2, 2]
    [record] = api(alice).get(f"{P}demonstrations/").json()["results"]
    assert (record["id"], record["completion"]) == (demonstration.pk, "Boil it.")
    refusal(api(alice).get(f"{P}rankings/?page=99"), 404, "not_found")


def test_a_token_is_shown_once_and_revoked_by_its_owner(alice, charlie, api):
    made = api(alice).post("/api/v1/tokens/", {"name": "laptop"}, format="json").json()
    assert made["token"].startswith(made["prefix"])
    [listed] = api(alice).get("/api/v1/tokens/").json()["results"]
    assert "token" not in listed
    address = f"/api/v1/tokens/{made['id']}/"
    refusal(api(charlie).delete(address), 404, "not_found")
    assert api(alice).delete(address).status_code == 204
    assert ApiToken.objects.get().revoked_at is not None


# Hostile input


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "parse_error"),
        (b"\xff", "parse_error"),
        (b"[" * 200_000, "parse_error"),
        (b'{"a":' * 100_000, "parse_error"),
        (b'{"text": NaN}', "parse_error"),
        (b"9" * 10_000, "parse_error"),
        (b'{"text": "a\\u0000"}', "invalid_input"),
        (b'{"text": "\\ud800"}', "invalid_input"),
        (b'{"text": 1e999}', "invalid_input"),
        (b'{"n": 99999999999999999999999}', "invalid_input"),
        (b'{"' + b"k" * 10 + b'\\u0000": 1}', "invalid_input"),
        (b"[]", "invalid_input"),
        (b"null", "invalid_input"),
        (b'"text"', "invalid_input"),
        (b"", "invalid_input"),
    ],
)
def test_a_hostile_body_is_a_clients_error(project, bob, api, body, code):
    demonstration_task_make(project)
    assignment = claim_make(project, bob)
    address = f"/api/v1/assignments/{assignment.pk}/"
    client = api(bob)
    refusal(client.post(f"{address}submit/", body, content_type="application/json"), 400, code)
    if body:
        response = client.put(f"{address}draft/", body, content_type="application/json")
        assert response.status_code == 400
    claim = client.post(f"{P}assignments/claim/", body, content_type="application/json")
    assert claim.status_code in (200, 400)


def test_a_body_beyond_the_limit_is_refused(project, alice, api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    body = json.dumps({"text": "x" * 1_000}).encode()
    for content_type in ("application/json", "application/x-ndjson"):
        response = api(alice).post(f"{P}prompts/import/", body, content_type=content_type)
        assert refusal(response, 413, "body_too_large") == {"maximum": 1_000}


@pytest.mark.parametrize("pk", ["0", "9" * 19, "9" * 60])
def test_an_id_that_does_not_fit_is_not_found(alice, api, pk):
    refusal(api(alice).get(f"/api/v1/assignments/{pk}/"), 404, "not_found")
    refusal(api(alice).delete(f"/api/v1/tokens/{pk}/"), 404, "not_found")
    refusal(api(alice).post(f"/api/v1/assignments/{pk}/renew/"), 404, "not_found")


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=%00", "page=" + "9" * 60])
def test_an_odd_page_is_not_found(alice, api, query):
    refusal(api(alice).get(f"/api/v1/projects/?{query}"), 404, "not_found")


def test_a_form_is_not_a_supported_body(project, alice, api):
    response = api(alice).patch(P, {"name": "x"}, format="multipart")
    refusal(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["nothing/", "me", "tokens/null,null/", "projects/a b/", "%00"])
def test_a_wrong_address_is_not_found_for_everyone(alice, api, path):
    for client in (api(), api(alice)):
        refusal(client.get(f"/api/v1/{path}"), 404, "not_found")
        refusal(client.post(f"/api/v1/{path}"), 404, "not_found")


# Query counts


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/api/v1/projects/", 2),
        ("/api/v1/me/", 2),
        ("/api/v1/tokens/", 2),
        (f"{P}memberships/", 4),
        (f"{P}prompts/", 4),
        (f"{P}demonstrations/", 4),
        (f"{P}rankings/", 8),
    ],
)
def test_lists_have_a_constant_number_of_queries(
    project, alice, api, path, most, django_assert_max_num_queries
):
    ranking_make(project, labeler_make(project))
    demonstration_make(project, alice)
    for _ in range(2):
        with django_assert_max_num_queries(most):
            assert api(alice).get(path).status_code == 200
        for _ in range(3):
            project_make(admin=alice)
            prompt_make(project)
            token_create(user=alice, name="laptop")
            ranking_make(project, labeler_make(project))
            demonstration_make(project, labeler_make(project))
