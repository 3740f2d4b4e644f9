from django.conf import settings
from django.db import models

from annotation.choices import RuleVerdict
from annotation.models.assignment import Assignment
from annotation.models.base import CreatedModel
from annotation.models.completion import Completion
from annotation.models.prompt import Prompt

MAX_SUCCESS = 4


class Turn(CreatedModel):
    """One exchange of a live conversation: what the person said, and the reply that was taken.

    Stored as it happens, so a crash loses nothing; it counts once the assignment is submitted.
    ``prompt`` is the conversation up to and with the person's message; ``parent`` the turn before.
    Turns with one parent are branches; the conversation that was handed in ends at
    ``Conversation.last_turn``, and every turn with a choice is a judgement all the same.
    """

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="turns")
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="branches"
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="conversation_turns")
    shown_order = models.JSONField(
        default=list, blank=True, help_text="Reply ids in the random order shown."
    )
    chosen = models.ForeignKey(
        Completion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The best reply, or the one the person wrote.",
    )
    most_harmful = models.ForeignKey(
        Completion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    edited_from = models.ForeignKey(
        Completion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The model's suggestion that the person edited into the chosen reply.",
    )
    chosen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"turn {self.pk}"


class Conversation(CreatedModel):
    """A conversation handed in, with the verdicts that its kind asks for."""

    assignment = models.OneToOneField(
        Assignment, on_delete=models.PROTECT, related_name="conversation"
    )
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="conversations"
    )
    last_turn = models.ForeignKey(Turn, on_delete=models.PROTECT, related_name="+")
    attack_success = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of red teaming: 0 (not at all) to 4 (fully)."
    )
    rule_verdict = models.CharField(
        max_length=10, choices=RuleVerdict.choices, blank=True, help_text="Of rule probing."
    )
    broken_at = models.ForeignKey(
        Turn,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The turn whose reply broke the rule.",
    )
    note = models.TextField(blank=True, max_length=4_000)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(attack_success__isnull=True)
                | models.Q(attack_success__gte=0, attack_success__lte=MAX_SUCCESS),
                name="conversation_success_0_to_4",
            ),
            models.CheckConstraint(
                condition=models.Q(broken_at__isnull=True)
                | models.Q(rule_verdict=RuleVerdict.BROKEN),
                name="conversation_broken_at_iff_broken",
            ),
        ]

    def __str__(self) -> str:
        return f"conversation {self.pk}"
