from django.conf import settings
from django.db import models

from annotation.choices import PromptSource, UseCase
from annotation.models.base import CreatedModel, choices_check
from annotation.models.project import Project


class Prompt(CreatedModel):
    """What the model is given: a chat whose last message is the user's.

    ``messages`` is a list of ``{"role": "system"|"user"|"assistant", "content": str}``;
    ``content_hash`` is the SHA-256 of its canonical JSON, so that one text is imported once.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompts")
    messages = models.JSONField()
    content_hash = models.CharField(max_length=64, editable=False)
    external_id = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True, help_text="Inactive prompts get no new tasks.")
    source = models.CharField(
        max_length=20, choices=PromptSource.choices, default=PromptSource.IMPORTED
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="prompts",
        help_text="The labeler who wrote it.",
    )
    opening = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="turns",
        help_text="Of a conversation's later turn: the prompt that the conversation began with.",
    )
    sources = models.JSONField(
        default=list,
        blank=True,
        help_text='What answers may cite: [{"title", "text", "url"}], cited as [1], [2] and so on.',
    )
    use_case = models.CharField(max_length=20, choices=UseCase.choices, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "content_hash"], name="prompt_once"),
            choices_check("source", PromptSource, "prompt_source_known"),
        ]

    def __str__(self) -> str:
        return self.text_last[:80]

    @property
    def text_last(self) -> str:
        """The user's last message, which the completion answers."""
        return str(self.messages[-1]["content"]) if self.messages else ""
