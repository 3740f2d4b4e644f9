"""A person's work is taken out of a project and let back in; nothing is deleted."""

import pytest
from django.db import IntegrityError, transaction

from annotation.choices import AssignmentStatus
from annotation.errors import InvalidInput, NotFound
from annotation.judgements import kind_get
from annotation.models import Assignment, AuditEvent, Demonstration, Exclusion, Ranking
from annotation.selectors.exclusions import LabelerExcluded, exclusion_list, labeler_get
from annotation.selectors.progress import project_progress
from annotation.selectors.queue import work_list
from annotation.services.assignments import assignment_claim, assignment_submit
from annotation.services.exclusions import (
    LabelerNotExcluded,
    labeler_exclude,
    labeler_readmit,
)
from annotation.services.projects import membership_remove
from tests.factories import (
    claim_make,
    demonstration_make,
    labeler_make,
    project_make,
    ranking_make,
    ranking_task_make,
    user_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project):
    return labeler_make(project, "dora")


@pytest.fixture
def judged(project, bob, dora):
    """Bob: two rankings and a demonstration. Dora: one ranking."""
    ranking_make(project, bob)
    ranking_make(project, bob)
    demonstration_make(project, bob)
    ranking_make(project, dora)
    return project


def exported(project, kind: str) -> set[int]:
    return {record["annotator"] for record in kind_get(kind).export(project)}


def counts(project) -> tuple[int, int, int, int]:
    progress = project_progress(project)
    today = progress["rankings_per_day"][-1]["count"]
    return progress["rankings"], progress["demonstrations"], progress["annotators"], today


def test_the_work_of_an_excluded_person_does_not_count_and_is_kept(judged, alice, bob, dora):
    assert exported(judged, "ranking") == {bob.pk, dora.pk}
    assert counts(judged) == (3, 1, 2, 3)
    labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    assert exported(judged, "ranking") == {dora.pk}
    assert exported(judged, "demonstration") == set()
    assert counts(judged) == (1, 0, 1, 1)
    assert Ranking.objects.count() == 3
    assert Demonstration.objects.count() == 1


def test_readmitting_restores_everything(judged, alice, bob, dora):
    labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    exclusion = labeler_readmit(project=judged, user=bob, actor=alice)
    assert exclusion.lifted_by == alice
    assert exported(judged, "ranking") == {bob.pk, dora.pk}
    assert counts(judged) == (3, 1, 2, 3)
    ranking_task_make(judged)
    assert assignment_claim(project=judged, annotator=bob) is not None
    with pytest.raises(LabelerNotExcluded, match="bob is not excluded from project"):
        labeler_readmit(project=judged, user=bob, actor=alice)


def test_an_exclusion_holds_in_its_own_project_only(judged, alice, bob):
    other = project_make(admin=bob, slug="other")
    ranking_make(other, bob)
    labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    assert exported(other, "ranking") == {bob.pk}
    ranking_task_make(other)
    assert assignment_claim(project=other, annotator=bob) is not None


def test_an_excluded_person_gets_no_work_and_what_they_hold_goes_to_others(
    project, alice, bob, dora
):
    task = ranking_task_make(project)
    ranking_task_make(project)
    held = claim_make(project, bob)
    assert [item.num_open for item in work_list(user=bob) if item.kind == "ranking"] == [2]
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    held.refresh_from_db()
    task.refresh_from_db()
    assert (held.status, task.claims) == (AssignmentStatus.WITHDRAWN, 0)
    with pytest.raises(LabelerExcluded, match="Ask an admin of the project to readmit you"):
        assignment_claim(project=project, annotator=bob)
    assert [item.num_open for item in work_list(user=bob) if item.kind == "ranking"] == [0]
    assert claim_make(project, dora).task == task


def test_a_lease_that_slipped_through_is_refused_and_kept_as_a_draft(project, alice, bob):
    ranking_task_make(project)
    held = claim_make(project, bob)
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    # As if the claim had come a moment later than the withdrawal.
    Assignment.objects.filter(pk=held.pk).update(status="active", finished_at=None)
    payload = {"order": [[pk] for pk in held.shown_order]}
    with pytest.raises(LabelerExcluded):
        assignment_submit(assignment_id=held.pk, annotator=bob, payload=payload)
    held.refresh_from_db()
    assert held.draft == payload
    assert Ranking.objects.count() == 0


def test_excluding_twice_is_excluding_once(judged, alice, bob):
    first = labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    second = labeler_exclude(project=judged, user=bob, actor=None, reason="Something else")
    assert second == first
    assert second.reason == "Random clicks"
    assert list(exclusion_list(judged)) == [first]
    events = AuditEvent.objects.filter(verb="labeler:excluded")
    assert [(event.actor, event.data["user"]) for event in events] == [(alice, bob.pk)]
    with pytest.raises(IntegrityError), transaction.atomic():
        Exclusion.objects.create(project=judged, user=bob, reason="Again")


def test_the_history_of_exclusions_is_kept(judged, alice, bob):
    for _ in range(2):
        labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
        labeler_readmit(project=judged, user=bob, actor=alice)
    assert Exclusion.objects.filter(lifted_at__isnull=False).count() == 2
    verbs = AuditEvent.objects.filter(verb__startswith="labeler:").order_by("pk")
    assert [event.verb.partition(":")[2] for event in verbs] == ["excluded", "readmitted"] * 2


@pytest.mark.parametrize("reason", ["", "  \n", "a\x00", "x" * 2001])
def test_a_reason_is_needed(judged, alice, bob, reason):
    with pytest.raises(InvalidInput, match="reason"):
        labeler_exclude(project=judged, user=bob, actor=alice, reason=reason)
    assert Exclusion.objects.count() == 0


def test_who_left_can_be_excluded_and_a_stranger_cannot(judged, alice, bob):
    membership_remove(actor=alice, project=judged, user=bob)
    assert labeler_get(judged, bob.pk) == bob
    labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    assert counts(judged)[0] == 1
    with pytest.raises(NotFound):
        labeler_exclude(project=judged, user=user_make(), actor=alice, reason="Who is this?")


def test_the_claim_api_says_what_to_do(judged, alice, bob, api):
    labeler_exclude(project=judged, user=bob, actor=alice, reason="Random clicks")
    answer = api(bob).post("/api/v1/projects/project/assignments/claim/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "labeler_excluded")
    assert "readmit" in answer.json()["message"]
    assert "Random clicks" not in answer.json()["message"]
