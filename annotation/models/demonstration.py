from django.conf import settings
from django.db import models

from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.prompt import Prompt


class Demonstration(CreatedModel):
    """A completion written by a person, as the answer the policy should learn."""

    assignment = models.OneToOneField(
        Assignment, on_delete=models.PROTECT, related_name="demonstration"
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="demonstrations")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="demonstrations"
    )
    completion = models.OneToOneField(
        Completion, on_delete=models.PROTECT, related_name="demonstration"
    )
    edited_from = models.ForeignKey(
        Completion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="edits",
        help_text="The model's draft it started from: the edit is preferred over it.",
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"demonstration {self.pk}"
