from django.conf import settings
from django.db import models

from annotation.choices import Origin
from annotation.models.base import CreatedModel, choices_check
from annotation.models.prompt import Prompt


class Completion(CreatedModel):
    """One continuation of a prompt, sampled from a model or written by a person.

    Which checkpoint sampled it is deliberately not stored here but in training.Sample: nothing
    that annotation shows can give it away.
    """

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="completions")
    text = models.TextField(blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="completions",
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(origin=Origin.PERSON, author__isnull=False)
                | models.Q(origin=Origin.MODEL, author__isnull=True),
                name="completion_author_iff_person",
            ),
            choices_check("origin", Origin, "completion_origin_known"),
        ]

    def __str__(self) -> str:
        return self.text[:80]
