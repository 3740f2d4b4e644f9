"""Taking back the last judgement, while nobody has learned from it."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from annotation.choices import AssignmentStatus, TaskStatus
from annotation.errors import Conflict
from annotation.judgements import kind_get
from annotation.models import Assignment, Task
from annotation.selectors.assignments import ASSIGNMENT_PARTS, assignment_get
from annotation.selectors.exclusions import exclusion_refusal
from annotation.services.audit import audit_record
from annotation.services.claims import lease_renew
from annotation.services.consents import kinds_consented
from annotation.services.leases import judgement_lock


class UndoRefused(Conflict):
    """`extra`: why, one of "late", "frozen", "used", "status"."""

    code = "undo_refused"


@transaction.atomic
def assignment_undo(*, assignment_id: int, annotator: User) -> Assignment:
    """Takes the judgement back: the assignment is held again, with what was sent as its draft.

    What was taken back stays in the audit trail. Repeating it changes nothing: an assignment that
    is held already is returned as it is. Raises NotFound, LabelerExcluded, UndoRefused, and
    ConsentNeeded, because it would be held again.
    """
    task = assignment_get(user=annotator, assignment_id=assignment_id).task
    kinds_consented(task.project, annotator, [task.kind], asked=task.kind)
    judgement_lock(task)
    # Training may be freezing this very row, which asks for no task's lock.
    rows = Assignment.objects.select_for_update(no_key=True, of=("self",))
    assignment = rows.select_related(*ASSIGNMENT_PARTS).get(pk=assignment_id)
    if assignment.status == AssignmentStatus.ACTIVE:
        return assignment
    if refusal := exclusion_refusal(assignment.task.project, annotator):
        raise refusal
    _refuse(assignment)
    judgement = kind_get(task.kind).judgement_get(assignment)
    judgement_id = judgement.pk
    try:
        with transaction.atomic():
            kind_get(task.kind).undo(judgement)
    except ProtectedError as error:
        raise UndoRefused(
            "Others have worked on with it since, so it can no longer be taken back.", why="used"
        ) from error
    Task.objects.filter(pk=task.pk, status=TaskStatus.CLOSED).update(status=TaskStatus.OPEN)
    audit_record(
        actor=annotator,
        verb=f"{task.kind}:undone",
        target=assignment,
        project=assignment.task.project,
        judgement=judgement_id,
        payload=assignment.draft,
    )
    # It kept its slot; only the lease starts anew.
    return lease_renew(assignment)


def _refuse(assignment: Assignment) -> None:
    project = assignment.task.project
    if assignment.status != AssignmentStatus.SUBMITTED or assignment.finished_at is None:
        raise UndoRefused(
            f"Assignment {assignment.pk} is {assignment.status}; only what was submitted can be "
            "taken back.",
            why="status",
        )
    if assignment.frozen_at is not None:
        raise UndoRefused(
            "A training round holds this judgement already, so it can no longer be taken back.",
            why="frozen",
        )
    if timezone.now() > assignment.finished_at + timedelta(minutes=project.undo_minutes):
        raise UndoRefused(
            f"It was submitted more than {project.undo_minutes} minutes ago, which is as long as "
            f"{project.slug} allows.",
            why="late",
        )
