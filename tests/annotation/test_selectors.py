from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Ranking
from annotation.selectors.account import me_get
from annotation.selectors.progress import project_progress
from annotation.selectors.queue import work_list
from annotation.services.assignments import assignment_skip
from annotation.services.projects import project_update
from tests.factories import (
    claim_make,
    demonstration_make,
    demonstration_task_make,
    labeler_make,
    project_make,
    ranking_make,
    ranking_task_make,
    user_make,
)

pytestmark = pytest.mark.django_db


def work(user):
    return {
        (item.project.slug, item.kind): (item.num_open, item.num_done_by_me)
        for item in work_list(user=user)
    }


def test_my_work_counts_what_a_claim_could_return(project, bob, alice, charlie):
    ranking_make(project, bob)
    for _ in range(3):
        ranking_task_make(project)
    demonstration_task_make(project)
    assert work(bob) == {("project", "demonstration"): (1, 0), ("project", "ranking"): (3, 1)}
    held = claim_make(project, bob, "ranking")
    # Bob's own lease stays open to him; to Alice it is taken.
    assert work(bob)["project", "ranking"] == (3, 1)
    assert work(alice)["project", "ranking"] == (2, 0)
    assignment_skip(assignment_id=held.pk, annotator=bob, reason="no")
    assert work(bob)["project", "ranking"] == (2, 1)
    assert work(alice)["project", "ranking"] == (3, 0)
    assert work(charlie) == {}


def test_my_work_names_the_kinds_the_project_collects(project, bob, alice):
    project_update(actor=alice, project=project, kinds=["ranking"])
    [item] = work_list(user=bob)
    assert (item.kind, item.title) == ("ranking", "Rank answers")
    assert item.invitation == "Rank the next one"


def test_a_paused_project_offers_only_what_is_held(project, bob, alice):
    ranking_task_make(project)
    ranking_task_make(project)
    claim_make(project, bob)
    project_update(actor=alice, project=project, is_active=False)
    assert work(bob)["project", "ranking"] == (1, 0)
    assert work(alice)["project", "ranking"] == (0, 0)


def test_my_work_has_a_constant_number_of_queries(bob, project, django_assert_max_num_queries):
    for num in range(3):
        with django_assert_max_num_queries(3):
            assert len(work_list(user=bob)) == 2 + 2 * num
        other = project_make(admin=bob)
        ranking_task_make(other)
        ranking_task_make(project)


def test_progress_counts_what_was_collected(project, bob, alice):
    ranking_make(project, bob)
    old = ranking_make(project, alice)
    Ranking.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=13))
    older = ranking_make(project, alice)
    Ranking.objects.filter(pk=older.pk).update(created_at=timezone.now() - timedelta(days=14))
    demonstration_make(project, bob)
    ranking_task_make(project)
    ranking_make(project_make(), user_make(is_superuser=True))
    progress = project_progress(project)
    days = progress.pop("rankings_per_day")
    assert progress == {
        "prompts": 5,
        "judgements": {"demonstration": 1, "ranking": 3},
        "demonstrations": 1,
        "rankings": 3,
        "open_tasks": {"demonstration": 0, "ranking": 1},
        "annotators": 2,
    }
    assert [day["count"] for day in days] == [1] + [0] * 12 + [1]
    assert days[-1]["date"] == timezone.localdate()


def test_progress_has_a_constant_number_of_queries(project, django_assert_max_num_queries):
    for _ in range(2):
        with django_assert_max_num_queries(6):
            project_progress(project)
        for _ in range(3):
            ranking_make(project, labeler_make(project))


def test_who_i_am_names_my_roles(project, alice, bob, charlie):
    assert me_get(bob)["projects"] == [
        {"slug": "project", "name": "The project", "role": "labeler"}
    ]
    assert me_get(alice)["projects"][0]["role"] == "admin"
    assert me_get(charlie)["projects"] == []
    assert me_get(user_make(is_superuser=True))["projects"][0]["role"] == "admin"
