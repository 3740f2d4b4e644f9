"""How the next judgement is found and reserved; the public service is assignments.py."""

import random
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.judgements import kind_get
from annotation.models import Assignment, Project, Task, Turn
from annotation.selectors.assignments import ASSIGNMENT_PARTS
from annotation.selectors.guidelines import guidelines_get
from annotation.selectors.tasks import HAS_FREE_SLOT, tasks_claimable
from annotation.services.audit import audit_record
from annotation.services.consents import kinds_consented, kinds_uncapped
from annotation.services.saving import save_changed, save_new
from annotation.services.slots import slot_free, slot_take

CANDIDATES = 20


@transaction.atomic
def claim_next(
    *,
    project: Project,
    annotator: User,
    kinds: Collection[str],
    asked: str | None = None,
    ahead_of: int | None = None,
) -> Assignment | None:
    """The next one of these kinds, as far as the annotator may have them.

    `asked`: the kind, where they asked for that one. `ahead_of`: an assignment that they hold and
    that is not meant. Raises ConsentNeeded, ExposureCapReached.
    """
    kinds = kinds_consented(project, annotator, kinds, asked=asked)
    if held := _held(project, annotator, kinds, ahead_of):
        return held
    kinds = kinds_uncapped(project, annotator, kinds, asked=asked)
    if not project.is_active:
        return None
    for task_id in _tasks_begun(project, annotator, kinds):
        if taken := _take(task_id, annotator):
            return taken
    claimable = tasks_claimable(project=project, annotator=annotator, kinds=kinds)
    # A failed take means another claimer got the slot, so the next look shows other tasks.
    while task_ids := list(claimable.values_list("pk", flat=True)[:CANDIDATES]):
        for task_id in task_ids:
            if taken := _take(task_id, annotator):
                return taken
    return None


def lease_renew(assignment: Assignment) -> Assignment:
    """Extends a live lease, or takes up a lapsed one whose slot was just taken again."""
    now = timezone.now()
    project = assignment.task.project
    if assignment.status == AssignmentStatus.ACTIVE:
        save_changed(assignment, lease_expires_at=_lease_end(project, now))
        return assignment
    save_changed(
        assignment,
        status=AssignmentStatus.ACTIVE,
        finished_at=None,
        claimed_at=now,
        lease_expires_at=_lease_end(project, now),
        guidelines=guidelines_get(project),
    )
    _audit_claim(assignment)
    return assignment


def _held(
    project: Project, annotator: User, kinds: Collection[str], ahead_of: int | None
) -> Assignment | None:
    """The annotator's own active assignment, its lease renewed."""
    active = (
        _assignments(project, annotator, kinds)
        .filter(status=AssignmentStatus.ACTIVE)
        .exclude(pk=ahead_of)
    )
    lease_end = _lease_end(project, timezone.now())
    for assignment in active[:CANDIDATES]:
        # Conditional, because the sweep may be ending this very lease.
        if active.filter(pk=assignment.pk).update(lease_expires_at=lease_end):
            assignment.lease_expires_at = lease_end
            return assignment
    return None


def _tasks_begun(project: Project, annotator: User, kinds: Collection[str]) -> list[int]:
    """What the annotator lost and has a draft of, or said something in."""
    begun = _assignments(project, annotator, kinds).filter(
        Q(draft__isnull=False) | Exists(Turn.objects.filter(assignment=OuterRef("pk"))),
        status__in=AssignmentStatus.RECLAIMABLE,
        task__in=Task.objects.filter(HAS_FREE_SLOT),
    )
    return list(begun.values_list("task_id", flat=True)[:CANDIDATES])


def _assignments(project: Project, annotator: User, kinds: Collection[str]) -> Any:
    return (
        Assignment.objects.filter(annotator=annotator, task__project=project, task__kind__in=kinds)
        .select_related(*ASSIGNMENT_PARTS)
        .order_by("pk")
    )


def _take(task_id: int, annotator: User) -> Assignment | None:
    if not slot_take(task_id):
        return None
    # The slot's update holds the task's lock, so this look is exact even when the same person
    # claims in two tabs at once.
    earlier = (
        Assignment.objects.filter(task_id=task_id, annotator=annotator)
        .select_related(*ASSIGNMENT_PARTS)
        .first()
    )
    if earlier is None:
        return _assign(task_id, annotator)
    if earlier.status not in AssignmentStatus.RECLAIMABLE:
        slot_free(task_id)
    is_settled = earlier.status in (AssignmentStatus.SUBMITTED, AssignmentStatus.SKIPPED)
    return None if is_settled else lease_renew(earlier)


def _assign(task_id: int, annotator: User) -> Assignment:
    task = Task.objects.select_related("project", "prompt", "brief").get(pk=task_id)
    now = timezone.now()
    assignment = save_new(
        Assignment(
            task=task,
            annotator=annotator,
            shown_order=kind_get(task.kind).shown_order(task, random.SystemRandom()),
            claimed_at=now,
            lease_expires_at=_lease_end(task.project, now),
            guidelines=guidelines_get(task.project),
        )
    )
    _audit_claim(assignment)
    return assignment


def _lease_end(project: Project, now: datetime) -> datetime:
    return now + timedelta(minutes=project.lease_minutes)


def _audit_claim(assignment: Assignment) -> None:
    audit_record(
        actor=assignment.annotator,
        verb="assignment:claimed",
        target=assignment,
        project=assignment.task.project,
        task=assignment.task_id,
    )
