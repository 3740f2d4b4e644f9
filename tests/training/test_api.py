"""The API of the loop: who may see and do what, and what it costs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from annotation.choices import Role
from annotation.models import AuditEvent, Project
from annotation.services.projects import membership_set
from tests.factories import user_make
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.models import LoopSettings, Round, Run, Sample
from training.services.inline import rounds_work
from training.services.rounds import rounds_tick

Api = Callable[[User | None], APIClient]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("silence")]


@pytest.fixture
def rita(project: Project) -> User:
    rita = user_make("rita")
    membership_set(actor=None, project=project, user=rita, role=Role.REVIEWER)
    return rita


@pytest.fixture
def turned(project: Project, bob: User, small: LoopSettings) -> Project:
    """Rounds 0 and 1 are over."""
    demonstrations_make(project, bob, prompts_make(project, 30)[:4])
    for _ in range(2):
        rounds_tick()
        rounds_work(project=project)
        rank_all(project, bob, limit=6)
    return project


def reads(project: Project) -> list[str]:
    base = f"/api/v1/projects/{project.slug}"
    completion = Sample.objects.values_list("completion", flat=True)[0]
    return [
        f"{base}/loop/",
        f"{base}/rounds/",
        f"{base}/runs/",
        f"{base}/checkpoints/",
        f"{base}/completions/{completion}/origin",
        f"/api/v1/rounds/{Round.objects.values_list('pk', flat=True)[0]}/",
        f"/api/v1/runs/{Run.objects.values_list('pk', flat=True)[0]}/",
        f"/api/v1/runs/{Run.objects.values_list('pk', flat=True)[0]}/metrics/",
    ]


def writes(project: Project) -> list[tuple[str, str, dict[str, Any]]]:
    base = f"/api/v1/projects/{project.slug}"
    item, run = Round.objects.all()[0], Run.objects.all()[0]
    return [
        ("patch", f"{base}/loop/", {"rankings_per_round": 9}),
        ("post", f"{base}/rounds/", {}),
        ("post", f"/api/v1/rounds/{item.pk}/cancel/", {}),
        ("post", f"/api/v1/rounds/{item.pk}/retry/", {}),
        ("post", f"/api/v1/runs/{run.pk}/cancel/", {}),
        ("post", f"/api/v1/runs/{run.pk}/retry/", {}),
    ]


def test_reviewers_read_labelers_are_refused_and_strangers_learn_nothing(
    turned: Project, api: Api, rita: User, bob: User, charlie: User
) -> None:
    for address in reads(turned):
        assert api(rita).get(address).status_code == 200, address
        assert api(bob).get(address).status_code == 403, address
        stranger = api(charlie).get(address)
        assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found"), address
        assert api(None).get(address).status_code == 401, address


def test_only_admins_write(turned: Project, api: Api, rita: User, bob: User, charlie: User) -> None:
    for method, address, body in writes(turned):
        for user, status in ((rita, 403), (bob, 403), (charlie, 404), (None, 401)):
            response = getattr(api(user), method)(address, body, format="json")
            assert response.status_code == status, (method, address, user)
    assert Round.objects.count() == 2


def test_a_strangers_refusal_is_that_of_a_number_that_does_not_exist(
    turned: Project, api: Api, charlie: User
) -> None:
    item = Round.objects.all()[0]
    theirs = api(charlie).get(f"/api/v1/rounds/{item.pk}/").json()
    none = api(charlie).get("/api/v1/rounds/987654/").json()
    assert theirs["message"].replace(str(item.pk), "N") == none["message"].replace("987654", "N")
    assert theirs["extra"] == none["extra"] == {}


def test_the_loop_tells_where_it_stands(turned: Project, api: Api, alice: User) -> None:
    body = api(alice).get(f"/api/v1/projects/{turned.slug}/loop/").json()
    assert body["status"]["requirement"] == {
        "what": "rankings",
        "have": 6,
        "need": 6,
        "missing": 0,
    }
    assert body["status"]["can_start"] is True
    assert body["status"]["deployed_name"] == "ppo-1"
    last = body["status"]["last"]
    assert [step["state"] for step in last["steps"]] == ["done"] * len(last["steps"])
    assert last["headline"]["pair_accuracy"] == 0.75


def test_train_now_starts_a_round_once(turned: Project, api: Api, alice: User) -> None:
    address = f"/api/v1/projects/{turned.slug}/rounds/"
    response = api(alice).post(address)
    assert response.status_code == 201
    assert (response.json()["number"], response.json()["started_by"]) == (2, "alice")
    again = api(alice).post(address)
    assert (again.status_code, again.json()["code"]) == (409, "round_already_running")
    assert AuditEvent.objects.filter(verb="round:started", actor=alice).count() == 1
    cancelled = api(alice).post(f"/api/v1/rounds/{response.json()['id']}/cancel/")
    assert cancelled.json()["status"] == "cancelled"
    assert Run.objects.filter(round__number=2).exclude(status="cancelled").count() == 0


def test_too_little_data_says_how_much_is_missing(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    response = api(alice).post(f"/api/v1/projects/{project.slug}/rounds/")
    assert response.status_code == 409
    assert response.json() == {
        "code": "not_enough_demonstrations",
        "message": "Round 0 needs 4 new demonstrations; there are 0, so 4 are missing.",
        "extra": {"have": 0, "need": 4, "missing": 4},
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rankings_per_round": 0}, "invalid_input"),
        ({"held_out_percent": 95}, "invalid_input"),
        ({"policy_method": "magic"}, "method_unknown"),
        ({"policy_method": "sft"}, "method_unknown"),
        ({"strategy": "magic"}, "strategy_unknown"),
        ({"overrides": {"magic": {}}}, "method_unknown"),
        ({"overrides": {"ppo": {"num_steps": "many"}}}, "config_invalid"),
        ({"overrides": {"ppo": {"magic": 1}}}, "config_invalid"),
        ({"overrides": {"ppo": {"num_steps": 0}}}, "config_invalid"),
        ({"sampling": {"temperature": 0}}, "config_invalid"),
        ({"sampling": {"temperatur": 1}}, "config_invalid"),
    ],
)
def test_settings_are_refused_with_a_reason(
    project: Project,
    small: LoopSettings,
    api: Api,
    alice: User,
    fields: dict[str, Any],
    code: str,
) -> None:
    response = api(alice).patch(
        f"/api/v1/projects/{project.slug}/loop/", {"seed": 5, **fields}, format="json"
    )
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert LoopSettings.objects.get().seed == 1


def test_settings_change_only_what_is_given(
    project: Project, small: LoopSettings, api: Api, alice: User
) -> None:
    fields = {"rankings_per_round": 12, "overrides": {"ppo": {"num_steps": 5}}}
    response = api(alice).patch(f"/api/v1/projects/{project.slug}/loop/", fields, format="json")
    assert response.status_code == 200, response.json()
    assert response.json()["settings"]["rankings_per_round"] == 12
    assert response.json()["settings"]["min_demonstrations"] == 4
    assert AuditEvent.objects.filter(verb="loop:updated").count() == 1


def test_lists_cost_the_same_however_long_they_are(
    turned: Project, api: Api, rita: User, bob: User
) -> None:
    addresses = [address for address in reads(turned) if address.count("/") == 6]
    before = {address: _num_queries(api(rita), address) for address in addresses}
    rounds_tick()
    rounds_work(project=turned)
    assert Round.objects.count() == 3
    after = {address: _num_queries(api(rita), address) for address in addresses}
    assert before == after
    assert max(after.values()) <= 32, after


def _num_queries(client: APIClient, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)
