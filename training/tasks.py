"""Doors for Celery: each loads nothing itself and calls one service. Any may arrive twice."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from training.services import reply_preparing, replying, rounds, run_execution, ticking
from training.services.worker_exit import worker_leave


@shared_task(name="training.tasks.run_execute")
def run_execute(run_id: int) -> None:
    run_execution.run_execute(run_id=run_id)


@shared_task(name="training.tasks.reply_answer")
def reply_answer(request_id: int) -> None:
    replying.reply_answer(request_id=request_id)


@shared_task(name="training.tasks.replies_prepare")
def replies_prepare(project_id: int) -> None:
    reply_preparing.replies_prepare(project_id=project_id)


@shared_task(name="training.tasks.round_advance")
def round_advance(round_id: int) -> None:
    rounds.round_advance(round_id=round_id)


@shared_task(name="training.tasks.tick")
def tick() -> None:
    ticking.tick()


@worker_shutting_down.connect
def on_shutdown(**kwargs: Any) -> None:
    worker_leave()
