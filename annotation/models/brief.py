from django.conf import settings
from django.db import models

from annotation.choices import BriefKind
from annotation.models.base import CreatedModel, choices_check
from annotation.models.project import Project


class Brief(CreatedModel):
    """What a task is about beyond its prompt: a rule to probe, a goal, a use case, a topic.

    A row never changes its text: another wording is the next version under the same name, and
    each task keeps the version it was made with.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="briefs")
    kind = models.CharField(max_length=20, choices=BriefKind.choices)
    name = models.CharField(max_length=100)
    version = models.PositiveIntegerField(default=1)
    text = models.TextField(max_length=4_000)
    is_active = models.BooleanField(default=True, help_text="New tasks are made with it.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["kind", "name", "version"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "name", "version"], name="brief_version_once"
            ),
            models.UniqueConstraint(
                fields=["project", "kind", "name"],
                condition=models.Q(is_active=True),
                name="brief_one_active_version",
            ),
            choices_check("kind", BriefKind, "brief_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name
