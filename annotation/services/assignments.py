"""Leases on judgements: claim, then submit, skip or let expire.

``Task.claims`` equals the number of the task's live assignments at the end of every transaction.
"""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.judgements import UnknownKind, kind_get
from annotation.judgements.records import EffortSerializer
from annotation.models import Assignment, Project, Task
from annotation.selectors.access import role_require
from annotation.selectors.exclusions import exclusion_refusal
from annotation.services.audit import audit_record
from annotation.services.claims import claim_next, lease_renew
from annotation.services.leases import (
    assignment_lock,
    draft_keep,
    lease_end,
    lease_expired,
    lease_holds,
    settled_refuse,
)
from annotation.services.locks import task_lock
from annotation.services.saving import save_changed
from annotation.services.slots import slot_free, task_close_if_done
from annotation.validation import json_object_check, reason_check, serializer_validate


def assignment_claim(
    *, project: Project, annotator: User, kind: str | None = None, ahead_of: int | None = None
) -> Assignment | None:
    """Reserves the next judgement for the annotator; None when there is nothing to do now.

    In this order: the annotator's own active assignment (its lease renewed), an expired one that
    they began if its task still has a free slot, the oldest open task. A paused project gives only
    the first. ``ahead_of`` is the assignment they are still at: the one to come after it is
    reserved, never more than one, and none of kinds that do not prefetch. Raises NotFound for a
    non-member, LabelerExcluded for somebody whose work does not count, UnknownKind for a kind the
    project does not use, and of kinds that warn about their content: ConsentNeeded,
    ExposureCapReached.
    """
    role_require(user=annotator, project=project)
    if refusal := exclusion_refusal(project, annotator):
        raise refusal
    claim = partial(
        claim_next,
        project=project,
        annotator=annotator,
        kinds=_kinds_asked(project, kind),
        asked=kind,
        ahead_of=_own_active(annotator, ahead_of),
    )
    assignment = claim()
    # The periodic sweep may be late; nobody waits for it while a lapsed lease blocks a slot.
    if assignment is None and assignments_expire(project=project):
        assignment = claim()
    return assignment


def assignment_submit(*, assignment_id: int, annotator: User, payload: Any) -> Any:
    """Stores the judgement and returns it: a row of the kind's model.

    ``payload`` is the kind's, a JSON object, and is checked here; ``seconds_spent`` in it belongs
    to every kind. What was sent stays as the assignment's draft, for an undo.
    Raises NotFound, AssignmentAlreadySubmitted (``extra.judgement_id``), AssignmentNotActive, or
    what the kind refuses. On a lapsed lease: AssignmentExpired, for somebody whose work does not
    count: LabelerExcluded; both keep the payload as draft.
    """
    payload = json_object_check(payload, name="judgement")
    with transaction.atomic():
        assignment = assignment_lock(assignment_id, annotator, judges=True)
        settled_refuse(assignment)
        refusal = exclusion_refusal(assignment.task.project, annotator)
        if refusal is None and lease_holds(assignment):
            return _judge(assignment, annotator, payload)
        draft_keep(assignment, payload)
    raise refusal or lease_expired(assignment)


@transaction.atomic
def assignment_skip(*, assignment_id: int, annotator: User, reason: str) -> Assignment:
    """Gives the slot back; this annotator is not offered the task again.

    Raises NotFound, AssignmentAlreadySubmitted, AssignmentNotActive, InvalidInput.
    """
    reason = reason_check(reason, of="a skip")
    assignment = assignment_lock(assignment_id, annotator)
    settled_refuse(assignment)
    held_slot = assignment.status == AssignmentStatus.ACTIVE
    save_changed(
        assignment,
        status=AssignmentStatus.SKIPPED,
        skip_reason=reason,
        finished_at=timezone.now(),
    )
    if held_slot:
        slot_free(assignment.task_id)
    audit_record(
        actor=annotator,
        verb="assignment:skipped",
        target=assignment,
        project=assignment.task.project,
        task=assignment.task_id,
        reason=reason,
    )
    return assignment


