"""Rounds: when one starts, how it goes from step to step, how it stops and is taken up again."""

import logging
import traceback
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone

from annotation.errors import DomainError
from annotation.models import Project, Prompt, Task
from annotation.services.audit import audit_record
from annotation.services.tasks import tasks_withdraw
from training.choices import (
    ROUND_OPEN,
    ROUND_STOPPED,
    RUN_ACTIVE,
    RUN_STOPPED,
    RUN_WAITING,
    Decision,
    RoundStatus,
    RoundStep,
    RunStatus,
    Trigger,
)
from training.errors import (
    NoPrompts,
    NotEnoughDemonstrations,
    NotEnoughJudgements,
    NotEnoughRankings,
    RoundAlreadyRunning,
    RoundNotPaused,
    RoundNotRetryable,
    RoundNotRunning,
    RunFinished,
    RunNotRetryable,
)
from training.gates import REWARD_MODEL_GATES
from training.models import LoopSettings, Round, Run
from training.selectors.loop import Requirement, requirement_get, shortage_sentence
from training.selectors.plans import round_plan
from training.services.configs import method_find, run_config
from training.services.doorbell import round_ring
from training.services.runs import run_cancel, run_enqueue, run_requeue
from training.services.settings import gates_resolve, loop_settings_ensure, settings_freeze
from training.services.step_hold import StepLeft
from training.services.steps import STEPS, StepFailed, step_method

logger = logging.getLogger(__name__)


def round_start(
    *, project: Project, actor: User | None = None, trigger: str = Trigger.MANUAL
) -> Round:
    """Starts the project's next round and plans its steps; they are done by workers.

    The round keeps a copy of the settings. Raises RoundAlreadyRunning, NotEnoughDemonstrations,
    NotEnoughRankings, NoPrompts or ConfigInvalid; then nothing is started.
    """
    settings = loop_settings_ensure(project=project)
    _refuse_second(project)
    _require_data(project, settings, trigger)
    steps = round_plan(project, settings)
    _require_configs(settings, steps)
    try:
        with transaction.atomic():
            last = Round.objects.filter(project=project).aggregate(last=Max("number"))["last"]
            round = Round.objects.create(
                project=project,
                number=0 if last is None else last + 1,
                steps=steps,
                step=steps[0],
                settings=settings_freeze(settings),
                trigger=trigger,
                started_by=actor,
            )
            audit_record(actor=actor, verb="round:started", target=round, project=project)
            round_ring(round_id=round.pk)
    except IntegrityError:
        _refuse_second(project)
        raise
    return round


def round_advance(*, round_id: int) -> None:
    """Takes a running round as far as it can go now.

    May be called at any time, twice, and by several workers at once: each step is safe to repeat,
    and only one caller moves a round from one step to the next.
    """
    while True:
        round = Round.objects.select_related("project", "snapshot").get(pk=round_id)
        if round.status != RoundStatus.RUNNING:
            return
        try:
            is_done = STEPS[round.step](round)
        except StepLeft:
            return
        except StepFailed as failure:
            _round_stop_as(round, failure.run)
            return
        except DomainError as error:
            _round_stop(round, RoundStatus.FAILED, error.code, error.message)
            return
        except OperationalError:
            # A busy or restarting database; the tick comes back to this round.
            raise
        except Exception:
            logger.exception("round %s: step %s failed", round.pk, round.step)
            _round_stop(round, RoundStatus.FAILED, "round_crashed", traceback.format_exc())
            return
        if not is_done or not _step_next(round.pk, round.step):
            return


def rounds_tick() -> None:
    """Starts the rounds that are due and advances the running ones."""
    busy = Round.objects.filter(status__in=ROUND_OPEN)
    for project in Project.objects.filter(is_active=True).exclude(rounds__in=busy):
        round_start_if_due(project=project)
    running = Round.objects.filter(status=RoundStatus.RUNNING)
    for round_id in running.values_list("pk", flat=True):
        round_advance(round_id=round_id)


def round_start_if_due(*, project: Project) -> Round | None:
    """A start nobody asked for; a refusal is not an error, the dashboard tells what is missing."""
    trigger = _trigger_due(project, loop_settings_ensure(project=project))
    if trigger is None:
        return None
    try:
        return round_start(project=project, trigger=trigger)
    except DomainError as refusal:
        logger.info("%s: no round starts: %s", project.slug, refusal)
        return None


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
        _refuse_second(round.project)
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


