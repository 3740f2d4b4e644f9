"""A labeler's own numbers, and reasons of skips."""

from collections.abc import Callable
from datetime import datetime, time, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from annotation.models import Assignment, Project
from annotation.selectors.statistics import (
    NUM_SKIP_REASONS,
    KindStatistics,
    SkipReason,
    my_statistics,
    skip_reasons,
)
from annotation.services.assignments import assignment_skip
from tests.factories import (
    claim_make,
    demonstration_make,
    demonstration_task_make,
    labeler_make,
    project_make,
    ranking_make,
    ranking_task_make,
)

pytestmark = pytest.mark.django_db


def done(assignment: Assignment, days_ago: int, seconds: float | None = None) -> None:
    day = timezone.localdate() - timedelta(days=days_ago)
    noon = timezone.make_aware(datetime.combine(day, time(12)))
    Assignment.objects.filter(pk=assignment.pk).update(finished_at=noon, seconds_spent=seconds)


def test_numbers_are_by_kind_and_the_persons_own(project: Project, bob: User) -> None:
    # Seven days are today and the six before.
    for days_ago, seconds in ((0, 10.0), (0, 30.0), (6, 20.0), (7, 1000.0), (20, None)):
        done(ranking_make(project, bob).assignment, days_ago, seconds)
    done(demonstration_make(project, bob).assignment, 1)
    ranking_make(project, labeler_make(project))
    found = my_statistics(bob, project)
    assert found.kinds == [
        KindStatistics("demonstration", today=0, week=1, total=1, median_seconds=None),
        # The middle of 10, 20, 30 and 1000 is between 20 and 30.
        KindStatistics("ranking", today=2, week=3, total=5, median_seconds=25.0),
    ]
    assert found.total == 6
    counts = [day.count for day in found.days]
    assert counts == [0] * 6 + [1, 1, 0, 0, 0, 0, 1, 2]
    assert found.days[-1].date == timezone.localdate()


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [([], 0), ([0], 1), ([1], 1), ([2], 0), ([0, 1, 2, 4], 3), ([1, 2], 2), ([0, 0, 2], 1)],
)
def test_days_in_a_row_end_today_or_yesterday(
    project: Project, bob: User, days_ago: list[int], expected: int
) -> None:
    for days in days_ago:
        done(ranking_make(project, bob).assignment, days)
    assert my_statistics(bob, project).days_in_a_row == expected


def test_the_api_tells_members_their_own(
    project: Project, bob: User, charlie: User, api: Callable[[User | None], APIClient]
) -> None:
    ranking_make(project, bob)
    path = "/api/v1/projects/project/my-statistics/"
    answer = api(bob).get(path)
    assert answer.status_code == 200
    ranking = {"kind": "ranking", "today": 1, "week": 1, "total": 1, "median_seconds": None}
    assert ranking in answer.json()["kinds"]
    assert answer.json()["days"][-1]["count"] == 1
    assert api(charlie).get(path).status_code == 404
    assert api(None).get(path).status_code == 401


def test_skips_are_counted_by_reason_and_kind(
    project: Project, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    other = project_make(slug="other")
    skip(other, labeler_make(other), "ranking", "Elsewhere")
    assert skip_reasons(project) == []
    skip(project, bob, "demonstration", "Too hard")
    for kind in ("ranking", "ranking", "demonstration"):
        skip(project, labeler_make(project), kind, "Cut off")
    with django_assert_num_queries(2):
        found = skip_reasons(project)
    assert found == [
        SkipReason("Cut off", 3, {"ranking": 2, "demonstration": 1}),
        SkipReason("Too hard", 1, {"demonstration": 1}),
    ]
    for number in range(NUM_SKIP_REASONS):
        skip(project, labeler_make(project), "ranking", f"Reason {number:02}")
    with django_assert_num_queries(2):
        found = skip_reasons(project)
    # "Too hard" is as frequent as the others and stands after them.
    assert [skipped.reason for skipped in found] == [
        "Cut off",
        *(f"Reason {number:02}" for number in range(NUM_SKIP_REASONS - 1)),
    ]


def skip(project: Project, labeler: User, kind: str, reason: str) -> None:
    if kind == "ranking":
        ranking_task_make(project)
    else:
        demonstration_task_make(project)
    held = claim_make(project, labeler, kind)
    assignment_skip(assignment_id=held.pk, annotator=labeler, reason=reason)
