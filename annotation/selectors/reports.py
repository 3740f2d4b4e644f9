from django.db.models import QuerySet

from annotation.errors import NotFound
from annotation.models import Project, Report


def report_list(project: Project, *, is_open: bool | None = None) -> QuerySet[Report]:
    """What labelers reported, newest first; all, or only those open or resolved."""
    reports = Report.objects.filter(project=project).select_related(
        "reporter", "resolved_by", "assignment__task__prompt"
    )
    return reports if is_open is None else reports.filter(resolved_at__isnull=is_open)


def report_get(project: Project, report_id: int) -> Report:
    """Raises NotFound."""
    report = report_list(project).filter(pk=report_id).first()
    if report is None:
        raise NotFound(f"{project.slug} has no report {report_id}.")
    return report
