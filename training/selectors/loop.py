"""Where a project's loop stands: what the dashboard shows at the top."""

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, F, QuerySet, Sum

from annotation.choices import TaskStatus
from annotation.judgements import kind_list
from annotation.judgements.base import JudgementKind
from annotation.models import Demonstration, Project, Ranking, Task, Thumb
from annotation.selectors.exclusions import judgements_counted
from training.algorithms.methods import method_list
from training.choices import (
    ROUND_OPEN,
    DeploymentRole,
    RewardModelUse,
    RoundStatus,
    RoundStep,
    WaitingFor,
)
from training.models import Checkpoint, Deployment, LoopSettings, Round, Snapshot
from training.selectors.plans import round_plan
from training.selectors.rounds import RoundSummary, round_summary

# Enough to leave the reward model something to learn from after the held-out ones are set aside.
MANUAL_RANKINGS = 16


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the next round waits for.

    `what` is "demonstrations", "rankings", "thumbs", or "judgements": rankings and thumbs together.
    """

    what: str
    have: int
    need: int

    @property
    def missing(self) -> int:
        return max(0, self.need - self.have)

    @property
    def is_met(self) -> bool:
        return self.missing == 0

    @property
    def percent(self) -> int:
        return 100 if self.need == 0 else min(100, 100 * self.have // self.need)


@dataclass(frozen=True, slots=True)
class LoopStatus:
    """`sentence` says in words what happens next.

    `current` is the round under way or paused. `requirement` is what the loop waits for by itself,
    `requirement_manual` what "train now" takes; `can_start` tells whether it would work at this
    moment. `next_steps` are those of the next round.
    """

    auto_start: bool
    current: RoundSummary | None
    last: RoundSummary | None
    next_number: int
    next_steps: list[str]
    requirement: Requirement
    requirement_manual: Requirement
    sentence: str
    can_start: bool
    deployed_id: int | None
    deployed_name: str
    open_tasks: dict[str, int]
    open_judgements: dict[str, int]
    num_demonstrations: int
    num_rankings: int
    num_thumbs: int
    num_rounds: int


def loop_settings_get(project: Project) -> LoopSettings:
    """The stored settings, or unsaved defaults."""
    found = LoopSettings.objects.filter(project=project).first()
    return found or LoopSettings(project=project)


def deployed_checkpoint_get(project: Project) -> Checkpoint | None:
    """The policy in use."""
    deployment = (
        Deployment.objects.filter(
            project=project, retired_at__isnull=True, role=DeploymentRole.PRIMARY
        )
        .select_related("checkpoint")
        .first()
    )
    return deployment.checkpoint if deployment else None


def requirement_get(
    project: Project, settings: LoopSettings | None = None, *, is_manual: bool = False
) -> Requirement:
    """Judgements that count and no earlier round has seen, against what the next round needs.

    A person may start one with fewer than the loop waits for, down to MANUAL_RANKINGS.
    """
    requirement = _requirement(project, settings or loop_settings_get(project))
    return _for_people(requirement) if is_manual else requirement


def _requirement(project: Project, settings: LoopSettings) -> Requirement:
    last = _snapshot_last(project)
    if deployed_checkpoint_get(project) is None:
        seen = _num_counted(last.demonstrations.all(), project) if last else 0
        total = demonstrations_count(project)
        # A first round that stopped waits for as many demonstrations again before it tries anew.
        return Requirement("demonstrations", total - seen, settings.min_demonstrations)
    kinds = kinds_waited_for(project, settings)
    return Requirement(
        what=kinds[0].plural if len(kinds) == 1 else "judgements",
        have=sum(_num_new(kind, project, last) for kind in kinds),
        need=settings.rankings_per_round,
    )


def _for_people(requirement: Requirement) -> Requirement:
    if requirement.what == "demonstrations":
        return requirement
    return replace(requirement, need=min(requirement.need, MANUAL_RANKINGS))


def kinds_waited_for(project: Project, settings: LoopSettings) -> list[JudgementKind]:
    """The kinds that a round after the first learns from, demonstrations aside.

    Those the project collects; when it collects none of them, those that its methods read.
    """
    used = {settings.policy_method}
    if settings.reward_model != RewardModelUse.NONE:
        used |= {method.name for method in method_list("reward_model")}
    streams = {name for method in method_list() if method.name in used for name in method.data}
    read = [kind for kind in kind_list() if kind.training_stream in streams - {"demonstrations"}]
    return [kind for kind in read if kind.name in project.kinds] or read


def demonstrations_count(project: Project) -> int:
    """Those that count: not of excluded people."""
    return _num_counted(Demonstration.objects.filter(prompt__project=project), project)


def rankings_count(project: Project) -> int:
    """Those that count: not of excluded people."""
    return _num_counted(Ranking.objects.filter(prompt__project=project), project)


def thumbs_count(project: Project) -> int:
    """Those that count: not of excluded people."""
    return _num_counted(Thumb.objects.filter(prompt__project=project), project)


def loop_status(project: Project) -> LoopStatus:
    settings = loop_settings_get(project)
    rounds = Round.objects.filter(project=project)
    last = rounds.order_by("-number").first()
    summary = round_summary(last) if last else None
    is_open = last is not None and last.status in ROUND_OPEN
    requirement = requirement_get(project, settings)
    manual = _for_people(requirement)
    deployed = deployed_checkpoint_get(project)
    next_number = last.number + 1 if last else 0
    tasks = {
        row["kind"]: row
        for row in Task.objects.filter(project=project, status=TaskStatus.OPEN)
        .values("kind")
        .annotate(num=Count("id"), slots=Sum(F("judgements_wanted") - F("claims")))
    }
    return LoopStatus(
        auto_start=settings.auto_start,
        current=summary if is_open else None,
        last=summary,
        next_number=next_number,
        next_steps=_next_steps(project, settings, requirement),
        requirement=requirement,
        requirement_manual=manual,
        sentence=_sentence(requirement, summary, is_open, next_number, settings.auto_start),
        can_start=not is_open and manual.is_met,
        deployed_id=deployed.pk if deployed else None,
        deployed_name=deployed.name if deployed else "",
        open_tasks={kind: row["num"] for kind, row in tasks.items()},
        open_judgements={kind: row["slots"] for kind, row in tasks.items()},
        num_demonstrations=demonstrations_count(project),
        num_rankings=rankings_count(project),
        num_thumbs=thumbs_count(project),
        num_rounds=rounds.count(),
    )


def shortage_sentence(requirement: Requirement, next_number: int) -> str:
    """In the form "Round 2 needs 64 new rankings; there are 40, so 24 are missing."."""
    verb = "is" if requirement.missing == 1 else "are"
    return (
        f"Round {next_number} needs {requirement.need} new {requirement.what}; there are "
        f"{requirement.have}, so {requirement.missing} {verb} missing."
    )


def _sentence(
    requirement: Requirement,
    last: RoundSummary | None,
    is_open: bool,
    next_number: int,
    auto_start: bool,
) -> str:
    if is_open and last is not None:
        return _sentence_of_round(last)
    if not requirement.is_met:
        return shortage_sentence(requirement, next_number)
    if auto_start:
        return f"Round {next_number} starts within seconds."
    return f"Round {next_number} can start: there are {requirement.have} {requirement.what}."


def _next_steps(project: Project, settings: LoopSettings, requirement: Requirement) -> list[str]:
    """The next round's plan once it may start: then a first round has what SFT needs."""
    steps = round_plan(project, settings)
    is_first = requirement.what == "demonstrations"
    if is_first and requirement.need and RoundStep.SFT not in steps:
        steps.insert(1, str(RoundStep.SFT))
    return steps


