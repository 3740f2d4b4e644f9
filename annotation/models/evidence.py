from django.conf import settings
from django.db import models

from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.prompt import Prompt
from annotation.models.task import Task


class EvidenceMark(CreatedModel):
    """Whether the sources of a prompt bear out one answer to it.

    ``statements`` keeps the verdict on each citing statement:
    ``[{"start", "end", "sources": [1], "is_supported": true}]``, in characters of the answer.
    """

    assignment = models.OneToOneField(
        Assignment, on_delete=models.PROTECT, related_name="evidence_mark"
    )
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="evidence_marks")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="evidence_marks")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="evidence_marks"
    )
    completion = models.ForeignKey(
        Completion, on_delete=models.PROTECT, related_name="evidence_marks"
    )
    is_supported = models.BooleanField()
    statements = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"evidence mark {self.pk}"
