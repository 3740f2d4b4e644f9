from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models.base import CreatedModel, choices_check
from training.choices import Approval, PolicyStart, RetiredTasks, RewardModelUse


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
        help_text=_("Hugging Face id or folder; empty means this installation's base model."),
    )
    rankings_per_round = models.PositiveIntegerField(
        default=64,
        validators=[MinValueValidator(1)],
        help_text=_("New rankings that start a round."),
    )
    min_demonstrations = models.PositiveIntegerField(
        default=16,
        help_text=_("Demonstrations needed before the first SFT; 0 starts from the base model."),
    )
    prompts_per_round = models.PositiveIntegerField(
        default=0, help_text=_("Prompts answered after a round; 0 means rankings_per_round.")
    )
    queue_low_water = models.PositiveIntegerField(
        default=8,
        help_text=_("Fewer open ranking tasks than this brings new samples; 0 turns it off."),
    )
    held_out_percent = models.PositiveSmallIntegerField(
        default=20,
        validators=[MaxValueValidator(90)],
        help_text=_("Percent of prompts never trained on."),
    )
    preset = models.CharField(
        max_length=50, blank=True, help_text=_("The paper whose protocol was applied last.")
    )
    reward_model = models.CharField(
        max_length=20, choices=RewardModelUse.choices, default=RewardModelUse.SCRATCH
    )
    test_reward_model = models.BooleanField(
        default=True,
        help_text=_(
            "A second reward model, trained on held-out judgements only, judges the policy."
        ),
    )
    policy_method = models.CharField(max_length=50, default="ppo")
    policy_start = models.CharField(
        max_length=20, choices=PolicyStart.choices, default=PolicyStart.REFERENCE
    )
    strategy = models.CharField(max_length=50, default="random")
    random_share = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_(
            "Share of tasks chosen at random whatever the strategy, so that measurements "
            "stay unbiased."
        ),
    )
    candidates_per_prompt = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(64)],
        help_text=_(
            "Answers drawn per prompt for a strategy to choose from; 0: twice those shown."
        ),
    )
    auto_start = models.BooleanField(default=True)
    interval_hours = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.1)],
        help_text=_("A round also starts this long after the last one began, with fewer rankings."),
    )
    gates = models.JSONField(
        default=dict, blank=True, help_text=_("{gate: limit} on top of the defaults.")
    )
    approval = models.CharField(max_length=20, choices=Approval.choices, default=Approval.AUTOMATIC)
    trial_votes = models.PositiveIntegerField(
        default=0,
        help_text=_(
            "Blind judgements of the new policy against the one in use before it may be "
            "deployed, at most; 0: no trial."
        ),
    )
    weight_previous = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0)],
        help_text=_("Share of answers by the policy before, beside 1 of the one in use."),
    )
    weight_reference = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0)],
        help_text=_("Share of answers by the reference (SFT), beside 1 of the policy in use."),
    )
    retired_tasks = models.CharField(
        max_length=20, choices=RetiredTasks.choices, default=RetiredTasks.WITHDRAW
    )
    overrides = models.JSONField(
        default=dict, blank=True, help_text=_("{method: {field: value}} on top of its defaults.")
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
            models.CheckConstraint(
                condition=models.Q(
                    weight_previous__gte=0,
                    weight_reference__gte=0,
                    random_share__gte=0,
                    random_share__lte=1,
                ),
                name="loop_shares",
            ),
            choices_check("reward_model", RewardModelUse, "loop_reward_model_known"),
            choices_check("policy_start", PolicyStart, "loop_policy_start_known"),
            choices_check("approval", Approval, "loop_approval_known"),
            choices_check("retired_tasks", RetiredTasks, "loop_retired_tasks_known"),
        ]

    def __str__(self) -> str:
        return f"loop settings of {self.project_id}"

    @property
    def num_prompts(self) -> int:
        return self.prompts_per_round or self.rankings_per_round