def _refuse_second(project: Project) -> None:
    running = Round.objects.filter(project=project, status__in=ROUND_OPEN).first()
    if running is not None:
        raise RoundAlreadyRunning(
            f"Round {running.number} of {project.slug} is {running.status}; wait for it or cancel "
            "it.",
            round_id=running.pk,
            number=running.number,
        )


def _not_running(round: Round) -> RoundNotRunning:
    round.refresh_from_db()
    return RoundNotRunning(f"Round {round.number} is {round.status} already.", round_id=round.pk)


def _require_data(project: Project, settings: LoopSettings, trigger: str) -> None:
    """What was withdrawn leaves less than there was, so nothing new is asked for then."""
    if trigger != Trigger.FORGET:
        is_eager = trigger in (Trigger.MANUAL, Trigger.INTERVAL)
        requirement = requirement_get(project, settings, is_manual=is_eager)
        last = Round.objects.filter(project=project).aggregate(last=Max("number"))["last"]
        if not requirement.is_met:
            raise _shortage(requirement, 0 if last is None else last + 1)
    if not Prompt.objects.filter(project=project, is_active=True).exists():
        raise NoPrompts(f"{project.slug} has no active prompt to answer. Import some.")


def _require_configs(settings: LoopSettings, steps: list[str]) -> None:
    """Raises ConfigInvalid before anything is started."""
    gates_resolve(settings)
    for step in steps:
        if step in (RoundStep.SFT, RoundStep.REWARD_MODEL, RoundStep.POLICY):
            run_config(settings, method_find(step_method(settings, step)))


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
    _require_configs(settings, round.steps)
    later = round.steps[round.steps.index(step) :]
    replaced = Run.objects.filter(round=round, step__in=later, superseded_at__isnull=True)
    tasks = Task.objects.filter(completions__sample__run__in=replaced)
    tasks_withdraw(
        tasks_queryset=Task.objects.filter(pk__in=list(tasks.values_list("pk", flat=True))),
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


def _shortage(requirement: Requirement, number: int) -> DomainError:
    family = {"demonstrations": NotEnoughDemonstrations, "rankings": NotEnoughRankings}
    return family.get(requirement.what, NotEnoughJudgements)(
        shortage_sentence(requirement, number),
        have=requirement.have,
        need=requirement.need,
        missing=requirement.missing,
    )


def _trigger_due(project: Project, settings: LoopSettings) -> Trigger | None:
    if not settings.auto_start:
        return None
    last = Round.objects.filter(project=project).order_by("-number").first()
    if requirement_get(project, settings).is_met:
        return Trigger.FIRST if last is None else Trigger.AUTOMATIC
    if last is None or settings.interval_hours is None:
        return None
    is_over = timezone.now() - last.started_at >= timedelta(hours=settings.interval_hours)
    if is_over and requirement_get(project, settings, is_manual=True).is_met:
        return Trigger.INTERVAL
    return None


def _step_next(round_id: int, step: str) -> bool:
    """Moves on unless somebody else already did; False when there is nothing more to do here.

    A round that decided against its policy ends where it decided.
    """
    round = Round.objects.get(pk=round_id)
    here = Round.objects.filter(pk=round_id, status=RoundStatus.RUNNING, step=step)
    place = round.steps.index(step)
    is_refused = round.decision in (Decision.HOLD, Decision.REJECT)
    if place + 1 < len(round.steps) and not is_refused:
        return bool(here.update(step=round.steps[place + 1]))
    here.update(status=RoundStatus.SUCCEEDED, finished_at=timezone.now())
    return False


def _round_stop_as(round: Round, run: Run) -> None:
    is_cancelled = run.status == RunStatus.CANCELLED
    status = RoundStatus.CANCELLED if is_cancelled else RoundStatus.FAILED
    _round_stop(round, status, run.error_code, run.error_text)


def _round_stop(round: Round, status: RoundStatus, code: str, text: str) -> None:
    Round.objects.filter(pk=round.pk, status=RoundStatus.RUNNING, step=round.step).update(
        status=status, finished_at=timezone.now(), error_code=code, error_text=text
    )
