"""Rounds: when one starts, how it goes from step to step, how it stops and is taken up again."""

import logging
import traceback

from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone

from annotation.errors import DomainError
from annotation.models import Demonstration, Project, Prompt
from annotation.services.audit import audit_record
from training.choices import (
    ROUND_STOPPED,
    RUN_ACTIVE,
    RUN_STOPPED,
    RoundStatus,
    RoundStep,
    RunStatus,
    Trigger,
)
from training.errors import (
    NoPrompts,
    NotEnoughDemonstrations,
    NotEnoughRankings,
    RoundAlreadyRunning,
    RoundNotRetryable,
    RoundNotRunning,
    RunFinished,
    RunNotRetryable,
)
from training.models import LoopSettings, Round, Run
from training.selectors.loop import Requirement, requirement_get, shortage_sentence
from training.services.checkpoints import deployment_get
from training.services.configs import method_find, run_config
from training.services.doorbell import round_ring
from training.services.runs import run_cancel, run_requeue
from training.services.settings import loop_settings_ensure
from training.services.steps import STEPS, StepFailed, step_method

logger = logging.getLogger(__name__)
FIRST_STEPS = (RoundStep.DEPLOY, RoundStep.SAMPLE, RoundStep.QUEUE)
NEXT_STEPS = (
    RoundStep.REWARD_MODEL,
    RoundStep.POLICY,
    RoundStep.EVALUATE,
    RoundStep.DEPLOY,
    RoundStep.SAMPLE,
    RoundStep.QUEUE,
)


