"""Pausing, cancelling and taking up a round again: what a person may do to it."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.models import Task
from annotation.services.audit import audit_record
from annotation.services.tasks import tasks_withdraw
from training.choices import (
    ROUND_OPEN,
    ROUND_STOPPED,
    RUN_ACTIVE,
    RUN_STOPPED,
    RUN_WAITING,
    RoundStatus,
    RoundStep,
    RunStatus,
)
from training.errors import (
    RoundNotPaused,
    RoundNotRetryable,
    RoundNotRunning,
    RunFinished,
    RunNotRetryable,
)
from training.gates import REWARD_MODEL_GATES
from training.models import Round, Run
from training.services.doorbell import round_ring
from training.services.round_starting import configs_require, second_round_refuse
from training.services.runs import run_cancel, run_enqueue, run_requeue
from training.services.settings import loop_settings_ensure, settings_freeze


@transaction.atomic
def round_pause(*, round: Round, actor: User | None = None) -> Round:
    """Stops a running round for a while; its run saves its state and waits.

    Raises RoundNotRunning.
    """
    changed = Round.objects.filter(pk=round.pk, status=RoundStatus.RUNNING).update(
        status=RoundStatus.PAUSED
    )
    if not changed:
        raise _not_running(round)
    audit_record(actor=actor, verb="round:paused", target=round, project=round.project)
    round.refresh_from_db()
    return round


@transaction.atomic
def round_resume(*, round: Round, actor: User | None = None) -> Round:
    """Lets a paused round go on where it stood. Raises RoundNotPaused."""
    changed = Round.objects.filter(pk=round.pk, status=RoundStatus.PAUSED).update(
        status=RoundStatus.RUNNING
    )
    round.refresh_from_db()
    if not changed:
        raise RoundNotPaused(f"Round {round.number} is {round.status}.", round_id=round.pk)
    Run.objects.filter(round=round, status__in=RUN_WAITING).update(enqueued_at=None)
    for run in Run.objects.filter(round=round, status__in=RUN_WAITING):
        run_enqueue(run=run)
    audit_record(actor=actor, verb="round:resumed", target=round, project=round.project)
    round_ring(round_id=round.pk)
    return round


@transaction.atomic
def round_cancel(*, round: Round, actor: User | None = None) -> Round:
    """Stops a running or paused round and its run. Raises RoundNotRunning."""
    changed = Round.objects.filter(pk=round.pk, status__in=ROUND_OPEN).update(
        status=RoundStatus.CANCELLED,
        finished_at=timezone.now(),
        waiting_for="",
        error_code="round_cancelled",
        error_text="Cancelled.",
    )
    if not changed:
        raise _not_running(round)
    round.refresh_from_db()
    for run in Run.objects.filter(round=round, status__in=RUN_ACTIVE):
        try:
            run_cancel(run=run, actor=actor)
        except RunFinished:
            # It ended by itself a moment ago; the round stays cancelled.
            continue
    audit_record(actor=actor, verb="round:cancelled", target=round, project=round.project)
    return round


@transaction.atomic
def round_retry(*, round: Round, actor: User | None = None, step: str = "") -> Round:
    """Takes a failed or cancelled round up again at the step where it stopped, or from `step` on.

    Where it stopped its run goes on from its saved state. From an earlier step, also of a round
    that was held or rejected, the runs from there on are replaced and the settings are those of
    now. Raises RoundNotRetryable, RoundAlreadyRunning or ConfigInvalid.
    """
    _require_retryable(round, step)
    changed = (
        Round.objects.filter(pk=round.pk)
        .exclude(status__in=ROUND_OPEN)
        .update(status=RoundStatus.RUNNING, finished_at=None, error_code="", error_text="")
    )
    if not changed:
        second_round_refuse(round.project)
    if (step and step != round.step) or round.decision:
        _restart(round, step or round.step)
    else:
        runs = Run.objects.filter(round=round, step=round.step, superseded_at__isnull=True)
        # Its worker has not heard of the cancellation yet and need not any more.
        runs.filter(status=RunStatus.RUNNING).update(cancel_requested=False)
        for run in runs.filter(status__in=RUN_STOPPED):
            run_requeue(run=run)
    audit_record(actor=actor, verb="round:retried", target=round, project=round.project, step=step)
    round_ring(round_id=round.pk)
    round.refresh_from_db()
    return round


@transaction.atomic
def run_retry(*, run: Run, actor: User | None = None) -> Run:
    """Queues a failed or cancelled run again, together with the round it stopped.

    Raises RunNotRetryable, RoundNotRetryable or RoundAlreadyRunning.
    """
    if run.status not in RUN_STOPPED:
        raise RunNotRetryable(
            f"Run {run.pk} is {run.status}; only a failed or cancelled run can be retried.",
            run_id=run.pk,
        )
    if run.round is None:
        run_requeue(run=run)
    else:
        round_retry(round=run.round, actor=actor)
    audit_record(actor=actor, verb="run:retried", target=run, project=run.project)
    run.refresh_from_db()
    return run


def _not_running(round: Round) -> RoundNotRunning:
    round.refresh_from_db()
    return RoundNotRunning(f"Round {round.number} is {round.status} already.", round_id=round.pk)


def _require_retryable(round: Round, step: str) -> None:
    refusal = None
    if Round.objects.filter(project=round.project_id, number__gt=round.number).exists():
        refusal = "only the latest round can be retried"
    elif round.status in ROUND_OPEN:
        refusal = "cancel it first"
    elif round.deployments.exists() and (step or round.status not in ROUND_STOPPED):
        refusal = "its policy was deployed; start the next round"
    elif round.status == RoundStatus.SUCCEEDED and not step:
        refusal = "name the step to take it up from"
    elif step and step not in round.steps[: round.steps.index(round.step) + 1]:
        refusal = f"it has not come to a step {step!r}"
    if refusal:
        raise RoundNotRetryable(
            f"Round {round.number} is {round.status}; {refusal}.", round_id=round.pk
        )


def _restart(round: Round, step: str) -> None:
    """Forgets what came of the steps from this one on; their runs stay as history."""
    settings = loop_settings_ensure(project=round.project)
    configs_require(settings, round.steps)
    later = round.steps[round.steps.index(step) :]
    replaced = Run.objects.filter(round=round, step__in=later, superseded_at__isnull=True)
    tasks = Task.objects.filter(completions__sample__run__in=replaced)
    tasks_withdraw(
        tasks_queryset=tasks,
        reason="its round was taken up again from an earlier step",
    )
    replaced.update(superseded_at=timezone.now())
    kept = []
    if RoundStep.CALIBRATE in round.steps and RoundStep.CALIBRATE not in later:
        gates = round.decision_data.get("gates", [])
        kept = [item for item in gates if item["gate"] in REWARD_MODEL_GATES]
    Round.objects.filter(pk=round.pk).update(
        step=step,
        settings=settings_freeze(settings),
        snapshot=None if step == RoundStep.FREEZE else round.snapshot,
        chosen=None,
        decision="",
        decision_reason="",
        decision_data={"gates": kept} if kept else {},
        decided_by=None,
        decided_at=None,
        waiting_for="",
    )
