"""Rounds as people read them: how far each step is, and the headline numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet

from annotation.errors import NotFound
from annotation.models import Project
from training.choices import (
    ROUND_OPEN,
    ROUND_STOPPED,
    Decision,
    DeploymentRole,
    RoundStatus,
    RoundStep,
    Trigger,
    WaitingFor,
)
from training.models import Deployment, Round, Run
from training.selectors.decisions import (
    GateSeen,
    Trial,
    decision_sentence,
    gates_seen,
    trial_of,
)

# The parts that checkpoints play in making a policy; without a "start" it begins as the reference.
PART_TITLES = {
    "reference": "Reference",
    "start": "Started from",
    "reward_model": "Reward model",
}


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a round's plan.

    `state` is waiting, running, waiting_for_people, paused, done, left_out, failed or cancelled; a
    step with a run shows the run's own status instead while it is not over (queued, running,
    interrupted).
    """

    name: str
    title: str
    state: str
    run_id: int | None = None
    progress_done: int = 0
    progress_total: int = 0
    progress_message: str = ""


@dataclass(frozen=True, slots=True)
class Headline:
    """A round's held-out numbers; None where the round did not measure it.

    Errors are standard errors over the `num_prompts` prompts; gains are paired by prompt. Reward:
    by the reward model the policy was trained on; test: by the one trained on held-out judgements.
    `gain_gap` is their difference in standard deviations; `retention_rise` is in nats per token.
    """

    pair_accuracy: float | None
    pair_accuracy_n: int
    pair_accuracy_low: float | None
    pair_accuracy_high: float | None
    reward_policy: float | None
    reward_policy_error: float | None
    reward_reference: float | None
    reward_reference_error: float | None
    reward_gain: float | None
    reward_gain_error: float | None
    num_prompts: int
    kl_to_reference: float | None
    length_policy: float | None
    length_reference: float | None
    test_gain: float | None
    test_gain_error: float | None
    gain_over_previous: float | None
    gain_over_previous_error: float | None
    gain_gap: float | None
    retention_rise: float | None


@dataclass(frozen=True, slots=True)
class ReplacedRun:
    """A run whose step was done again after a retry from that step or before it."""

    run_id: int
    step: str
    title: str
    status: str
    superseded_at: datetime


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A checkpoint that the round's policy was made from, by the part it played."""

    role: str
    title: str
    checkpoint_id: int
    checkpoint_name: str


@dataclass(frozen=True, slots=True)
class DeployedPolicy:
    """A policy that the round deployed, with the share of the answers it was given."""

    role: str
    title: str
    checkpoint_id: int
    checkpoint_name: str
    weight: float
    is_live: bool


@dataclass(frozen=True, slots=True)
class Actions:
    """What a person may do to a round as it stands; `retry_steps` are those to take it up from."""

    pause: bool
    resume: bool
    cancel: bool
    approve: bool
    reject: bool
    retry: bool
    retry_steps: list[str]


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """`sentence` says what was decided and why, or what the decision waits for.

    `checkpoint` is what it deployed, `chosen` the checkpoint of its policy that the evaluation
    chose. `settings` are the loop's as they were at its start.
    """

    id: int
    number: int
    status: str
    step: str
    step_title: str
    trigger: str
    trigger_title: str
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    error_code: str
    error_text: str
    snapshot_hash: str
    manifest: dict
    settings: dict[str, Any]
    checkpoint_id: int | None
    checkpoint_name: str
    chosen_id: int | None
    chosen_name: str
    made_from: list[Ancestor]
    waiting_for: str
    decision: str
    decision_title: str
    decision_reason: str
    decided_by: str
    decided_at: datetime | None
    sentence: str
    gates: list[GateSeen]
    trial: Trial | None
    deployments: list[DeployedPolicy]
    rolled_back_at: datetime | None
    rolled_back_by: str
    rollback_reason: str
    steps: list[StepState]
    replaced_runs: list[ReplacedRun]
    headline: Headline | None
    actions: Actions


