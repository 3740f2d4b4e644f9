from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from annotation.models.base import CreatedModel


def default_sampling() -> dict[str, Any]:
    return {"temperature": 1.0, "max_new_tokens": 256}


class LoopSettings(CreatedModel):
    """How one project's loop turns: when a round starts, what it trains and with which values."""

    project = models.OneToOneField(
        "annotation.Project", on_delete=models.CASCADE, related_name="loop_settings"
    )
    base_model = models.CharField(
        max_length=500,
        blank=True,
        help_text="Hugging Face id or folder; empty means this installation's base model.",
    )
    rankings_per_round = models.PositiveIntegerField(
        default=64,
        validators=[MinValueValidator(1)],
        help_text="New rankings that start a round.",
    )
    min_demonstrations = models.PositiveIntegerField(
        default=16,
        help_text="Demonstrations needed before the first SFT; 0 starts from the base model.",
    )
    prompts_per_round = models.PositiveIntegerField(
        default=0, help_text="Prompts answered after a round; 0 means rankings_per_round."
    )
    queue_low_water = models.PositiveIntegerField(
        default=8,
        help_text="Fewer open ranking tasks than this brings new samples; 0 turns it off.",
    )
    held_out_percent = models.PositiveSmallIntegerField(
        default=20,
        validators=[MaxValueValidator(90)],
        help_text="Percent of prompts never trained on.",
    )
    policy_method = models.CharField(max_length=50, default="ppo")
    strategy = models.CharField(max_length=50, default="random")
    auto_start = models.BooleanField(default=True)
    overrides = models.JSONField(
        default=dict, blank=True, help_text="{method: {field: value}} on top of its defaults."
    )
    sampling = models.JSONField(default=default_sampling, blank=True)
    seed = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name_plural = "loop settings"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rankings_per_round__gte=1), name="loop_rankings_per_round"
            ),
            models.CheckConstraint(
                condition=models.Q(held_out_percent__lte=90), name="loop_held_out_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"loop settings of {self.project_id}"

    @property
    def num_prompts(self) -> int:
        return self.prompts_per_round or self.rankings_per_round
