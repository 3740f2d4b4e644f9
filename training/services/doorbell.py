"""Messages to workers. They carry no state: a lost one is rung again by the tick."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)
_silenced: ContextVar[bool] = ContextVar("doorbell_silenced", default=False)


@contextmanager
def doorbell_silenced() -> Iterator[None]:
    """Nothing is sent inside: for callers that do the work themselves, in the same process."""
    token = _silenced.set(True)
    try:
        yield
    finally:
        _silenced.reset(token)


def run_ring(*, run_id: int, queue: str) -> None:
    """Tells a worker of the queue, once the transaction is committed, that a run is waiting."""
    _ring("training.tasks.run_execute", run_id, queue)


def round_ring(*, round_id: int) -> None:
    """Asks, once the transaction is committed, for the round's next step."""
    _ring("training.tasks.round_advance", round_id, "default")


def reply_ring(*, request_id: int) -> None:
    """Tells the worker for replies, once the transaction is committed, that somebody waits."""
    _ring("training.tasks.reply_answer", request_id, "replies")


def replies_foresee_ring(*, project_id: int) -> None:
    """Tells the worker for replies that somebody in the project will soon ask for some."""
    _ring("training.tasks.replies_prepare", project_id, "replies")


def _ring(task: str, pk: int, queue: str) -> None:
    if not _silenced.get():
        transaction.on_commit(partial(_send, task, pk, queue), robust=True)


def _send(task: str, pk: int, queue: str) -> None:
    try:
        current_app.send_task(task, args=[pk], queue=queue, retry=False, ignore_result=True)
    except Exception as error:
        # Whatever the broker's trouble: the row is committed and the tick will ring again.
        logger.warning("%s(%s) could not be announced: %s", task, pk, error)
