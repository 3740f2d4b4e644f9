from django.conf import settings
from django.db import models

from annotation.choices import ReportKind
from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel, choices_check
from annotation.models.project import Project
from annotation.validation import MAX_REASON


class Report(CreatedModel):
    """A labeler's word to the admins about a task: content to look at, or something broken."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="reports")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="reports")
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reports"
    )
    kind = models.CharField(max_length=10, choices=ReportKind.choices)
    text = models.TextField(max_length=MAX_REASON)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [choices_check("kind", ReportKind, "report_kind_known")]

    def __str__(self) -> str:
        return f"report {self.pk}"
