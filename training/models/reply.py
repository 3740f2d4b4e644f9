from django.db import models

from annotation.models.base import CreatedModel, choices_check
from training.choices import ReplyStatus


class ReplyRequest(CreatedModel):
    """Somebody at work waits for the live policies to answer a prompt.

    Slow work as a row: claimed by a conditional update, safe to interrupt. ``attempt`` counts
    from 0 the times the same person had the same prompt answered anew.
    """

    assignment = models.ForeignKey(
        "annotation.Assignment", on_delete=models.CASCADE, related_name="reply_requests"
    )
    prompt = models.ForeignKey(
        "annotation.Prompt", on_delete=models.PROTECT, related_name="reply_requests"
    )
    attempt = models.PositiveIntegerField(default=0)
    num_replies = models.PositiveSmallIntegerField()
    status = models.CharField(
        max_length=10, choices=ReplyStatus.choices, default=ReplyStatus.QUEUED
    )
    progress = models.FloatField(default=0.0, help_text="Of all replies together, 0 to 1.")
    seed = models.BigIntegerField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["assignment", "prompt", "attempt"], name="reply_request_attempt_once"
            ),
            choices_check("status", ReplyStatus, "reply_request_status_known"),
        ]

    def __str__(self) -> str:
        return f"reply request {self.pk}"
