"""How a round goes from step to step, and how it ends."""

import logging
import traceback

from django.db import OperationalError
from django.utils import timezone

from annotation.errors import DomainError
from annotation.models import Project
from training.choices import (
    ROUND_OPEN,
    Decision,
    RoundStatus,
    RunStatus,
)
from training.models import Round, Run
from training.services.round_starting import round_start_if_due
from training.services.step_hold import StepLeft
from training.services.steps import STEPS, StepFailed

logger = logging.getLogger(__name__)


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
