from django.conf import settings
from django.db import models

from annotation.models.base import CreatedModel
from annotation.models.project import Project


class GuidelinesVersion(CreatedModel):
    """The project's guidelines as they were: every judgement points at the version it followed."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="guidelines_versions"
    )
    number = models.PositiveIntegerField(help_text="From 1.")
    text = models.TextField(max_length=100_000)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["project", "number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="guidelines_number_once"),
        ]

    def __str__(self) -> str:
        return f"guidelines {self.number}"
