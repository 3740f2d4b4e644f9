from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.base import CreatedModel, choices_check
from training.choices import RUN_STEPS, RunQueue, RunStatus
from training.models.checkpoint import Checkpoint
from training.models.round import Round
from training.models.snapshot import Snapshot


class Run(CreatedModel):
    """One training job: what it is made of, how far it is, and who holds it until when."""

    project = models.ForeignKey("annotation.Project", on_delete=models.CASCADE, related_name="runs")
    round = models.ForeignKey(
        Round, null=True, blank=True, on_delete=models.CASCADE, related_name="runs"
    )
    step = models.CharField(max_length=20, choices=RUN_STEPS)
    method = models.CharField(max_length=50)
    queue = models.CharField(max_length=20, choices=RunQueue.choices)
    status = models.CharField(max_length=20, choices=RunStatus.choices, default=RunStatus.QUEUED)

    config = models.JSONField(default=dict)
    seed = models.PositiveIntegerField()
    code_version = models.CharField(max_length=100)
    snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    parents = models.ManyToManyField(
        Checkpoint, through="training.RunParent", related_name="children"
    )
    prompts = models.JSONField(
        default=list,
        blank=True,
        help_text="The prompts this run answers: [[id, the strategy's score or null], ...].",
    )

    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_message = models.CharField(max_length=200, blank=True)
    result = models.JSONField(default=dict, blank=True)
    peak_memory_mib = models.PositiveIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error_text = models.TextField(blank=True)

    attempt = models.PositiveIntegerField(default=0)
    claim_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    enqueued_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its round was taken up again from this step or before.",
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["round", "step"],
                condition=Q(round__isnull=False, superseded_at__isnull=True),
                name="run_one_per_round_and_step",
            ),
            models.CheckConstraint(
                condition=(
                    Q(
                        status=RunStatus.RUNNING,
                        claim_token__isnull=False,
                        lease_expires_at__isnull=False,
                    )
                    | (
                        ~Q(status=RunStatus.RUNNING)
                        & Q(claim_token__isnull=True, lease_expires_at__isnull=True)
                    )
                ),
                name="run_claimed_iff_running",
            ),
            choices_check("status", RunStatus, "run_status_known"),
            choices_check("queue", RunQueue, "run_queue_known"),
        ]
        indexes = [
            models.Index(
                fields=["status", "queue"],
                condition=Q(status__in=["queued", "running", "interrupted"]),
                name="run_active",
            )
        ]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.method})"

    @property
    def prompt_ids(self) -> list[int]:
        return [prompt_id for prompt_id, _ in self.prompts]

    @property
    def folder(self) -> Path:
        return Path(settings.PREFERENDUM_DATA_DIR) / "runs" / str(self.pk)


class RunParent(CreatedModel):
    """A checkpoint a run started from, and the part it played ("reference", "reward_model")."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="run_parents")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT)
    role = models.CharField(max_length=50)
    weight = models.FloatField(
        null=True, blank=True, help_text="Its share of the answers, for a policy that samples."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "role"], name="run_parent_unique_role")
        ]

    def __str__(self) -> str:
        return f"{self.role} of run {self.run_id}"


class Metric(CreatedModel):
    """One point of one curve. A step replayed after a resume writes the same row again."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=100)
    step = models.IntegerField()
    value = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "step"], name="metric_unique_point")
        ]

    def __str__(self) -> str:
        return f"{self.name}[{self.step}] = {self.value:g}"
