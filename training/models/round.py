from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.base import CreatedModel, choices_check
from training.choices import RoundStatus, RoundStep, Trigger
from training.models.snapshot import Snapshot


class Round(CreatedModel):
    """One turn of the loop. `steps` is the plan made at its start, `step` where it stands."""

    project = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="rounds"
    )
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=20, choices=RoundStatus.choices, default=RoundStatus.RUNNING
    )
    steps = models.JSONField(default=list)
    step = models.CharField(max_length=20, choices=RoundStep.choices, default=RoundStep.FREEZE)
    trigger = models.CharField(max_length=20, choices=Trigger.choices)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error_text = models.TextField(blank=True)

    class Meta:
        ordering = ["project", "number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_unique_number"),
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(status=RoundStatus.RUNNING),
                name="round_one_running_per_project",
            ),
            models.CheckConstraint(
                condition=Q(status=RoundStatus.RUNNING, finished_at__isnull=True)
                | (~Q(status=RoundStatus.RUNNING) & Q(finished_at__isnull=False)),
                name="round_finished_at_iff_finished",
            ),
            choices_check("status", RoundStatus, "round_status_known"),
            choices_check("step", RoundStep, "round_step_known"),
        ]

    def __str__(self) -> str:
        return f"round {self.number}"
