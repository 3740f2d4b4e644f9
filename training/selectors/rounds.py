"""Rounds as people read them: how far each step is, and the headline numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from annotation.errors import NotFound
from annotation.models import Project
from training.choices import RoundStatus, RoundStep
from training.models import Round, Run


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a round's plan.

    `state` is waiting, running, done, failed or cancelled; a step with a run shows the run's own
    status instead while it is not over (queued, running, interrupted).
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

    Errors are standard errors over the `num_prompts` prompts; the gain is paired by prompt.
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


@dataclass(frozen=True, slots=True)
class RoundSummary:
    id: int
    number: int
    status: str
    step: str
    trigger: str
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    error_code: str
    error_text: str
    snapshot_hash: str
    manifest: dict
    checkpoint_id: int | None
    checkpoint_name: str
    steps: list[StepState]
    headline: Headline | None


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
    return Round.objects.select_related("snapshot", "started_by").prefetch_related(
        "runs", "deployments__checkpoint"
    )


def _summary(item: Round) -> RoundSummary:
    runs = {run.step: run for run in item.runs.all()}
    deployment = next(iter(item.deployments.all()), None)
    return RoundSummary(
        id=item.pk,
        number=item.number,
        status=item.status,
        step=item.step,
        trigger=item.trigger,
        started_by=item.started_by.get_username() if item.started_by else "",
        started_at=item.started_at,
        finished_at=item.finished_at,
        error_code=item.error_code,
        error_text=item.error_text,
        snapshot_hash=item.snapshot.hash if item.snapshot else "",
        manifest=item.snapshot.manifest if item.snapshot else {},
        checkpoint_id=deployment.checkpoint_id if deployment else None,
        checkpoint_name=deployment.checkpoint.name if deployment else "",
        steps=list(_steps(item, runs)),
        headline=_headline(runs.get(RoundStep.EVALUATE)),
    )


def _steps(item: Round, runs: dict[str, Run]) -> Iterable[StepState]:
    position = item.steps.index(item.step)
    for index, name in enumerate(item.steps):
        title = RoundStep(name).label
        run = runs.get(name)
        if index < position or item.status == RoundStatus.SUCCEEDED:
            state = "done"
        elif index > position:
            state = "waiting"
        elif item.status != RoundStatus.RUNNING:
            state = item.status
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
    )
