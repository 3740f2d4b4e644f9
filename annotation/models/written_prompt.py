from django.conf import settings
from django.db import models

from annotation.choices import PromptForm
from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel, choices_check
from annotation.models.prompt import Prompt


class WrittenPrompt(CreatedModel):
    """A prompt that a labeler wrote, in one of InstructGPT's three forms.

    Of a few-shot one, ``instruction`` and ``pairs`` ([{"query", "response"}]) are kept beside the
    prompt they were put together into.
    """

    assignment = models.OneToOneField(
        Assignment, on_delete=models.PROTECT, related_name="written_prompt"
    )
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="written_prompts"
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="written_as")
    form = models.CharField(max_length=20, choices=PromptForm.choices)
    instruction = models.TextField(blank=True)
    pairs = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [choices_check("form", PromptForm, "written_prompt_form_known")]

    def __str__(self) -> str:
        return f"written prompt {self.pk}"