@transaction.atomic
def assignment_renew(*, assignment_id: int, annotator: User) -> Assignment:
    """Starts the lease anew. Raises as assignment_submit does, AssignmentExpired included."""
    assignment = assignment_lock(assignment_id, annotator)
    settled_refuse(assignment)
    if not lease_holds(assignment):
        raise lease_expired(assignment)
    return lease_renew(assignment)


def assignment_save_draft(*, assignment_id: int, annotator: User, draft: Any) -> Assignment:
    """Keeps unfinished work in the form of the kind's payload, and starts the lease anew.

    Raises as assignment_submit does. On a lapsed lease the draft is kept all the same.
    """
    draft = json_object_check(draft, name="draft")
    with transaction.atomic():
        assignment = assignment_lock(assignment_id, annotator)
        settled_refuse(assignment)
        holds = lease_holds(assignment)
        draft_keep(assignment, draft)
        if holds:
            return lease_renew(assignment)
    raise lease_expired(assignment)


def assignments_expire(*, now: datetime | None = None, project: Project | None = None) -> int:
    """Ends the leases that ran out and frees their slots; returns how many. Safe to repeat."""
    now = now or timezone.now()
    overdue = Assignment.objects.filter(
        status=AssignmentStatus.ACTIVE, lease_expires_at__lte=now
    ).order_by("pk")
    if project is not None:
        overdue = overdue.filter(task__project=project)
    leases = list(overdue.values_list("pk", "task_id"))
    return sum(_expire(assignment_id, task_id, now) for assignment_id, task_id in leases)


def judgements_freeze(*, project: Project, tasks: QuerySet[Task] | None = None) -> int:
    """From now on training holds what was submitted so far: none of it can be taken back.

    `tasks`: only what was submitted of these. Returns how many assignments that is news for.
    """
    submitted = Assignment.objects.filter(
        task__project=project, status=AssignmentStatus.SUBMITTED, frozen_at__isnull=True
    )
    if tasks is not None:
        submitted = submitted.filter(task__in=tasks)
    found = submitted.values("pk")
    return Assignment.objects.filter(
        pk__in=found, status=AssignmentStatus.SUBMITTED, frozen_at__isnull=True
    ).update(frozen_at=timezone.now())


def _own_active(annotator: User, assignment_id: int | None) -> int | None:
    """The id, if the annotator holds it and its kind prefetches; else nothing is ahead of it."""
    if assignment_id is None:
        return None
    own = Assignment.objects.filter(
        pk=assignment_id, annotator=annotator, status=AssignmentStatus.ACTIVE
    )
    kinds = own.values_list("task__kind", flat=True)
    return assignment_id if any(kind_get(kind).prefetches for kind in kinds) else None


def _kinds_asked(project: Project, kind: str | None) -> list[str]:
    if kind is None:
        return list(project.kinds)
    if kind_get(kind).name not in project.kinds:
        raise UnknownKind(
            f"The project {project.slug} does not collect {kind!r}; it collects: "
            f"{', '.join(project.kinds)}.",
            kind=kind,
        )
    return [kind]


def _judge(assignment: Assignment, annotator: User, payload: dict[str, Any]) -> Any:
    kind = kind_get(assignment.task.kind)
    effort = serializer_validate(EffortSerializer, payload)
    said = {name: value for name, value in payload.items() if name != "seconds_spent"}
    judgement = kind.submit(assignment, said, annotator)
    save_changed(
        assignment,
        status=AssignmentStatus.SUBMITTED,
        finished_at=timezone.now(),
        seconds_spent=effort.get("seconds_spent"),
        draft=said,
    )
    task_close_if_done(assignment.task)
    audit_record(
        actor=annotator,
        verb=f"{kind.name}:submitted",
        target=judgement,
        project=assignment.task.project,
        assignment=assignment.pk,
    )
    return judgement


@transaction.atomic
def _expire(assignment_id: int, task_id: int, now: datetime) -> bool:
    task_lock(task_id)
    # A renewal may have come between the list and the lock.
    if not Assignment.objects.filter(pk=assignment_id, lease_expires_at__lte=now).exists():
        return False
    return lease_end(assignment_id, task_id, AssignmentStatus.EXPIRED)
