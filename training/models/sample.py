from django.db import models

from annotation.models.base import CreatedModel, choices_check
from training.choices import SamplePurpose
from training.models.checkpoint import Checkpoint
from training.models.reply import ReplyRequest
from training.models.run import Run


class Sample(CreatedModel):
    """Where a model's completion came from. Annotators' pages never read this table."""

    completion = models.OneToOneField(
        "annotation.Completion", on_delete=models.PROTECT, related_name="sample"
    )
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="samples")
    run = models.ForeignKey(
        Run,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="samples",
        help_text="Empty: a reply to somebody at work, asked for by reply_request.",
    )
    reply_request = models.ForeignKey(
        ReplyRequest,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="samples",
    )
    index = models.PositiveIntegerField()
    settings = models.JSONField(help_text="Resolved sampling settings.")
    seed = models.BigIntegerField()
    num_tokens = models.PositiveIntegerField()
    finished = models.BooleanField(help_text="Ended by itself, not cut at max_new_tokens.")
    purpose = models.CharField(max_length=20, choices=SamplePurpose.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "index"], name="sample_unique_index"),
            models.UniqueConstraint(
                fields=["reply_request", "index"], name="sample_reply_unique_index"
            ),
            models.CheckConstraint(
                condition=models.Q(run__isnull=False, reply_request__isnull=True)
                | models.Q(run__isnull=True, reply_request__isnull=False),
                name="sample_of_run_or_reply",
            ),
            choices_check("purpose", SamplePurpose, "sample_purpose_known"),
        ]
        indexes = [models.Index(fields=["checkpoint", "purpose"], name="sample_by_checkpoint")]

    def __str__(self) -> str:
        origin = f"run {self.run_id}" if self.run_id else f"reply {self.reply_request_id}"
        return f"sample {self.index} of {origin}"
