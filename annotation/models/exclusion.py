from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.base import CreatedModel
from annotation.models.project import Project


class Exclusion(CreatedModel):
    """A person's work does not count in a project, from `created_at` to `lifted_at`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exclusions")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exclusions"
    )
    reason = models.CharField(max_length=2_000)
    excluded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty when the system itself acted.",
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"],
                condition=Q(lifted_at__isnull=True),
                name="exclusion_one_active",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=False) | Q(lifted_by__isnull=True),
                name="exclusion_lifted_by_only_when_lifted",
            ),
        ]

    def __str__(self) -> str:
        return f"exclusion of {self.user_id} from {self.project_id}"
