from django.conf import settings
from django.db import models

from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.project import Project
from annotation.models.ranking import Ranking

MAX_RATING = 7


class FlagSchema(CreatedModel):
    """The yes-or-no questions asked about each answer, as they were: a change is a new version.

    ``flags`` is a list of ``{"name", "question"}``.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="flag_schemas")
    version = models.PositiveIntegerField(help_text="From 1.")
    flags = models.JSONField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["project", "version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="flag_schema_version_once"),
        ]

    def __str__(self) -> str:
        return f"flags {self.version}"


class CompletionRating(CreatedModel):
    """One completion judged alone: 1 (worst) to 7 (best), and the flags that hold for it."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="ratings")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="ratings")
    schema = models.ForeignKey(FlagSchema, on_delete=models.PROTECT, related_name="ratings")
    overall = models.PositiveSmallIntegerField()
    flags = models.JSONField(
        default=list, blank=True, help_text="Names of the schema's flags that were raised."
    )

    class Meta:
        ordering = ["ranking", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["ranking", "completion"], name="completion_rating_once"
            ),
            models.CheckConstraint(
                condition=models.Q(overall__gte=1, overall__lte=MAX_RATING),
                name="completion_rating_1_to_7",
            ),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id} rated {self.overall}"
