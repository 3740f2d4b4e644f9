"""How far AI labelers agree with people, and whether their judgements count."""

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet

from annotation.choices import RevisionStatus
from annotation.errors import NotFound
from annotation.models import AIJudgement, AILabeler, AIRevision, Project, Ranking
from annotation.selectors.exclusions import excluded_ids, judgements_counted
from annotation.selectors.principles import principle_versions_active
from training.algorithms.ai_feedback import AIFeedbackConfig
from training.algorithms.configs import config_resolve
from training.algorithms.measuring.intervals import effective_trials, wilson_interval
from training.choices import CheckpointKind
from training.models import Checkpoint

# With fewer clusters the interval itself is not to be trusted.
MIN_PROMPTS = 20
CHECKPOINT_ID = "checkpoint_id"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said about one pair, first < second; ties say nothing and are left out."""

    prompt_id: int
    first: int
    second: int
    first_is_better: bool

    @property
    def pair(self) -> tuple[int, int]:
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class Agreement:
    """A share of agreeing decisions with its 95 % interval; None without any."""

    share: float | None
    low: float | None
    high: float | None
    num_decisions: int
    num_prompts: int


@dataclass(frozen=True, slots=True)
class AILabelerStatus:
    """One row of the page: the labeler, what was measured, and whether it counts.

    The numbers are of its present setting. `order_gap`: how much of its probability being shown
    first is worth on average; `num_hard`: labels without probabilities.
    """

    labeler: AILabeler
    agreement: Agreement
    num_judgements: int
    num_hard: int
    order_gap: float | None
    counts: bool
    refusal: str | None


def ai_labeler_list(project: Project) -> QuerySet[AILabeler]:
    return AILabeler.objects.filter(project=project).select_related("project", "user")


def ai_labeler_get(project: Project, labeler_id: int) -> AILabeler:
    """Raises NotFound."""
    labeler = ai_labeler_list(project).filter(pk=labeler_id).first()
    if labeler is None:
        raise NotFound(f"{project.slug} has no AI labeler {labeler_id}.")
    return labeler


def judge_checkpoints(project: Project) -> QuerySet[Checkpoint]:
    """Those that write text: the project's own, and base models."""
    usable = Checkpoint.objects.filter(Q(project=project) | Q(kind=CheckpointKind.BASE))
    return usable.exclude(kind=CheckpointKind.REWARD_MODEL).order_by("-pk")


def judge_config(labeler: AILabeler) -> AIFeedbackConfig:
    """Its hyperparameters alone: a project's overrides do not reach what was measured."""
    values = {name: value for name, value in labeler.config.items() if name != CHECKPOINT_ID}
    return config_resolve(AIFeedbackConfig, values)


def setting_hash(labeler: AILabeler) -> str:
    """Of all that decides about its judgements: the model, its config, the principles' texts.

    A measured agreement holds for one setting; an edit of any part begins a new one.
    """
    texts = [version.text_hash for version in principle_versions_active(labeler.project)]
    setting = {
        CHECKPOINT_ID: labeler.config.get(CHECKPOINT_ID),
        "config": dataclasses.asdict(judge_config(labeler)),
        "principles": texts,
    }
    return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()


def judgements_current(labeler: AILabeler) -> QuerySet[AIJudgement]:
    """Those made in the setting it has now."""
    return AIJudgement.objects.filter(ai_labeler=labeler, setting_hash=setting_hash(labeler))


def people_decisions(project: Project, prompt_ids: Iterable[int] | None = None) -> list[Decision]:
    """Every pair that a ranking decided, of all prompts or of some; excluded people's not."""
    rankings = judgements_counted(Ranking.objects.filter(task__project=project), project)
    if prompt_ids is not None:
        rankings = rankings.filter(prompt__in=set(prompt_ids))
    decisions = []
    rows = rankings.prefetch_related("items").order_by("pk")
    for ranking in rows.iterator(chunk_size=CHUNK):
        ranks = sorted((item.completion_id, item.rank) for item in ranking.items.all())
        decisions += [
            Decision(ranking.prompt_id, first, second, rank < other)
            for (first, rank), (second, other) in combinations(ranks, 2)
            if rank != other
        ]
    return decisions


def agreement_with_people(labeler: AILabeler, decisions: Sequence[Decision]) -> Agreement:
    """The share of people's decided pairs on which the labeler's side is theirs.

    A probability of exactly one half takes no side and agrees by half.
    """
    judged = judgements_current(labeler).values_list("first_id", "second_id", "probability")
    probabilities = {(first, second): probability for first, second, probability in judged}
    credits = [
        (decision.prompt_id, _credit(probabilities[decision.pair], decision))
        for decision in decisions
        if decision.pair in probabilities
    ]
    return agreement_of(credits)


