"""What a person and others said of the same tasks; never before the person has said it for good."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Assignment, Project, Task
from annotation.selectors.agreement import SharedJudgements, judgements_shared
from annotation.services.assignments import assignment_submit, judgements_freeze
from annotation.services.exclusions import labeler_exclude
from annotation.services.projects import project_update
from tests.factories import (
    claim_make,
    completion_ids,
    labeler_make,
    ranking_task_make,
    thumbs_task_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project: Project) -> User:
    return labeler_make(project, "dora")


@pytest.fixture
def twice(project: Project) -> Project:
    """Every task is judged by three people."""
    return project_update(
        actor=None, project=project, judgements_per_task=3, kinds=["ranking", "thumbs"]
    )


def rank(task: Task, user: User, places: list[list[int]]) -> Assignment:
    assignment = claim_make(task.project, user, "ranking")
    assert assignment.task == task
    ids = completion_ids(task)
    order = [[ids[place] for place in group] for group in places]
    assignment_submit(assignment_id=assignment.pk, annotator=user, payload={"order": order})
    return assignment


def thumb(project: Project, user: User, is_up: bool) -> None:
    assignment = claim_make(project, user, "thumbs")
    assignment_submit(assignment_id=assignment.pk, annotator=user, payload={"is_up": is_up})


def test_strict_pairs_ties_and_marks_are_told_apart(twice: Project, bob: User, dora: User) -> None:
    task = ranking_task_make(twice, num_completions=3)
    rank(task, bob, [[0], [1], [2]])
    # 0 before 2 as Bob says; 2 before 1 as he does not; 0 and 1 tied.
    rank(task, dora, [[2], [0, 1]])
    mark = thumbs_task_make(twice)
    Task.objects.filter(pk=mark.pk).update(judgements_wanted=3)
    thumb(twice, bob, True)
    thumb(twice, dora, True)
    judgements_freeze(project=twice)
    shared = judgements_shared(bob, twice)
    # Bob against Dora: (0, 1) Dora ties; (0, 2) and (1, 2) the other way round.
    assert shared == SharedJudgements(
        tasks={task.pk, mark.pk},
        pairs=[(task.prompt_id, 0.0), (task.prompt_id, 0.0)],
        ties=[(task.prompt_id, 0.0)],
        marks=[(mark.prompt_id, 1.0)],
    )
    assert judgements_shared(dora, twice) == shared


def test_the_same_order_agrees_in_every_pair(twice: Project, bob: User, dora: User) -> None:
    task = ranking_task_make(twice, num_completions=3)
    rank(task, bob, [[1], [0, 2]])
    rank(task, dora, [[1], [0, 2]])
    judgements_freeze(project=twice)
    shared = judgements_shared(bob, twice)
    assert shared.pairs == [(task.prompt_id, 1.0)] * 2
    assert shared.ties == [(task.prompt_id, 1.0)]


def test_nothing_is_told_of_a_task_that_may_still_be_taken_back(
    twice: Project, bob: User, dora: User
) -> None:
    task = ranking_task_make(twice, num_completions=2)
    rank(task, dora, [[0], [1]])
    assert judgements_shared(bob, twice) == SharedJudgements()
    assignment = rank(task, bob, [[0], [1]])
    assert judgements_shared(bob, twice) == SharedJudgements()
    late = timezone.now() - timedelta(minutes=twice.undo_minutes, seconds=1)
    Assignment.objects.filter(pk=assignment.pk).update(finished_at=late)
    assert judgements_shared(bob, twice).pairs == [(task.prompt_id, 1.0)]


def test_the_excluded_and_other_projects_do_not_count(
    twice: Project, alice: User, bob: User, dora: User
) -> None:
    task = ranking_task_make(twice, num_completions=2)
    rank(task, bob, [[0], [1]])
    rank(task, dora, [[0], [1]])
    rank(task, alice, [[1], [0]])
    judgements_freeze(project=twice)
    assert sorted(judgements_shared(bob, twice).pairs) == [
        (task.prompt_id, 0.0),
        (task.prompt_id, 1.0),
    ]
    labeler_exclude(project=twice, user=dora, actor=alice, reason="Random clicks")
    assert judgements_shared(bob, twice).pairs == [(task.prompt_id, 0.0)]


def test_it_takes_as_many_queries_however_much_is_shared(
    twice: Project, bob: User, dora: User, django_assert_num_queries
) -> None:
    for _ in range(2):
        task = ranking_task_make(twice, num_completions=2)
        rank(task, bob, [[0], [1]])
        rank(task, dora, [[0], [1]])
        judgements_freeze(project=twice)
        # Rankings, their items, thumbs, evidence.
        with django_assert_num_queries(4):
            judgements_shared(bob, twice)
