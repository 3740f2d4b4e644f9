"""What must never be false is refused by the database itself."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from annotation.choices import AssignmentStatus, Origin
from annotation.models import (
    Assignment,
    AuditEvent,
    Completion,
    Membership,
    Project,
    Prompt,
    RankingItem,
    Task,
    TaskCompletion,
)
from annotation.services.audit import audit_record
from tests.factories import claim_make, ranking_make, ranking_task_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(project):
    return ranking_task_make(project)


@pytest.fixture
def ranking(project, bob):
    return ranking_make(project, bob)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda task, user: Task.objects.filter(pk=task.pk).update(claims=2),
        lambda task, user: Task.objects.filter(pk=task.pk).update(claims=-1),
        lambda task, user: Task.objects.filter(pk=task.pk).update(judgements_wanted=0),
        lambda task, user: Task.objects.filter(pk=task.pk).update(status="lost"),
        lambda task, user: Project.objects.update(completions_per_task=10),
        lambda task, user: Project.objects.update(completions_per_task=1),
        lambda task, user: Membership.objects.create(project=task.project, user=user, role="admin"),
        lambda task, user: Membership.objects.update(role="king"),
        lambda task, user: Prompt.objects.create(
            project=task.project, messages=[], content_hash=task.prompt.content_hash
        ),
        lambda task, user: Completion.objects.create(
            prompt=task.prompt, text="x", origin=Origin.PERSON
        ),
        lambda task, user: Completion.objects.create(
            prompt=task.prompt, text="x", origin=Origin.MODEL, author=user
        ),
        lambda task, user: TaskCompletion.objects.create(
            task=task, completion=task.completions.first(), index=9
        ),
        lambda task, user: TaskCompletion.objects.update(index=0),
        lambda task, user: Assignment.objects.create(
            task=task,
            annotator=user,
            status=AssignmentStatus.SUBMITTED,
            lease_expires_at=timezone.now(),
            claimed_at=timezone.now(),
        ),
    ],
)
def test_the_database_refuses_an_impossible_row(task, alice, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        wrong(task, alice)


@pytest.mark.parametrize("values", [{"rank": 0}, {"rank": -1}, {"shown_position": 0}])
def test_the_database_refuses_an_impossible_rank(ranking, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        ranking.items.update(**values)


def test_a_completion_is_ranked_once_in_a_ranking(ranking):
    completion = ranking.items.first().completion
    with pytest.raises(IntegrityError), transaction.atomic():
        RankingItem.objects.create(
            ranking=ranking, completion=completion, rank=1, shown_position=99
        )


def test_an_annotator_has_one_assignment_of_a_task(project, bob, task):
    assignment = claim_make(project, bob)
    assignment.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        assignment.save(force_insert=True)


def test_what_a_judgement_rests_on_cannot_be_deleted(ranking, bob):
    for row in (ranking.assignment, ranking.prompt, ranking.task, bob, ranking.prompt.project):
        with pytest.raises(ProtectedError):
            row.delete()


def test_an_audit_event_cannot_be_changed_or_deleted(project, alice):
    event = audit_record(actor=alice, verb="project:seen", target=project)
    event.verb = "project:forgotten"
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()
    assert AuditEvent.objects.get(pk=event.pk).verb == "project:seen"
