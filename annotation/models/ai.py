"""What an AI says about answers, kept apart from what people say."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from annotation.choices import AILabelerKind, RevisionStatus
from annotation.models.base import CreatedModel, choices_check
from annotation.models.completion import Completion
from annotation.models.project import Project
from annotation.models.prompt import Prompt

MAX_PRINCIPLE_CHARACTERS = 2_000


class Principle(CreatedModel):
    """A sentence that says what makes an answer good. Its text lives in versions."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="principles")
    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0)
    is_active = models.BooleanField(default=True, help_text="Inactive ones are not asked about.")

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="principle_name_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def version(self) -> "PrincipleVersion":
        """The newest one."""
        return max(self.versions.all(), key=lambda version: version.number)

    @property
    def text(self) -> str:
        return self.version.text


class PrincipleVersion(CreatedModel):
    """A principle's text, for ever: an edit adds a version, so judgements keep what was asked."""

    principle = models.ForeignKey(Principle, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField(max_length=MAX_PRINCIPLE_CHARACTERS)
    text_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["principle", "number"]
        constraints = [
            models.UniqueConstraint(fields=["principle", "number"], name="principle_version_once"),
        ]

    def __str__(self) -> str:
        return f"version {self.number} of principle {self.principle_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(f"{self} is history: add a version instead of changing it.")
        super().save(*args, **kwargs)


class AILabeler(CreatedModel):
    """A model that judges pairs. Its judgements count only as `labels_count` says."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="ai_labelers")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="ai_labeler",
        help_text="An account that cannot log in.",
    )
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=AILabelerKind.choices)
    config = models.JSONField(
        default=dict,
        blank=True,
        help_text="An endpoint's server_url and server_model, or a checkpoint_id; and any other "
        "hyperparameters of ai_feedback.",
    )
    is_active = models.BooleanField(default=True)
    counts = models.BooleanField(
        default=False, help_text="An admin wants its judgements to be learned from."
    )
    min_agreement = models.FloatField(
        default=0.6,
        validators=[MinValueValidator(0.5), MaxValueValidator(1)],
        help_text="What the lower end of its agreement with people must reach for it to count.",
    )
    weight = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.001), MaxValueValidator(1)],
        help_text="Of one of its judgements, where a person's has 1.",
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="ai_labeler_name_once"),
            models.CheckConstraint(
                condition=Q(min_agreement__gte=0.5, min_agreement__lte=1, weight__gt=0),
                name="ai_labeler_numbers_in_range",
            ),
            choices_check("kind", AILabelerKind, "ai_labeler_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name


class AIJudgement(CreatedModel):
    """A soft label of one pair by one labeler, made in one setting of model and principles."""

    ai_labeler = models.ForeignKey(AILabeler, on_delete=models.CASCADE, related_name="judgements")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="ai_judgements")
    first = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    probability = models.FloatField(help_text="That the first completion is better.")
    order_gap = models.FloatField(
        help_text="What being shown first was worth: 0 for a judge who reads only the texts."
    )
    is_hard = models.BooleanField(help_text="An answer was only a letter, without probabilities.")
    principles = models.JSONField(
        help_text="[{version, hash, probability, order_gap}]: the exact texts that were asked."
    )
    setting_hash = models.CharField(
        max_length=64, help_text="Of the model, its hyperparameters and the principles' texts."
    )
    run_id = models.PositiveBigIntegerField(help_text="The training run that made it.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["ai_labeler", "first", "second", "setting_hash"],
                name="ai_judgement_once_per_setting",
            ),
            models.CheckConstraint(
                condition=Q(first__lt=F("second")), name="ai_judgement_first_before_second"
            ),
            models.CheckConstraint(
                condition=Q(probability__gte=0, probability__lte=1),
                name="ai_judgement_probability_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return f"AI judgement {self.pk}"


class AIRevision(CreatedModel):
    """An answer a model rewrote by a principle: a demonstration once a person approved it."""

    ai_labeler = models.ForeignKey(AILabeler, on_delete=models.CASCADE, related_name="revisions")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="ai_revisions")
    principle = models.ForeignKey(
        PrincipleVersion, on_delete=models.PROTECT, related_name="revisions"
    )
    step = models.PositiveIntegerField(help_text="From 0: which revision of the answer.")
    initial = models.TextField()
    critique = models.TextField()
    revision = models.TextField()
    run_id = models.PositiveBigIntegerField(help_text="The training run that made it.")
    status = models.CharField(
        max_length=10, choices=RevisionStatus.choices, default=RevisionStatus.WAITING
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["run_id", "prompt", "step"], name="ai_revision_once_per_run"
            ),
            models.CheckConstraint(
                condition=Q(
                    status=RevisionStatus.WAITING, decided_by__isnull=True, decided_at__isnull=True
                )
                | (
                    ~Q(status=RevisionStatus.WAITING)
                    & Q(decided_by__isnull=False, decided_at__isnull=False)
                ),
                name="ai_revision_decided_by_iff_decided",
            ),
            choices_check("status", RevisionStatus, "ai_revision_status_known"),
        ]

    def __str__(self) -> str:
        return f"AI revision {self.pk}"
