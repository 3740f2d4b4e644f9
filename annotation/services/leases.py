"""What every act on a held assignment asks first, and the ends of a lease."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.errors import Conflict
from annotation.judgements import kind_get
from annotation.models import Assignment, Project, Task
from annotation.selectors.assignments import ASSIGNMENT_PARTS, assignment_get
from annotation.services.locks import project_lock, task_lock
from annotation.services.saving import save_changed
from annotation.services.slots import slot_free


class AssignmentExpired(Conflict):
    code = "assignment_expired"


class AssignmentWithdrawn(AssignmentExpired):
    """The task was taken back while it was open: no time limit, but somebody's decision."""

    code = "assignment_withdrawn"


class AssignmentAlreadySubmitted(Conflict):
    code = "assignment_already_submitted"


class AssignmentNotActive(Conflict):
    code = "assignment_not_active"


def assignment_lock(assignment_id: int, annotator: User, *, judges: bool = False) -> Assignment:
    """The annotator's own assignment as it is once its task is locked. Raises NotFound.

    `judges`: its judgement is about to be stored.
    """
    task = assignment_get(user=annotator, assignment_id=assignment_id).task
    if judges:
        judgement_lock(task)
    else:
        task_lock(task.pk)
    return Assignment.objects.select_related(*ASSIGNMENT_PARTS).get(pk=assignment_id)


def judgement_lock(task: Task) -> None:
    """Locks what storing or taking back a judgement changes: the task, before it maybe more."""
    if kind_get(task.kind).changes_prompts:
        project_lock(task.project_id)
    task_lock(task.pk)


def settled_refuse(assignment: Assignment) -> None:
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


def lease_holds(assignment: Assignment) -> bool:
    return assignment.status == AssignmentStatus.ACTIVE and not assignment.is_overdue()


def draft_keep(assignment: Assignment, draft: dict[str, Any]) -> None:
    """Saves the draft, and ends the lease if it ran out."""
    save_changed(assignment, draft=draft)
    if assignment.status == AssignmentStatus.ACTIVE and assignment.is_overdue():
        lease_end(assignment.pk, assignment.task_id, AssignmentStatus.EXPIRED)


@transaction.atomic
def assignments_withdraw(*, project: Project, annotator: User, kind: str | None = None) -> int:
    """Takes back what the annotator holds in the project, or of one kind; drafts stay."""
    active = Assignment.objects.filter(
        task__project=project, annotator=annotator, status=AssignmentStatus.ACTIVE
    )
    if kind is not None:
        active = active.filter(task__kind=kind)
    leases = list(active.order_by("task_id").values_list("pk", "task_id"))
    return sum(
        lease_end(assignment_id, task_id, AssignmentStatus.WITHDRAWN)
        for assignment_id, task_id in leases
    )


def lease_end(assignment_id: int, task_id: int, status: AssignmentStatus) -> bool:
    task_lock(task_id)
    ended = Assignment.objects.filter(pk=assignment_id, status=AssignmentStatus.ACTIVE).update(
        status=status, finished_at=timezone.now()
    )
    if ended:
        slot_free(task_id)
    return bool(ended)


def lease_expired(assignment: Assignment) -> AssignmentExpired:
    if assignment.status == AssignmentStatus.WITHDRAWN:
        return AssignmentWithdrawn(
            f"The task of assignment {assignment.pk} was withdrawn while you had it open, so a "
            "judgement of it is not needed any more. What you wrote is kept as a draft. Claim the "
            "next task.",
            lease_expires_at=assignment.lease_expires_at.isoformat(),
        )
    return AssignmentExpired(
        f"You no longer hold assignment {assignment.pk}: its lease lasted until "
        f"{assignment.lease_expires_at:%Y-%m-%d %H:%M} UTC. What you wrote is kept as a draft: "
        "claim again to go on with it.",
        lease_expires_at=assignment.lease_expires_at.isoformat(),
    )