def people_agreement(decisions: Sequence[Decision]) -> Agreement:
    """The share of pairs decided twice on which two people took the same side."""
    by_pair: dict[tuple[int, int], list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_pair[decision.pair].append(decision)
    credits = [
        (one.prompt_id, float(one.first_is_better == other.first_is_better))
        for own in by_pair.values()
        for one, other in combinations(own, 2)
    ]
    return agreement_of(credits)


def agreement_refusal(labeler: AILabeler, agreement: Agreement) -> str | None:
    """Why its judgements may not count, None when they may."""
    if agreement.low is None or agreement.num_prompts < MIN_PROMPTS:
        return (
            f"Its agreement with people was measured on {agreement.num_prompts} prompts in its "
            f"present setting; at least {MIN_PROMPTS} are needed. Measure it."
        )
    if agreement.low < labeler.min_agreement:
        return (
            f"It agrees with people on {agreement.share:.0%} of decided pairs, but the lower end "
            f"of the interval is {agreement.low:.0%}, below the {labeler.min_agreement:.0%} that "
            "are asked. Improve the principles or the model, or measure on more pairs."
        )
    return None


def labels_count(labeler: AILabeler, agreement: Agreement) -> bool:
    """The one rule: an admin switched it on, and its measured agreement is high enough."""
    return labeler.is_active and labeler.counts and agreement_refusal(labeler, agreement) is None


def ai_labeler_statuses(project: Project) -> tuple[list[AILabelerStatus], Agreement]:
    """Every labeler of the project beside the agreement among its people."""
    decisions = people_decisions(project)
    statuses = [_status(labeler, decisions) for labeler in ai_labeler_list(project)]
    return statuses, people_agreement(decisions)


def ai_labeler_status(labeler: AILabeler) -> AILabelerStatus:
    return _status(labeler, people_decisions(labeler.project))


def judgements_counting(project: Project) -> list[AIJudgement]:
    """What may be learned from: of labelers that count, on pairs that no person decided."""
    candidates = [each for each in ai_labeler_list(project) if each.is_active and each.counts]
    if not candidates:
        return []
    decisions = people_decisions(project)
    decided = {decision.pair for decision in decisions}
    found = []
    for labeler in candidates:
        if labels_count(labeler, agreement_with_people(labeler, decisions)):
            rows = judgements_current(labeler).select_related("ai_labeler", "first", "second")
            found += [row for row in rows if (row.first_id, row.second_id) not in decided]
    return found


def revisions_counting(project: Project) -> QuerySet[AIRevision]:
    """What people approved, except people who are excluded now."""
    return AIRevision.objects.filter(
        prompt__project=project, status=RevisionStatus.APPROVED
    ).exclude(decided_by__in=excluded_ids(project))


def _status(labeler: AILabeler, decisions: Sequence[Decision]) -> AILabelerStatus:
    agreement = agreement_with_people(labeler, decisions)
    judged = judgements_current(labeler).aggregate(
        num=Count("pk"), hard=Count("pk", filter=Q(is_hard=True)), gap=Avg("order_gap")
    )
    return AILabelerStatus(
        labeler=labeler,
        agreement=agreement,
        num_judgements=judged["num"],
        num_hard=judged["hard"],
        order_gap=judged["gap"],
        counts=labels_count(labeler, agreement),
        refusal=agreement_refusal(labeler, agreement),
    )


def _credit(probability: float, decision: Decision) -> float:
    if probability == 0.5:
        return 0.5
    return float((probability > 0.5) == decision.first_is_better)


def agreement_of(credits: Sequence[tuple[int, float]]) -> Agreement:
    """Wilson's interval of the share, its trials clustered by prompt; credits: (prompt, 0 to 1)."""
    if not credits:
        return Agreement(None, None, None, 0, 0)
    by_prompt: dict[Any, list[float]] = defaultdict(list)
    for prompt_id, credit in credits:
        by_prompt[prompt_id].append(credit)
    correct = [sum(own) for own in by_prompt.values()]
    totals = [len(own) for own in by_prompt.values()]
    share = sum(correct) / sum(totals)
    low, high = wilson_interval(share, effective_trials(correct, totals))
    return Agreement(share, low, high, sum(totals), len(totals))
