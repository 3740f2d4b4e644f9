from django.db import models

from annotation.models.base import CreatedModel, choices_check
from training.choices import FeedbackPurpose
from training.models.run import Run


class FeedbackRun(CreatedModel):
    """What a run asks an AI labeler, frozen when it was started."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="feedback")
    ai_labeler = models.ForeignKey(
        "annotation.AILabeler", on_delete=models.PROTECT, related_name="feedback_runs"
    )
    purpose = models.CharField(max_length=10, choices=FeedbackPurpose.choices)
    pairs = models.JSONField(
        default=list, blank=True, help_text="Completion ids: [[first, second], ...]."
    )
    principle_versions = models.JSONField(help_text="Ids of the principles' versions, in order.")
    setting_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["pk"]
        constraints = [
            choices_check("purpose", FeedbackPurpose, "feedback_purpose_known"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of run {self.run_id}"
