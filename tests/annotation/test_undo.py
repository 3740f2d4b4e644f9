"""Taking back the last judgement, while nobody has learned from it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.errors import NotFound
from annotation.models import Assignment, AuditEvent, Ranking, Task
from annotation.selectors.exclusions import LabelerExcluded
from annotation.services.assignments import assignment_claim, judgements_freeze
from annotation.services.exclusions import labeler_exclude
from annotation.services.undo import UndoRefused, assignment_undo
from tests.annotation.acts import submit_in_order
from tests.factories import ranking_task_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def submitted(project, bob):
    ranking_task_make(project)
    assignment = assignment_claim(project=project, annotator=bob)
    submit_in_order(assignment, bob)
    return assignment


def undo(assignment, bob):
    return assignment_undo(assignment_id=assignment.pk, annotator=bob)


def test_what_was_sent_comes_back_as_the_draft(submitted, bob, project):
    order = [[pk] for pk in submitted.shown_order]
    taken = undo(submitted, bob)
    assert (taken.status, taken.draft) == ("active", {"order": order})
    assert not Ranking.objects.exists()
    task = Task.objects.get(pk=submitted.task_id)
    assert (task.status, task.claims) == ("open", 1)
    assert AuditEvent.objects.filter(verb="ranking:undone", actor=bob).count() == 1
    assert assignment_claim(project=project, annotator=bob) == submitted


def test_it_can_be_submitted_again(submitted, bob):
    submit_in_order(undo(submitted, bob), bob)
    assert Ranking.objects.count() == 1
    assert Task.objects.get(pk=submitted.task_id).status == "closed"


def test_repeating_it_changes_nothing(submitted, bob):
    undo(submitted, bob)
    assert undo(submitted, bob).status == "active"
    assert AuditEvent.objects.filter(verb="ranking:undone").count() == 1


def test_the_reserved_next_one_stays_held(project, bob):
    for _ in range(2):
        ranking_task_make(project)
    first = assignment_claim(project=project, annotator=bob)
    reserved = assignment_claim(project=project, annotator=bob, ahead_of=first.pk)
    submit_in_order(first, bob)
    undo(first, bob)
    held = Assignment.objects.filter(annotator=bob, status="active")
    assert set(held) == {first, reserved}


@pytest.mark.parametrize(("minutes_ago", "is_late"), [(4, False), (6, True)])
def test_only_within_the_projects_minutes(minutes_ago, is_late, submitted, bob, project):
    type(project).objects.filter(pk=project.pk).update(undo_minutes=5)
    then = timezone.now() - timedelta(minutes=minutes_ago)
    Assignment.objects.filter(pk=submitted.pk).update(finished_at=then)
    if is_late:
        with pytest.raises(UndoRefused) as caught:
            undo(submitted, bob)
        assert caught.value.extra == {"why": "late"}
        assert Ranking.objects.count() == 1
    else:
        assert undo(submitted, bob).status == "active"


def test_not_once_training_holds_it(submitted, bob, project):
    judgements_freeze(project=project)
    with pytest.raises(UndoRefused) as caught:
        undo(submitted, bob)
    assert caught.value.extra == {"why": "frozen"}


def test_not_by_somebody_whose_work_does_not_count(submitted, alice, bob, project):
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    with pytest.raises(LabelerExcluded):
        assignment_undo(assignment_id=submitted.pk, annotator=bob)
    assert Ranking.objects.count() == 1


def test_nobody_takes_back_the_judgement_of_another(submitted, alice):
    with pytest.raises(NotFound):
        undo(submitted, alice)


def test_undo_by_the_api(submitted, api, bob):
    address = f"/api/v1/assignments/{submitted.pk}/undo/"
    answer = api(bob).post(address)
    assert answer.status_code == 200
    assert answer.json()["draft"] == {"order": [[pk] for pk in submitted.shown_order]}
    Assignment.objects.filter(pk=submitted.pk).update(status="skipped", finished_at=timezone.now())
    refused = api(bob).post(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "undo_refused")