def _sentence_of_round(item: RoundSummary) -> str:
    if item.status == RoundStatus.PAUSED:
        return f"Round {item.number} is paused: {_lowered(item.step_title)}. Resume or cancel it."
    if item.waiting_for == WaitingFor.APPROVAL:
        return f"Round {item.number} waits for approval. {item.sentence}"
    if item.waiting_for == WaitingFor.VOTES:
        return f"Round {item.number} waits for votes. {item.sentence}"
    return f"Round {item.number} is under way: {_lowered(item.step_title)}."


def _lowered(title: str) -> str:
    return title[0].lower() + title[1:]


def _num_new(kind: JudgementKind, project: Project, last: Snapshot | None) -> int:
    """Judgements that count and the snapshot lacks; its field is named by the kind's plural."""
    rows = kind.model._default_manager.filter(prompt__project=project)
    seen = _num_counted(getattr(last, kind.plural).all(), project) if last else 0
    return _num_counted(rows, project) - seen


def _num_counted(judgements: QuerySet[Any], project: Project) -> int:
    return judgements_counted(judgements, project).count()


def _snapshot_last(project: Project) -> Snapshot | None:
    last = (
        Round.objects.filter(project=project, snapshot__isnull=False)
        .select_related("snapshot")
        .order_by("-number")
        .first()
    )
    return last.snapshot if last else None
