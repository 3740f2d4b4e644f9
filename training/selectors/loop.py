"""Where a project's loop stands: what the dashboard shows at the top."""

from dataclasses import dataclass, replace

from django.db.models import Count, F, Sum

from annotation.choices import TaskStatus
from annotation.judgements.base import JudgementKind
from annotation.models import Project, Task
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
from training.selectors.judgements import (
    judgements_new_count,
    judgements_submitted,
    kinds_counted,
)
from training.selectors.plans import round_plan
from training.selectors.rounds import RoundSummary, round_summary

# Enough to leave the reward model something to learn from after the held-out ones are set aside.
MANUAL_RANKINGS = 16
# What is waited for where a project collects nothing that teaches a stream.
STREAM_WORDS = {"rankings": "rankings", "ratings": "thumbs"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the next round waits for.

    `what` is "demonstrations", the plural of the one kind that is waited for ("rankings",
    "comparisons" and so on), or "judgements" for several kinds together.
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
        # A first round that stopped waits for as many demonstrations again before it tries anew.
        have = judgements_new_count(project, kinds_counted("demonstrations"), last)
        return Requirement("demonstrations", have, settings.min_demonstrations)
    kinds = kinds_waited_for(project, settings)
    return Requirement(
        what=_what(project, kinds),
        have=judgements_new_count(project, kinds, last),
        need=settings.rankings_per_round,
    )


def _for_people(requirement: Requirement) -> Requirement:
    if requirement.what == "demonstrations":
        return requirement
    return replace(requirement, need=min(requirement.need, MANUAL_RANKINGS))


def kinds_waited_for(project: Project, settings: LoopSettings) -> list[JudgementKind]:
    """The kinds that a round after the first waits for, demonstrations aside.

    Those the project collects; when it collects none of them, those that its methods read.
    """
    used = {settings.policy_method}
    if settings.reward_model != RewardModelUse.NONE:
        used |= {method.name for method in method_list("reward_model")}
    streams = {name for method in method_list() if method.name in used for name in method.data}
    read = [kind for name in sorted(streams & STREAM_WORDS.keys()) for kind in kinds_counted(name)]
    return [kind for kind in read if kind.name in project.kinds] or read


def _what(project: Project, kinds: list[JudgementKind]) -> str:
    collected = [kind for kind in kinds if kind.name in project.kinds]
    if len(collected) == 1:
        # A plural is made for addresses.
        return collected[0].plural.replace("-", " ")
    words = {STREAM_WORDS[kind.counted_stream or ""] for kind in kinds}
    if not collected and len(words) == 1:
        return words.pop()
    return "judgements"


def demonstrations_count(project: Project) -> int:
    """Judgements that count as demonstrations, not of excluded people."""
    return _num_counted(project, "demonstrations")


def rankings_count(project: Project) -> int:
    """Judgements that order answers, of whatever kind: each counts once, however many pairs."""
    return _num_counted(project, "rankings")


def thumbs_count(project: Project) -> int:
    """Judgements of single answers."""
    return _num_counted(project, "ratings")


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


def _num_counted(project: Project, stream: str) -> int:
    return judgements_submitted(project, kinds_counted(stream)).count()


def _snapshot_last(project: Project) -> Snapshot | None:
    last = (
        Round.objects.filter(project=project, snapshot__isnull=False)
        .select_related("snapshot")
        .order_by("-number")
        .first()
    )
    return last.snapshot if last else None
