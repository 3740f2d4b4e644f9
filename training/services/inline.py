"""Doing in this process what workers do otherwise: for commands and tests."""

import time
from collections.abc import Callable

from annotation.models import Project
from training.choices import RUN_WAITING, RoundStatus
from training.models import Round, Run
from training.services.base_model import Report
from training.services.doorbell import doorbell_silenced
from training.services.rounds import round_advance
from training.services.run_execution import run_execute
from training.services.runs import IN_PAUSED_ROUND

POLL_SECONDS = 0.5


def rounds_work(
    *, project: Project, report_of: Callable[[Run], Report | None] = lambda run: None
) -> None:
    """Works until no round of the project runs but those that wait for people, and no run waits.

    A run that a worker elsewhere holds is waited for, a paused round is left alone.
    """
    with doorbell_silenced():
        while True:
            running = Round.objects.filter(project=project, status=RoundStatus.RUNNING)
            for round_id in running.values_list("pk", flat=True):
                round_advance(round_id=round_id)
            waiting = Run.objects.filter(project=project, status__in=RUN_WAITING)
            if (run := waiting.exclude(IN_PAUSED_ROUND).order_by("pk").first()) is not None:
                run_execute(run_id=run.pk, report=report_of(run))
            elif not running.filter(waiting_for="").exists():
                return
            else:
                time.sleep(POLL_SECONDS)
