"""The next task, reserved while the person is still at this one."""

import pytest

from annotation.models import Assignment
from annotation.services.assignments import (
    assignment_claim,
    assignment_renew,
    assignment_skip,
)
from annotation.services.leases import AssignmentExpired, assignments_withdraw
from tests.annotation.acts import overdue, submit_in_order
from tests.factories import labeler_make, ranking_task_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def tasks(project):
    return [ranking_task_make(project) for _ in range(3)]


@pytest.fixture
def current(project, bob, tasks):
    return assignment_claim(project=project, annotator=bob)


def ahead(project, bob, current):
    return assignment_claim(project=project, annotator=bob, ahead_of=current.pk)


def test_the_next_one_is_reserved_once(project, bob, tasks, current):
    first = ahead(project, bob, current)
    assert (current.task, first.task) == (tasks[0], tasks[1])
    assert ahead(project, bob, current) == first
    assert Assignment.objects.filter(annotator=bob).count() == 2


def test_after_a_submit_the_reserved_one_comes_next(project, bob, current):
    reserved = ahead(project, bob, current)
    submit_in_order(current, bob)
    assert assignment_claim(project=project, annotator=bob) == reserved


def test_after_a_skip_too(project, bob, current):
    reserved = ahead(project, bob, current)
    assignment_skip(assignment_id=current.pk, annotator=bob, reason="no")
    assert assignment_claim(project=project, annotator=bob) == reserved


def test_ahead_of_what_one_does_not_hold_is_an_ordinary_claim(project, bob, current):
    carol = labeler_make(project, "carol")
    hers = assignment_claim(project=project, annotator=carol)
    assert assignment_claim(project=project, annotator=bob, ahead_of=hers.pk) == current
    assert assignment_claim(project=project, annotator=bob, ahead_of=10**9) == current


def test_a_lapsed_reservation_is_not_the_persons_any_more(project, bob, tasks, current):
    reserved = ahead(project, bob, current)
    overdue(reserved)
    carol = labeler_make(project, "carol")
    for task in (tasks[0], tasks[2]):
        type(task).objects.filter(pk=task.pk).update(status="closed")
    assert assignment_claim(project=project, annotator=carol).task == reserved.task
    with pytest.raises(AssignmentExpired):
        assignment_renew(assignment_id=reserved.pk, annotator=bob)
    assert ahead(project, bob, current) is None


def test_who_leaves_the_project_is_told_that_the_task_was_withdrawn(project, bob, current):
    assignments_withdraw(project=project, annotator=bob)
    with pytest.raises(AssignmentExpired) as caught:
        submit_in_order(current, bob)
    assert caught.value.code == "assignment_withdrawn"
    current.refresh_from_db()
    assert current.draft == {"order": [[pk] for pk in current.shown_order]}


def test_the_next_one_costs_as_many_queries_however_many_wait(
    project, bob, current, api, django_assert_max_num_queries
):
    for _ in range(20):
        ranking_task_make(project)
    client = api(bob)
    with django_assert_max_num_queries(33):
        client.post(
            "/api/v1/projects/project/assignments/claim/",
            {"kind": "ranking", "ahead_of": current.pk},
            format="json",
        )
    order = {"order": [[pk] for pk in current.shown_order]}
    with django_assert_max_num_queries(30):
        client.post(f"/api/v1/assignments/{current.pk}/submit/", order, format="json")
    assert Assignment.objects.get(pk=current.pk).status == "submitted"
