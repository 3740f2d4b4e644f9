from itertools import groupby

from django.conf import settings
from django.db import models

from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.prompt import Prompt
from annotation.models.task import Task
from annotation.validation import MAX_REASON


class Ranking(CreatedModel):
    """One annotator's order over a task's completions, stored as given, never as pairs.

    Every kind that orders the answers to one prompt stores it here: a comparison is a ranking of
    two with its strength, a rating a ranking whose completions also have a CompletionRating each.
    """

    assignment = models.OneToOneField(Assignment, on_delete=models.PROTECT, related_name="ranking")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="rankings")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="rankings")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="rankings"
    )
    all_bad = models.BooleanField(
        default=False, help_text="No answer is acceptable, the first one included."
    )
    strength = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Of a comparison: steps from the middle of its scale, 1 is the weakest.",
    )
    levels = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of a comparison: how many levels its scale had, 2 to 9."
    )
    reason = models.TextField(blank=True, max_length=MAX_REASON)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(levels__isnull=True, strength__isnull=True)
                | models.Q(levels__gte=2, levels__lte=9, strength__isnull=True)
                | models.Q(levels__gte=2, levels__lte=9, strength__gte=1, strength__lte=4),
                name="ranking_strength_on_scale",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="ranking_created")]

    def __str__(self) -> str:
        return f"ranking {self.pk}"

    @property
    def order(self) -> list[list[int]]:
        """Groups of completion ids, best first; ids in one group are tied."""
        items = sorted(self.items.all(), key=lambda item: (item.rank, item.shown_position))
        return [
            [item.completion_id for item in group]
            for _, group in groupby(items, key=lambda item: item.rank)
        ]


class RankingItem(CreatedModel):
    """One completion's rank: 1 is best, equal ranks are a tie, ranks have no gaps."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="items")
    completion = models.ForeignKey(
        Completion, on_delete=models.PROTECT, related_name="ranking_items"
    )
    rank = models.PositiveIntegerField()
    shown_position = models.PositiveIntegerField(
        help_text="Where the annotator saw it, from 0: for measuring position bias."
    )

    class Meta:
        ordering = ["ranking", "rank", "shown_position"]
        constraints = [
            models.UniqueConstraint(
                fields=["ranking", "completion"], name="ranking_item_completion_once"
            ),
            models.UniqueConstraint(
                fields=["ranking", "shown_position"], name="ranking_item_position_once"
            ),
            models.CheckConstraint(
                condition=models.Q(rank__gte=1, shown_position__gte=0),
                name="ranking_item_rank_from_1",
            ),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id} at rank {self.rank}"
