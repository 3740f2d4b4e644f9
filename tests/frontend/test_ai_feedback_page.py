"""The page of AI feedback: what an admin sees and does there, and nobody else."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from annotation.models import AILabeler, AIRevision, Principle, Project
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    labeler_make,
    principle_make,
    prompt_make,
    ranking_make,
)
from training.models import Run
from training.selectors.ai_feedback import setting_hash
from training.services.doorbell import doorbell_silenced

pytestmark = pytest.mark.django_db

BASE = "/projects/project/ai-feedback/"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _data_dir(settings: Settings, tmp_path: Path) -> None:
    settings.PREFERENDUM_DATA_DIR = tmp_path


@pytest.fixture
def client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def labeler(project: Project) -> AILabeler:
    principle_make(project, "Be kind.", "kind")
    return ai_labeler_make(project, name="the judge")


def post(client: Client, path: str, **data: object) -> str:
    return client.post(BASE + path, data, follow=True).content.decode()


def test_principles_are_added_and_edited(client: Client, project: Project) -> None:
    page = post(client, "principles/add/", name="kind", text="Be kind.")
    assert "Be kind." in page
    principle = Principle.objects.get()
    page = post(client, f"principles/{principle.pk}/", text="Be kinder.", is_active="on")
    assert "version 2" in page
    assert [version.text for version in principle.versions.all()] == ["Be kind.", "Be kinder."]
    post(client, f"principles/{principle.pk}/", text="Be kinder.")
    principle.refresh_from_db()
    assert not principle.is_active
    assert "principle_name_taken" in post(client, "principles/add/", name="kind", text="x")


def test_agreement_stands_beside_that_of_people(
    client: Client, project: Project, labeler: AILabeler, bob: User
) -> None:
    assert "not measured in its present setting" in client.get(BASE).content.decode()
    for number in range(4):
        ranking = ranking_make(project, bob, places=((0,), (1,)))
        better, worse = (item.completion for item in ranking.items.order_by("rank"))
        probability = 0.9 if number else 0.1
        ai_judgement_make(labeler, better, worse, probability, setting_hash(labeler))
    page = client.get(BASE).content.decode()
    # 3 of 4 decisions; four clusters of one: p(1-p)/variance = 0.1875 / 0.0625 = 3 trials, and
    # Wilson's interval of 0.75 in 3 trials is 0.2561 to 0.9632.
    assert '<strong class="number">75%</strong> of decided pairs (26% to 96%)' in page
    assert "4 decisions on 4 prompts" in page
    assert "no pair was decided by two people yet" in page
    assert "Does not count" in page
    assert 'shown first is worth <span class="number">+0.10</span>' in page


def test_a_labeler_that_was_not_measured_cannot_be_switched_on(
    client: Client, labeler: AILabeler
) -> None:
    values = {"min_agreement": 0.7, "weight": 0.3, "is_active": "on"}
    page = post(client, f"labelers/{labeler.pk}/", counts="on", **values)
    assert "ai_agreement_too_low" in page
    labeler.refresh_from_db()
    assert (labeler.counts, labeler.weight) == (False, 0.5)
    post(client, f"labelers/{labeler.pk}/", **values)
    labeler.refresh_from_db()
    assert (labeler.min_agreement, labeler.weight, labeler.is_active) == (0.7, 0.3, True)
    assert "Weight" in post(client, f"labelers/{labeler.pk}/", **values | {"weight": 3})


def test_a_labeler_is_added_and_asked(
    client: Client, project: Project, labeler: AILabeler, bob: User
) -> None:
    ranking_make(project, bob, places=((0,), (1,)))
    fields = {"name": "second", "kind": "endpoint", "server_url": "http://judge:1"}
    assert "second" in post(client, "labelers/add/", **fields)
    second = AILabeler.objects.get(name="second")
    assert second.config == {"server_url": "http://judge:1"}
    assert "config_invalid" in post(client, "labelers/add/", name="third", kind="endpoint")
    with doorbell_silenced():
        page = post(client, f"labelers/{second.pk}/ask/", purpose="measure", num=5)
    run = Run.objects.get()
    assert f"Run {run.pk} is queued." in page
    assert f"/projects/project/runs/{run.pk}/" in page
    assert client.get(f"/projects/project/runs/{run.pk}/").status_code == 200
    assert "nothing_to_judge" in post(client, f"labelers/{second.pk}/ask/", purpose="label", num=5)


def test_what_was_refused_is_still_in_its_form(client: Client, labeler: AILabeler) -> None:
    principle = Principle.objects.get()
    page = post(client, "principles/add/", name="kind", text="A long thought.")
    assert "Nothing was saved." in page
    assert re.search(r'<details class="add" open>[^§]*>\s*A long thought\.</textarea>', page)
    page = post(client, f"principles/{principle.pk}/", text="x" * 2_001)
    assert "x" * 2_001 in page
    assert "at most 2000 characters" in page
    page = post(client, "labelers/add/", name="third", kind="endpoint", server_model="mine")
    assert "config_invalid" in page
    assert 'value="mine"' in page
    page = post(client, f"labelers/{labeler.pk}/", min_agreement=0.7, weight=0.25, counts="on")
    assert "ai_agreement_too_low" in page
    assert 'value="0.25"' in page
    page = post(client, f"labelers/{labeler.pk}/ask/", purpose="label", num=77)
    assert "nothing_to_judge" in page
    assert 'value="77"' in page
    answer = client.get(f"{BASE}labelers/{labeler.pk}/ask/")
    assert (answer.status_code, answer.headers["Location"]) == (302, BASE)


def test_revisions_are_approved_and_refused(client: Client, labeler: AILabeler) -> None:
    prompt = prompt_make(labeler.project)
    first, second = (ai_revision_make(labeler, prompt, f"Text {n}.") for n in range(2))
    page = client.get(BASE).content.decode()
    assert "Text 0." in page
    assert "It is not kind." in page
    post(client, f"revisions/{first.pk}/approve/")
    page = post(client, f"revisions/{second.pk}/refuse/")
    statuses = dict(AIRevision.objects.values_list("pk", "status"))
    assert statuses == {first.pk: "approved", second.pk: "refused"}
    assert "Text 0." not in page
    assert "revision_decided" in post(client, f"revisions/{first.pk}/refuse/")
    assert client.post(f"{BASE}revisions/{first.pk}/frame/").status_code == 404


def test_only_admins_act(labeler: AILabeler, bob: User, charlie: User) -> None:
    revision = ai_revision_make(labeler, prompt_make(labeler.project))
    carol = labeler_make(labeler.project, "carol")
    carol.memberships.update(role="reviewer")
    principle = Principle.objects.order_by("pk")[0]
    paths = [
        "principles/add/",
        f"principles/{principle.pk}/",
        "labelers/add/",
        f"labelers/{labeler.pk}/",
        f"labelers/{labeler.pk}/ask/",
        f"revisions/{revision.pk}/approve/",
    ]
    for user, status in ((bob, 403), (carol, 403), (charlie, 404)):
        client = Client()
        client.force_login(user)
        assert [client.post(BASE + path).status_code for path in paths] == [status] * len(paths)
    revision.refresh_from_db()
    assert revision.status == "waiting"


def test_hostile_texts_stay_texts(client: Client, labeler: AILabeler) -> None:
    ai_revision_make(labeler, prompt_make(labeler.project, HOSTILE), HOSTILE)
    principle_make(labeler.project, HOSTILE, HOSTILE[:90])
    page = client.get(BASE).content.decode()
    assert "<script>alert" not in page
    assert "<img" not in page
