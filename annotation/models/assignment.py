from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone

from annotation.choices import AssignmentStatus
from annotation.models.base import CreatedModel, choices_check
from annotation.models.guidelines import GuidelinesVersion
from annotation.models.task import Task


class Assignment(CreatedModel):
    """A lease on one judgement of one task. One row per task and annotator, for ever."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments"
    )
    status = models.CharField(
        max_length=10, choices=AssignmentStatus.choices, default=AssignmentStatus.ACTIVE
    )
    shown_order = models.JSONField(
        default=list, blank=True, help_text="Completion ids in the random order shown."
    )
    lease_expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    skip_reason = models.CharField(max_length=2_000, blank=True)
    draft = models.JSONField(null=True, blank=True)
    guidelines = models.ForeignKey(
        GuidelinesVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="assignments",
        help_text="The version that was in force when the task was taken; empty: there was none.",
    )
    seconds_spent = models.FloatField(
        null=True,
        blank=True,
        help_text="Seconds of attention the judgement took, idle time left out.",
    )
    frozen_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when training holds the judgement, so that it cannot be taken back.",
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["task", "annotator"], name="assignment_once"),
            models.CheckConstraint(
                condition=models.Q(status=AssignmentStatus.ACTIVE, finished_at__isnull=True)
                | (~models.Q(status=AssignmentStatus.ACTIVE) & models.Q(finished_at__isnull=False)),
                name="assignment_finished_iff_not_active",
            ),
            models.CheckConstraint(
                condition=models.Q(seconds_spent__isnull=True) | models.Q(seconds_spent__gte=0),
                name="assignment_seconds_not_negative",
            ),
            choices_check("status", AssignmentStatus, "assignment_status_known"),
        ]
        indexes = [
            models.Index(fields=["annotator", "status"], name="assignment_of_annotator"),
            models.Index(
                fields=["lease_expires_at"],
                condition=models.Q(status=AssignmentStatus.ACTIVE),
                name="assignment_active_lease",
            ),
        ]

    def __str__(self) -> str:
        return f"assignment {self.pk} of task {self.task_id}"

    def is_overdue(self, now: datetime | None = None) -> bool:
        """The lease has run out, whether or not the sweep has noticed."""
        return self.lease_expires_at <= (now or timezone.now())
