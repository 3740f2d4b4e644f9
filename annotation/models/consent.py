from django.conf import settings
from django.db import models

from annotation.models.base import CreatedModel
from annotation.models.project import Project


class Consent(CreatedModel):
    """A labeler agreed to work that may upset them; they may take it back at any time."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="consents")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents"
    )
    kind = models.CharField(max_length=40)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user", "kind"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="consent_one_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} agreed to {self.kind}"
