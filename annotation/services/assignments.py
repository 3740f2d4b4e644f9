"""Leases on judgements: claim, then submit, skip or let expire.

``Task.claims`` equals the number of the task's live assignments at the end of every transaction.
"""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.errors import Conflict
from annotation.judgements import UnknownKind, kind_get
from annotation.models import Assignment, Project
from annotation.selectors.access import role_require
from annotation.selectors.assignments import assignment_get
from annotation.selectors.exclusions import exclusion_refusal
from annotation.services.audit import audit_record
from annotation.services.claims import claim_next, lease_renew
from annotation.services.saving import save_changed
from annotation.services.slots import slot_free, task_close_if_done, task_lock
from annotation.validation import json_object_check, reason_check


class AssignmentExpired(Conflict):
    code = "assignment_expired"


class AssignmentAlreadySubmitted(Conflict):
    code = "assignment_already_submitted"


class AssignmentNotActive(Conflict):
    code = "assignment_not_active"


def assignment_claim(
    *, project: Project, annotator: User, kind: str | None = None
) -> Assignment | None:
    """Reserves the next judgement for the annotator; None when there is nothing to do now.

    In this order: the annotator's own active assignment (its lease renewed), an expired one with
    a draft if its task still has a free slot, the oldest open task. A paused project gives only
    the first. Raises NotFound for a non-member, LabelerExcluded for somebody whose work does not
    count, UnknownKind for a kind the project does not use.
    """
    role_require(user=annotator, project=project)
    if refusal := exclusion_refusal(project, annotator):
        raise refusal
    kinds = _kinds_asked(project, kind)
    assignment = claim_next(project=project, annotator=annotator, kinds=kinds)
    # The periodic sweep may be late; nobody waits for it while a lapsed lease blocks a slot.
    if assignment is None and assignments_expire(project=project):
        assignment = claim_next(project=project, annotator=annotator, kinds=kinds)
    return assignment


def assignment_submit(*, assignment_id: int, annotator: User, payload: Any) -> Any:
    """Stores the judgement and returns it (a Demonstration or Ranking).

    ``payload`` is the kind's, a JSON object, and is checked here.
    Raises NotFound, AssignmentAlreadySubmitted (``extra.judgement_id``), AssignmentNotActive, or
    what the kind refuses. On a lapsed lease: AssignmentExpired, for somebody whose work does not
    count: LabelerExcluded; both keep the payload as draft.
    """
    payload = json_object_check(payload, name="judgement")
    with transaction.atomic():
        assignment = _lock_own(assignment_id, annotator)
        _refuse_settled(assignment)
        refusal = exclusion_refusal(assignment.task.project, annotator)
        if refusal is None and _lease_holds(assignment):
            return _judge(assignment, annotator, payload)
        _keep_draft(assignment, payload)
    raise refusal or _expired(assignment)


@transaction.atomic
def assignment_skip(*, assignment_id: int, annotator: User, reason: str) -> Assignment:
    """Gives the slot back; this annotator is not offered the task again.

    Raises NotFound, AssignmentAlreadySubmitted, AssignmentNotActive, InvalidInput.
    """
    reason = reason_check(reason, of="a skip")
    assignment = _lock_own(assignment_id, annotator)
    _refuse_settled(assignment)
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
    assignment = _lock_own(assignment_id, annotator)
    _refuse_settled(assignment)
    if not _lease_holds(assignment):
        raise _expired(assignment)
    return lease_renew(assignment)


def assignment_save_draft(*, assignment_id: int, annotator: User, draft: Any) -> Assignment:
    """Keeps unfinished work in the form of the kind's payload, and starts the lease anew.

    Raises as assignment_submit does. On a lapsed lease the draft is kept all the same.
    """
    draft = json_object_check(draft, name="draft")
    with transaction.atomic():
        assignment = _lock_own(assignment_id, annotator)
        _refuse_settled(assignment)
        holds = _lease_holds(assignment)
        _keep_draft(assignment, draft)
        if holds:
            return lease_renew(assignment)
    raise _expired(assignment)


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


@transaction.atomic
def assignments_withdraw(*, project: Project, annotator: User) -> int:
    """Takes back what the annotator holds in the project (they left it); drafts stay."""
    active = Assignment.objects.filter(
        task__project=project, annotator=annotator, status=AssignmentStatus.ACTIVE
    )
    leases = list(active.order_by("task_id").values_list("pk", "task_id"))
    return sum(
        _end_lease(assignment_id, task_id, AssignmentStatus.WITHDRAWN)
        for assignment_id, task_id in leases
    )


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
    judgement = kind.submit(assignment, payload, annotator)
    save_changed(
        assignment,
        status=AssignmentStatus.SUBMITTED,
        finished_at=timezone.now(),
        draft=None,
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


def _lock_own(assignment_id: int, annotator: User) -> Assignment:
    """The annotator's own assignment as it is once its task is locked. Raises NotFound."""
    task_lock(assignment_get(user=annotator, assignment_id=assignment_id).task_id)
    return Assignment.objects.select_related("task__project", "task__prompt").get(pk=assignment_id)


def _refuse_settled(assignment: Assignment) -> None:
    """Only an active assignment, or one whose lease lapsed, can still be acted on."""
    if assignment.status == AssignmentStatus.SUBMITTED:
        judgement = kind_get(assignment.task.kind).judgement_get(assignment)
        raise AssignmentAlreadySubmitted(
            f"Assignment {assignment.pk} was submitted before, as {judgement}; nothing was stored "
            "twice. Claim the next task.",
            judgement_id=judgement.pk,
        )
    if assignment.status == AssignmentStatus.SKIPPED:
        raise AssignmentNotActive(
            f"You skipped assignment {assignment.pk} before. Claim the next task.",
            status=assignment.status,
        )


def _lease_holds(assignment: Assignment) -> bool:
    return assignment.status == AssignmentStatus.ACTIVE and not assignment.is_overdue()


def _keep_draft(assignment: Assignment, draft: dict[str, Any]) -> None:
    """Saves the draft, and ends the lease if it ran out."""
    save_changed(assignment, draft=draft)
    if assignment.status == AssignmentStatus.ACTIVE and assignment.is_overdue():
        _end_lease(assignment.pk, assignment.task_id, AssignmentStatus.EXPIRED)


@transaction.atomic
def _expire(assignment_id: int, task_id: int, now: datetime) -> bool:
    task_lock(task_id)
    # A renewal may have come between the list and the lock.
    if not Assignment.objects.filter(pk=assignment_id, lease_expires_at__lte=now).exists():
        return False
    return _end_lease(assignment_id, task_id, AssignmentStatus.EXPIRED)


def _end_lease(assignment_id: int, task_id: int, status: AssignmentStatus) -> bool:
    task_lock(task_id)
    ended = Assignment.objects.filter(pk=assignment_id, status=AssignmentStatus.ACTIVE).update(
        status=status, finished_at=timezone.now()
    )
    if ended:
        slot_free(task_id)
    return bool(ended)


def _expired(assignment: Assignment) -> AssignmentExpired:
    return AssignmentExpired(
        f"You no longer hold assignment {assignment.pk}: its lease lasted until "
        f"{assignment.lease_expires_at:%Y-%m-%d %H:%M} UTC. What you wrote is kept as a draft: "
        "claim again to go on with it.",
        lease_expires_at=assignment.lease_expires_at.isoformat(),
    )
