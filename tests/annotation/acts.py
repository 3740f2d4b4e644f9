"""What annotators do, in one line."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.models import Assignment, Project, Ranking
from annotation.services.assignments import assignment_skip, assignment_submit


def overdue(assignment: Assignment) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=assignment.pk).update(lease_expires_at=past)


def submit_in_order(assignment: Assignment, annotator: User) -> Ranking:
    return assignment_submit(
        assignment_id=assignment.pk,
        annotator=annotator,
        payload={"order": [[pk] for pk in assignment.shown_order]},
    )


def assignment_skip_all(project: Project, annotator: User) -> None:
    active = Assignment.objects.filter(
        task__project=project, annotator=annotator, status=AssignmentStatus.ACTIVE
    )
    for assignment in active:
        assignment_skip(assignment_id=assignment.pk, annotator=annotator, reason="no")
