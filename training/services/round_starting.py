"""When a round starts, and what it takes."""

import logging
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from annotation.errors import DomainError
from annotation.models import Project, Prompt
from annotation.services.audit import audit_record
from training.choices import (
    ROUND_OPEN,
    RoundStep,
    Trigger,
)
from training.errors import (
    NoPrompts,
    NotEnoughDemonstrations,
    NotEnoughJudgements,
    NotEnoughRankings,
    RoundAlreadyRunning,
)
from training.models import LoopSettings, Round
from training.selectors.loop import Requirement, requirement_get, shortage_sentence
from training.selectors.plans import round_plan
from training.services.configs import method_find, run_config
from training.services.doorbell import round_ring
from training.services.settings import gates_resolve, loop_settings_ensure, settings_freeze
from training.services.steps import step_method

logger = logging.getLogger(__name__)


def round_start(
    *, project: Project, actor: User | None = None, trigger: str = Trigger.MANUAL
) -> Round:
    """Starts the project's next round and plans its steps; they are done by workers.

    The round keeps a copy of the settings. Raises RoundAlreadyRunning, NotEnoughDemonstrations,
    NotEnoughRankings, NoPrompts or ConfigInvalid; then nothing is started.
    """
    settings = loop_settings_ensure(project=project)
    second_round_refuse(project)
    _require_data(project, settings, trigger)
    steps = round_plan(project, settings)
    configs_require(settings, steps)
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
        second_round_refuse(project)
        raise
    return round


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


def second_round_refuse(project: Project) -> None:
    running = Round.objects.filter(project=project, status__in=ROUND_OPEN).first()
    if running is not None:
        raise RoundAlreadyRunning(
            f"Round {running.number} of {project.slug} is {running.status}; wait for it or cancel "
            "it.",
            round_id=running.pk,
            number=running.number,
        )


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


def configs_require(settings: LoopSettings, steps: list[str]) -> None:
    """Raises ConfigInvalid before anything is started."""
    gates_resolve(settings)
    for step in steps:
        if step in (RoundStep.SFT, RoundStep.REWARD_MODEL, RoundStep.POLICY):
            run_config(settings, method_find(step_method(settings, step)))


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
