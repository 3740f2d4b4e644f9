from django.conf import settings as django_settings
from django.db import models
from django.db.models import Q

from annotation.models.base import CreatedModel, choices_check
from training.choices import ROUND_OPEN, Decision, RoundStatus, RoundStep, Trigger, WaitingFor
from training.models.checkpoint import Checkpoint
from training.models.snapshot import Snapshot


class Round(CreatedModel):
    """One turn of the loop: data cut, models, measurements, decision and deployment, kept for good.

    `steps` is the plan made at its start, `step` where it stands, `settings` the loop's settings as
    they were then: what changes later is for later rounds.
    """

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
        django_settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )
    settings = models.JSONField(default=dict, help_text="The loop's settings when it started.")
    waiting_for = models.CharField(max_length=20, choices=WaitingFor.choices, blank=True)
    chosen = models.ForeignKey(
        Checkpoint,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="chosen_in",
        help_text="The checkpoint of its policy that the evaluation chose.",
    )
    decision = models.CharField(max_length=20, choices=Decision.choices, blank=True)
    decision_reason = models.TextField(blank=True)
    decision_data = models.JSONField(default=dict, blank=True, help_text="What each gate saw.")
    decided_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="decided_rounds",
        help_text="Empty when the gates decided.",
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True)
    rolled_back_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="rolled_back_rounds",
    )
    rollback_reason = models.TextField(blank=True)
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
                condition=Q(status__in=ROUND_OPEN),
                name="round_one_open_per_project",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ROUND_OPEN, finished_at__isnull=True)
                | (~Q(status__in=ROUND_OPEN) & Q(finished_at__isnull=False)),
                name="round_finished_at_iff_finished",
            ),
            choices_check("status", RoundStatus, "round_status_known"),
            choices_check("step", RoundStep, "round_step_known"),
            models.CheckConstraint(
                condition=Q(decision="", decided_at__isnull=True)
                | Q(decision__in=Decision.values, decided_at__isnull=False),
                name="round_decided_at_iff_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"round {self.number}"
