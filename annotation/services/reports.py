"""A labeler's word to the project about a task: content to look at, or something broken."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.choices import ReportKind
from annotation.errors import InvalidInput
from annotation.models import Report
from annotation.services.audit import audit_record
from annotation.services.leases import assignment_lock
from annotation.services.saving import save_changed, save_new
from annotation.validation import reason_check


@transaction.atomic
def report_create(*, assignment_id: int, reporter: User, kind: str, text: str) -> Report:
    """Tells the project's reviewers; the assignment itself stays as it is.

    The same words about the same assignment are one report while it is open, so that it is safe
    to repeat. Raises NotFound for somebody else's assignment, InvalidInput.
    """
    text = reason_check(text, of="a report")
    if kind not in ReportKind.values:
        raise InvalidInput(
            f"A report is one of {', '.join(ReportKind.values)}, not {kind!r}.",
            fields={"kind": ["Unknown kind."]},
        )
    assignment = assignment_lock(assignment_id, reporter)
    same = Report.objects.filter(
        assignment=assignment, reporter=reporter, kind=kind, text=text, resolved_at__isnull=True
    ).first()
    if same is not None:
        return same
    project = assignment.task.project
    report = save_new(
        Report(project=project, assignment=assignment, reporter=reporter, kind=kind, text=text)
    )
    audit_record(
        actor=reporter,
        verb="report:created",
        target=report,
        project=project,
        assignment=assignment.pk,
        kind=kind,
    )
    return report


@transaction.atomic
def report_resolve(*, report: Report, actor: User) -> Report:
    """Somebody looked at it. Repeating it changes nothing."""
    report = Report.objects.select_for_update(of=("self",)).get(pk=report.pk)
    if report.resolved_at is not None:
        return report
    save_changed(report, resolved_at=timezone.now(), resolved_by=actor)
    audit_record(actor=actor, verb="report:resolved", target=report, project=report.project)
    return report
