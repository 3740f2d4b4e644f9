from django.db import models

from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.ranking import Ranking


class ComparisonDimension(CreatedModel):
    """What one comparison says about one quality alone, such as "helpful" or "harmless"."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="dimensions")
    name = models.CharField(max_length=60)
    preferred = models.ForeignKey(
        Completion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: a tie.",
    )
    strength = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["ranking", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["ranking", "name"], name="comparison_dimension_once"),
            models.CheckConstraint(
                condition=models.Q(preferred__isnull=True, strength__isnull=True)
                | models.Q(preferred__isnull=False, strength__gte=1, strength__lte=4),
                name="comparison_dimension_strength_iff_preferred",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of ranking {self.ranking_id}"
