from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from annotation.choices import Role
from annotation.models.base import CreatedModel, choices_check

MIN_COMPLETIONS = 2
MAX_COMPLETIONS = 9


def kinds_default() -> list[str]:
    return ["demonstration", "ranking"]


class Project(CreatedModel):
    """One policy being taught: its prompts, its people, and how they are asked."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=10_000)
    guidelines = models.TextField(
        blank=True, max_length=100_000, help_text="Shown beside every task."
    )
    lease_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)],
        help_text="How long a claimed task is reserved without a sign of life.",
    )
    judgements_per_task = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How many annotators judge each ranking task. Holds for new tasks.",
    )
    completions_per_task = models.PositiveIntegerField(
        default=4,
        validators=[MinValueValidator(MIN_COMPLETIONS), MaxValueValidator(MAX_COMPLETIONS)],
        help_text="How many completions a ranking task shows (2 to 9). Holds for new tasks.",
    )
    kinds = models.JSONField(
        default=kinds_default, help_text="Names of the kinds of judgement that are collected."
    )
    demonstrations_target = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(1_000_000)],
        help_text="For how many prompts a person is asked to write the answer.",
    )
    targets = models.JSONField(
        default=dict,
        blank=True,
        help_text="Of each kind that starts from nothing or a brief: how many tasks are wanted.",
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="Of each kind: what differs from its defaults."
    )
    undo_minutes = models.PositiveIntegerField(
        default=10,
        validators=[MaxValueValidator(24 * 60)],
        help_text="How long a labeler may take back a judgement; 0: never.",
    )
    is_active = models.BooleanField(
        default=True, help_text="A paused project hands out no new work."
    )

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    completions_per_task__gte=MIN_COMPLETIONS,
                    completions_per_task__lte=MAX_COMPLETIONS,
                ),
                name="project_completions_per_task_2_to_9",
            ),
            models.CheckConstraint(
                condition=models.Q(judgements_per_task__gte=1, lease_minutes__gte=1),
                name="project_counts_at_least_1",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(CreatedModel):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.LABELER)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once"),
            choices_check("role", Role, "membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"