def round_start(
    *, project: Project, actor: User | None = None, trigger: str = Trigger.MANUAL
) -> Round:
    """Starts the project's next round and plans its steps; they are done by workers.

    Raises RoundAlreadyRunning, NotEnoughDemonstrations, NotEnoughRankings, NoPrompts or
    ConfigInvalid; then nothing is started.
    """
    settings = loop_settings_ensure(project=project)
    _refuse_second(project)
    _require_data(project, settings, is_manual=trigger == Trigger.MANUAL)
    steps = _plan(project, settings)
    for step in steps:
        if step in (RoundStep.SFT, RoundStep.REWARD_MODEL, RoundStep.POLICY):
            run_config(settings, method_find(step_method(settings, step)))
    try:
        with transaction.atomic():
            last = Round.objects.filter(project=project).aggregate(last=Max("number"))["last"]
            round = Round.objects.create(
                project=project,
                number=0 if last is None else last + 1,
                steps=steps,
                step=steps[0],
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
        if not is_done or not _step_next(round):
            return


def rounds_tick() -> None:
    """Starts the rounds that are due and advances the running ones."""
    running = Round.objects.filter(status=RoundStatus.RUNNING)
    for project in Project.objects.filter(is_active=True).exclude(rounds__in=running):
        settings = loop_settings_ensure(project=project)
        if settings.auto_start and _is_due(project, settings):
            round_start_if_due(project=project)
    for round_id in running.values_list("pk", flat=True):
        round_advance(round_id=round_id)


def round_start_if_due(*, project: Project) -> Round | None:
    """A start nobody asked for; a refusal is not an error, the dashboard tells what is missing."""
    is_first = not Round.objects.filter(project=project).exists()
    try:
        return round_start(
            project=project, trigger=Trigger.FIRST if is_first else Trigger.AUTOMATIC
        )
    except DomainError as refusal:
        logger.info("%s: no round starts: %s", project.slug, refusal)
        return None


@transaction.atomic
def round_cancel(*, round: Round, actor: User | None = None) -> Round:
    """Stops a running round and its run. Raises RoundNotRunning."""
    changed = Round.objects.filter(pk=round.pk, status=RoundStatus.RUNNING).update(
        status=RoundStatus.CANCELLED,
        finished_at=timezone.now(),
        error_code="round_cancelled",
        error_text="Cancelled.",
    )
    round.refresh_from_db()
    if not changed:
        raise RoundNotRunning(f"Round {round.number} is {round.status} already.", round_id=round.pk)
    for run in Run.objects.filter(round=round, status__in=RUN_ACTIVE):
        try:
            run_cancel(run=run, actor=actor)
        except RunFinished:
            # It ended by itself a moment ago; the round stays cancelled.
            continue
    audit_record(actor=actor, verb="round:cancelled", target=round, project=round.project)
    return round


@transaction.atomic
def round_retry(*, round: Round, actor: User | None = None) -> Round:
    """Takes a failed or cancelled round up again at the step where it stopped.

    Its run goes on from its saved state. Raises RoundNotRetryable or RoundAlreadyRunning.
    """
    later = Round.objects.filter(project=round.project_id, number__gt=round.number)
    if later.exists() or round.status not in ROUND_STOPPED:
        raise RoundNotRetryable(
            f"Round {round.number} is {round.status}; only the latest round can be retried, and "
            "only when it failed or was cancelled.",
            round_id=round.pk,
        )
    changed = Round.objects.filter(pk=round.pk, status__in=ROUND_STOPPED).update(
        status=RoundStatus.RUNNING, finished_at=None, error_code="", error_text=""
    )
    if not changed:
        _refuse_second(round.project)
    for run in Run.objects.filter(round=round, step=round.step, status__in=RUN_STOPPED):
        run_requeue(run=run)
    audit_record(actor=actor, verb="round:retried", target=round, project=round.project)
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
    running = Round.objects.filter(project=project, status=RoundStatus.RUNNING).first()
    if running is not None:
        raise RoundAlreadyRunning(
            f"Round {running.number} of {project.slug} is running; wait for it or cancel it.",
            round_id=running.pk,
            number=running.number,
        )


def _require_data(project: Project, settings: LoopSettings, is_manual: bool) -> None:
    requirement = requirement_get(project, settings, is_manual=is_manual)
    last = Round.objects.filter(project=project).aggregate(last=Max("number"))["last"]
    number = 0 if last is None else last + 1
    if not requirement.is_met:
        raise _shortage(requirement, number)
    if not Prompt.objects.filter(project=project, is_active=True).exists():
        raise NoPrompts(f"{project.slug} has no active prompt to answer. Import some.")


def _shortage(requirement: Requirement, number: int) -> DomainError:
    family = {"demonstrations": NotEnoughDemonstrations, "rankings": NotEnoughRankings}
    return family[requirement.what](
        shortage_sentence(requirement, number),
        have=requirement.have,
        need=requirement.need,
        missing=requirement.missing,
    )


def _is_due(project: Project, settings: LoopSettings) -> bool:
    return requirement_get(project, settings).is_met


def _plan(project: Project, settings: LoopSettings) -> list[str]:
    is_first = deployment_get(project.pk) is None
    sft = [RoundStep.SFT] if _sft_is_due(project, settings) else []
    rest = FIRST_STEPS if is_first else NEXT_STEPS
    return [str(step) for step in (RoundStep.FREEZE, *sft, *rest)]


def _sft_is_due(project: Project, settings: LoopSettings) -> bool:
    """At first, and again when as many demonstrations came as the first time."""
    if settings.min_demonstrations == 0:
        return False
    last = (
        Run.objects.filter(project=project, step=RoundStep.SFT, status=RunStatus.SUCCEEDED)
        .order_by("-pk")
        .first()
    )
    total = Demonstration.objects.filter(prompt__project=project).count()
    seen = last.snapshot.demonstrations.count() if last and last.snapshot else 0
    return total - seen >= settings.min_demonstrations


def _step_next(round: Round) -> bool:
    """Moves on unless somebody else already did; False when there is nothing more to do here."""
    here = Round.objects.filter(pk=round.pk, status=RoundStatus.RUNNING, step=round.step)
    place = round.steps.index(round.step)
    if place + 1 < len(round.steps):
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
