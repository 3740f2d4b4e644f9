"""AI feedback over the API: admins only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from annotation.choices import Role
from annotation.models import AILabeler, AIRevision, Principle, Project
from annotation.services.projects import membership_set
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    principle_make,
    project_make,
    prompt_make,
    ranking_make,
    user_make,
)
from tests.training.test_ai_feedback import pair_of
from training.models import LoopSettings, Run
from training.selectors.ai_feedback import setting_hash

Api = Callable[[User | None], APIClient]

pytestmark = pytest.mark.django_db

ENDPOINT = {"name": "judge", "kind": "endpoint", "config": {"server_url": "http://judge:1"}}


@pytest.fixture
def labeler(project: Project, small: LoopSettings, bob: User) -> AILabeler:
    principle_make(project, "Be kind.", "kind")
    labeler = ai_labeler_make(project)
    ai_revision_make(labeler, prompt_make(project))
    ranking_make(project, bob, places=((0,), (1,)))
    return labeler


def requests(project: Project, labeler: AILabeler) -> list[tuple[str, str, dict[str, Any], int]]:
    base = f"/api/v1/projects/{project.slug}"
    principle = Principle.objects.filter(project=project).order_by("pk")[0]
    revision = AIRevision.objects.get()
    return [
        ("get", f"{base}/principles/", {}, 200),
        ("post", f"{base}/principles/", {"name": "new", "text": "Be brief."}, 201),
        ("patch", f"{base}/principles/{principle.pk}/", {"text": "Be kinder."}, 200),
        ("get", f"{base}/revisions/?status=waiting", {}, 200),
        ("post", f"{base}/revisions/{revision.pk}/approve/", {}, 200),
        ("post", f"{base}/revisions/{revision.pk}/refuse/", {}, 409),
        ("get", f"{base}/ai-labelers/", {}, 200),
        ("post", f"{base}/ai-labelers/", ENDPOINT, 201),
        ("get", f"{base}/ai-labelers/{labeler.pk}/", {}, 200),
        ("patch", f"{base}/ai-labelers/{labeler.pk}/", {"weight": 0.3}, 200),
        ("post", f"{base}/ai-labelers/{labeler.pk}/runs/", {"purpose": "measure"}, 201),
    ]


def ask(client: APIClient, verb: str, address: str, data: dict[str, Any]) -> Any:
    if verb == "get":
        return client.get(address)
    return getattr(client, verb)(address, data, format="json")


def test_only_admins_come_through(
    project: Project, labeler: AILabeler, alice: User, bob: User, charlie: User, api: Api
) -> None:
    rita = user_make("rita")
    membership_set(actor=None, project=project, user=rita, role=Role.REVIEWER)
    for verb, address, data, expected in requests(project, labeler):
        for user, status in ((charlie, 404), (bob, 403), (rita, 403), (None, 401)):
            answer = ask(api(user), verb, address, data)
            assert answer.status_code == status, (verb, address, user)
        answer = ask(api(alice), verb, address, data)
        assert answer.status_code == expected, (verb, address, answer.json())


def test_what_an_admin_of_another_project_names_is_not_found(
    labeler: AILabeler, charlie: User, api: Api
) -> None:
    other = project_make(admin=charlie)
    for verb, address, data, _ in requests(labeler.project, labeler):
        address = address.replace(f"/{labeler.project.slug}/", f"/{other.slug}/")
        if any(part.isdigit() for part in address.split("/")):
            assert ask(api(charlie), verb, address, data).status_code == 404


def test_the_agreement_stands_beside_that_of_people(
    project: Project, labeler: AILabeler, alice: User, bob: User, api: Api
) -> None:
    for number in range(4):
        better, worse = pair_of(ranking_make(project, bob, places=((0,), (1,))))
        ai_judgement_make(labeler, better, worse, 0.9 if number else 0.1, setting_hash(labeler))
    answer = api(alice).get(f"/api/v1/projects/{project.slug}/ai-labelers/").json()
    (record,) = answer["ai_labelers"]
    assert record["agreement"]["share"] == pytest.approx(3 / 4)
    assert (record["counts"], record["counts_now"]) == (False, False)
    assert "4 prompts" in record["refusal"]
    assert answer["people"]["num_decisions"] == 0
    address = f"/api/v1/projects/{project.slug}/ai-labelers/{labeler.pk}/"
    refused = api(alice).patch(address, {"counts": True}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "ai_agreement_too_low")


def test_a_run_is_queued_with_at_most_the_pairs_asked_for(
    project: Project, labeler: AILabeler, alice: User, bob: User, api: Api
) -> None:
    for _ in range(3):
        ranking_make(project, bob, places=((0,), (1,)))
    address = f"/api/v1/projects/{project.slug}/ai-labelers/{labeler.pk}/runs/"
    answer = api(alice).post(address, {"purpose": "measure", "num": 2}, format="json")
    run = Run.objects.get()
    assert answer.json()["id"] == run.pk
    assert (answer.json()["step"], answer.json()["method"]) == ("feedback", "ai_feedback")
    assert len(run.feedback.pairs) == 2
    refused = api(alice).post(address, {"purpose": "guess"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")


def test_an_unknown_status_of_revisions_is_refused(
    project: Project, labeler: AILabeler, alice: User, api: Api
) -> None:
    answer = api(alice).get(f"/api/v1/projects/{project.slug}/revisions/?status=lost")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
