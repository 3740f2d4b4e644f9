from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.base import CreatedModel, choices_check
from training.choices import CheckpointKind, DeploymentRole


class Checkpoint(CreatedModel):
    """Weights on disk. A base checkpoint is shared by all projects; any other one names its run.

    A policy's run may leave several, taken along the way; the last one has no `step`.
    """

    project = models.ForeignKey(
        "annotation.Project",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="checkpoints",
    )
    run = models.ForeignKey(
        "training.Run",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="checkpoints",
    )
    step = models.PositiveIntegerField(
        null=True, blank=True, help_text="The run's step it was taken at; empty for the last."
    )
    kind = models.CharField(max_length=20, choices=CheckpointKind.choices)
    name = models.CharField(max_length=200)
    path = models.CharField(
        max_length=500,
        help_text="Relative to the data folder; a base model may be a hub id or an absolute path.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=CheckpointKind.BASE, run__isnull=True, project__isnull=True)
                | (~Q(kind=CheckpointKind.BASE) & Q(run__isnull=False, project__isnull=False)),
                name="checkpoint_base_iff_no_run",
            ),
            models.UniqueConstraint(
                fields=["run"], condition=Q(step__isnull=True), name="checkpoint_one_last_of_run"
            ),
            models.UniqueConstraint(fields=["run", "step"], name="checkpoint_unique_step_of_run"),
            models.UniqueConstraint(
                fields=["path"],
                condition=Q(kind=CheckpointKind.BASE),
                name="checkpoint_unique_base_path",
            ),
            choices_check("kind", CheckpointKind, "checkpoint_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def location(self) -> str:
        """Absolute folder, or the hub id of a base model that is no folder here."""
        folder = Path(settings.PREFERENDUM_DATA_DIR) / self.path
        is_ours = self.kind != CheckpointKind.BASE or self.path.startswith("base_model/")
        return str(folder) if is_ours else self.path


class Deployment(CreatedModel):
    """A policy whose answers are put before people, from `activated_at` to `retired_at`.

    The policies deployed together share the work by their weights; one of them is primary.
    """

    project = models.ForeignKey(
        "annotation.Project", on_delete=models.CASCADE, related_name="deployments"
    )
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="deployments")
    round = models.ForeignKey(
        "training.Round",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="deployments",
        help_text="The round that deployed it; empty after a rollback.",
    )
    role = models.CharField(
        max_length=20, choices=DeploymentRole.choices, default=DeploymentRole.PRIMARY
    )
    weight = models.FloatField(default=1.0)
    activated_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "role"],
                condition=Q(retired_at__isnull=True),
                name="deployment_one_active_per_role",
            ),
            models.UniqueConstraint(
                fields=["round", "role"],
                condition=Q(round__isnull=False),
                name="deployment_one_per_round_and_role",
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=0), name="deployment_weight_not_negative"
            ),
            choices_check("role", DeploymentRole, "deployment_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint_id} since {self.activated_at:%Y-%m-%d %H:%M}"