def round_list(project: Project) -> list[RoundSummary]:
    """Newest first."""
    return [_summary(item) for item in _rounds().filter(project=project).order_by("-number")]


def round_get(project: Project, number: int) -> RoundSummary:
    """Raises NotFound."""
    item = _rounds().filter(project=project, number=number).first()
    if item is None:
        raise NotFound(f"{project.slug} has no round {number}.")
    return _summary(item)


def round_summary(item: Round) -> RoundSummary:
    return _summary(_rounds().get(pk=item.pk))


def _rounds() -> QuerySet[Round]:
    later = Round.objects.filter(project=OuterRef("project"), number__gt=OuterRef("number"))
    return (
        Round.objects.select_related(
            "snapshot", "started_by", "chosen", "decided_by", "rolled_back_by"
        )
        .prefetch_related("runs__run_parents__checkpoint", "deployments__checkpoint")
        .annotate(is_latest=~Exists(later))
    )


def _summary(item: Round) -> RoundSummary:
    runs = {run.step: run for run in item.runs.all() if run.superseded_at is None}
    deployed = list(item.deployments.all())
    primary = next((row for row in deployed if row.role == DeploymentRole.PRIMARY), None)
    chosen = item.chosen.name if item.chosen else ""
    trial = trial_of(item)
    return RoundSummary(
        id=item.pk,
        number=item.number,
        status=item.status,
        step=item.step,
        step_title=RoundStep(item.step).label,
        trigger=item.trigger,
        trigger_title=Trigger(item.trigger).label,
        started_by=_username(item.started_by),
        started_at=item.started_at,
        finished_at=item.finished_at,
        error_code=item.error_code,
        error_text=item.error_text,
        snapshot_hash=item.snapshot.hash if item.snapshot else "",
        manifest=item.snapshot.manifest if item.snapshot else {},
        settings=item.settings,
        checkpoint_id=primary.checkpoint_id if primary else None,
        checkpoint_name=primary.checkpoint.name if primary else "",
        chosen_id=item.chosen_id,
        chosen_name=chosen,
        made_from=_made_from(runs.get(RoundStep.POLICY)),
        waiting_for=item.waiting_for,
        decision=item.decision,
        decision_title=item.get_decision_display(),
        decision_reason=item.decision_reason,
        decided_by=_username(item.decided_by),
        decided_at=item.decided_at,
        sentence=decision_sentence(item, trial, chosen),
        gates=gates_seen(item),
        trial=trial,
        deployments=[_deployed(row) for row in deployed],
        rolled_back_at=item.rolled_back_at,
        rolled_back_by=_username(item.rolled_back_by),
        rollback_reason=item.rollback_reason,
        steps=list(_steps(item, runs)),
        replaced_runs=list(_replaced(item)),
        headline=_headline(runs.get(RoundStep.EVALUATE)),
        actions=_actions(item, has_policy=RoundStep.POLICY in runs, has_deployed=bool(deployed)),
    )


def _username(user: User | None) -> str:
    return user.get_username() if user else ""


def _made_from(run: Run | None) -> list[Ancestor]:
    parents = list(run.run_parents.all()) if run else []
    titles = PART_TITLES
    if "start" not in {row.role for row in parents}:
        titles = titles | {"reference": "Started from"}
    return [
        Ancestor(row.role, titles.get(row.role, row.role), row.checkpoint_id, row.checkpoint.name)
        for row in parents
    ]


def _deployed(row: Deployment) -> DeployedPolicy:
    return DeployedPolicy(
        role=row.role,
        title=row.get_role_display(),
        checkpoint_id=row.checkpoint_id,
        checkpoint_name=row.checkpoint.name,
        weight=row.weight,
        is_live=row.retired_at is None,
    )


def _replaced(item: Round) -> Iterable[ReplacedRun]:
    for run in item.runs.all():
        if run.superseded_at is not None:
            title = RoundStep(run.step).label
            yield ReplacedRun(run.pk, run.step, title, run.status, run.superseded_at)


