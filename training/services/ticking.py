"""Every few seconds: whatever was lost or forgotten is noticed here."""

import logging
from collections.abc import Callable

from annotation.models import Project
from annotation.services.assignments import assignments_expire
from training.services.queueing import queue_top_up
from training.services.reply_preparing import replies_foresee
from training.services.replying import replies_recover
from training.services.rounds import rounds_tick
from training.services.runs import runs_recover

logger = logging.getLogger(__name__)


def tick() -> None:
    """Safe to run late, twice, and in several processes at once. One part's failure is logged and
    does not keep the others from their work.
    """
    for part in (
        runs_recover,
        assignments_expire,
        replies_recover,
        replies_foresee,
        rounds_tick,
        queues_top_up,
    ):
        _guarded(part)


def queues_top_up() -> None:
    for project in Project.objects.filter(is_active=True):
        queue_top_up(project=project)


def _guarded(part: Callable[[], object]) -> None:
    try:
        part()
    except Exception:
        logger.exception("tick: %s failed", part.__name__)
