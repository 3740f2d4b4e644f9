"""Any sequence of claims, submissions, skips and expiries keeps the queue's count exact."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.errors import Conflict
from annotation.models import Assignment, Ranking, Task
from annotation.services.assignments import (
    assignment_claim,
    assignment_save_draft,
    assignment_skip,
    assignment_submit,
    assignments_expire,
)
from tests.factories import labeler_make, project_make, ranking_task_make

NUM_LABELERS = 3
ACTS = ("claim", "submit", "skip", "draft", "lapse", "sweep")
steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, NUM_LABELERS - 1)), min_size=5, max_size=40
)


@pytest.mark.django_db
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps, wanted=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_claims_always_equal_the_live_assignments(steps, wanted):
    with transaction.atomic():
        project = project_make()
        labelers = [labeler_make(project) for _ in range(NUM_LABELERS)]
        for judgements_wanted in wanted:
            ranking_task_make(project, num_completions=2, judgements_wanted=judgements_wanted)
        for act, index in steps:
            perform(act, project, labelers[index])
            check_invariants(project)
        transaction.set_rollback(True)


def perform(act, project, labeler):
    if act == "claim":
        could = claimable_by(project, labeler)
        assignment = assignment_claim(project=project, annotator=labeler)
        # Nobody starves: whoever could be given something gets something.
        assert (assignment is not None) or not could
    elif act == "sweep":
        assignments_expire()
    elif latest := Assignment.objects.filter(annotator=labeler).order_by("-pk").first():
        with suppress(Conflict):
            act_on(act, latest, labeler)


def act_on(act, assignment, labeler):
    who = {"assignment_id": assignment.pk, "annotator": labeler}
    if act == "submit":
        assignment_submit(**who, payload={"order": [assignment.shown_order]})
    elif act == "skip":
        assignment_skip(**who, reason="no")
    elif act == "draft":
        assignment_save_draft(**who, draft={"order": []})
    elif act == "lapse":
        past = timezone.now() - timedelta(seconds=1)
        Assignment.objects.filter(pk=assignment.pk).update(lease_expires_at=past)


def claimable_by(project, labeler):
    """Independent of the selector: an own lease, or a free slot on a task not settled."""
    for task in Task.objects.filter(project=project):
        own = task.assignments.filter(annotator=labeler).first()
        live = task.assignments.filter(status__in=["active", "submitted"]).count()
        if own is not None and own.status == "active":
            return True
        if live < task.judgements_wanted and (own is None or own.status == "expired"):
            return True
    return False


def check_invariants(project):
    for task in Task.objects.filter(project=project):
        live = task.assignments.filter(status__in=AssignmentStatus.LIVE).count()
        submitted = task.assignments.filter(status=AssignmentStatus.SUBMITTED).count()
        assert task.claims == live <= task.judgements_wanted
        assert (task.status == TaskStatus.CLOSED) == (submitted == task.judgements_wanted)
        assert Ranking.objects.filter(task=task).count() == submitted