def _actions(item: Round, *, has_policy: bool, has_deployed: bool) -> Actions:
    """What the services would not refuse (training.services.rounds, decisions)."""
    is_latest = bool(getattr(item, "is_latest", False))
    is_running = item.status == RoundStatus.RUNNING
    is_over = is_latest and item.status not in ROUND_OPEN
    is_held = item.status == RoundStatus.SUCCEEDED and item.decision == Decision.HOLD
    waits = is_running and item.waiting_for == WaitingFor.APPROVAL
    begun = item.steps[: item.steps.index(item.step) + 1]
    return Actions(
        pause=is_running,
        resume=item.status == RoundStatus.PAUSED,
        cancel=item.status in ROUND_OPEN,
        approve=waits or (is_held and is_latest and has_policy),
        reject=is_running and item.waiting_for in WaitingFor.values,
        retry=is_over and item.status in ROUND_STOPPED,
        retry_steps=begun if is_over and not has_deployed else [],
    )


def _steps(item: Round, runs: dict[str, Run]) -> Iterable[StepState]:
    position = item.steps.index(item.step)
    for index, name in enumerate(item.steps):
        title = RoundStep(name).label
        run = runs.get(name)
        is_over = item.status == RoundStatus.SUCCEEDED
        if index < position or (is_over and index == position):
            state = "done"
        elif index > position:
            # A round that decided against its policy ends where it decided.
            state = "left_out" if is_over else "waiting"
        elif item.status != RoundStatus.RUNNING:
            state = item.status
        elif item.waiting_for:
            state = "waiting_for_people"
        else:
            state = "running"
        if run is None:
            yield StepState(name, title, state)
            continue
        if state == "running" and run.status != "succeeded":
            state = run.status
        yield StepState(
            name=name,
            title=title,
            state=state,
            run_id=run.pk,
            progress_done=run.progress_done,
            progress_total=run.progress_total,
            progress_message=run.progress_message,
        )


def _headline(run: Run | None) -> Headline | None:
    metrics = (run.result or {}).get("metrics", {}) if run else {}
    if not metrics:
        return None
    return Headline(
        pair_accuracy=metrics.get("evaluate/pair_accuracy"),
        pair_accuracy_n=int(metrics.get("evaluate/num_pairs", 0)),
        pair_accuracy_low=metrics.get("evaluate/pair_accuracy_low"),
        pair_accuracy_high=metrics.get("evaluate/pair_accuracy_high"),
        reward_policy=metrics.get("evaluate/reward_policy"),
        reward_policy_error=metrics.get("evaluate/reward_policy_error"),
        reward_reference=metrics.get("evaluate/reward_reference"),
        reward_reference_error=metrics.get("evaluate/reward_reference_error"),
        reward_gain=metrics.get("evaluate/reward_gain"),
        reward_gain_error=metrics.get("evaluate/reward_gain_error"),
        num_prompts=int(metrics.get("evaluate/num_prompts", 0)),
        kl_to_reference=metrics.get("evaluate/kl_to_reference"),
        length_policy=metrics.get("evaluate/length_tokens_policy"),
        length_reference=metrics.get("evaluate/length_tokens_reference"),
        test_gain=metrics.get("evaluate/test_gain"),
        test_gain_error=metrics.get("evaluate/test_gain_error"),
        gain_over_previous=metrics.get("evaluate/gain_over_previous"),
        gain_over_previous_error=metrics.get("evaluate/gain_over_previous_error"),
        gain_gap=metrics.get("evaluate/gain_gap"),
        retention_rise=_retention_rise(metrics),
    )


def _retention_rise(metrics: dict[str, float]) -> float | None:
    policy = metrics.get("evaluate/retention_loss_policy")
    reference = metrics.get("evaluate/retention_loss_reference")
    return None if policy is None or reference is None else policy - reference
