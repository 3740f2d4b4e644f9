from django.conf import settings
from django.db import models

from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.prompt import Prompt
from annotation.models.task import Task


class Thumb(CreatedModel):
    """One annotator's approval or disapproval of one completion."""

    assignment = models.OneToOneField(Assignment, on_delete=models.PROTECT, related_name="thumb")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="thumbs")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="thumbs")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="thumbs"
    )
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="thumbs")
    is_up = models.BooleanField(help_text="True: a good answer; false: a bad one.")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["created_at"], name="thumb_created")]

    def __str__(self) -> str:
        return f"thumb {self.pk}"
