"""The state machine of a run. The row is the truth; every change states what it expects.

queued -> running -> succeeded | failed | cancelled, with interrupted for a run whose worker left:
it waits, like a queued one, and goes on from its saved state. Only the holder of the row's
`claim_token` may touch a running row.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.services.audit import audit_record
from training.algorithms.methods import Method
from training.choices import RUN_ACTIVE, RUN_STOPPED, RUN_WAITING, RoundStatus, RunStatus
from training.errors import RunFinished, RunNotRetryable
from training.models import Checkpoint, LoopSettings, Round, Run, RunParent, Snapshot
from training.services.code_version import code_version
from training.services.configs import run_config
from training.services.doorbell import round_ring, run_ring
from training.services.step_hold import step_hold

MAX_ATTEMPTS = 5
REPEAT_SECONDS = 20
REPEAT_SECONDS_BUSY = 300
NO_CLAIM = {"claim_token": None, "lease_expires_at": None}
# A condition on the run's own column, so that a conditional update stays atomic.
IN_PAUSED_ROUND = Q(round__in=Round.objects.filter(status=RoundStatus.PAUSED))


def run_create(
    *,
    settings: LoopSettings,
    step: str,
    method: Method,
    seed: int,
    round: Round | None = None,
    snapshot: Snapshot | None = None,
    parents: Mapping[str, Checkpoint] | None = None,
    prompts: Sequence[tuple[int, float | None]] = (),
    extra: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Run:
    """Queues a run and rings on commit; a round's step has one run, however often it is asked for.

    `extra` values of the config come before the project's; `weights` are the sampling policies'
    shares of the answers, by role. Raises ConfigInvalid, or StepLeft for a round that is not at
    this step any more.
    """
    values = {
        "project": settings.project,
        "method": method.name,
        "queue": method.queue,
        "config": run_config(settings, method, extra),
        "seed": seed,
        "code_version": code_version(),
        "snapshot": snapshot,
        "prompts": [list(item) for item in prompts],
    }
    with transaction.atomic():
        if round is None:
            run, created = Run.objects.create(step=step, **values), True
        else:
            step_hold(round)
            run, created = Run.objects.get_or_create(
                round=round, step=step, superseded_at=None, defaults=values
            )
        if created:
            RunParent.objects.bulk_create(
                RunParent(
                    run=run, checkpoint=checkpoint, role=role, weight=(weights or {}).get(role)
                )
                for role, checkpoint in (parents or {}).items()
            )
            run_enqueue(run=run)
    return run


def run_enqueue(*, run: Run, now: datetime | None = None) -> bool:
    """Rings for a waiting run unless somebody just did; True when a message goes out on commit.

    Not while its round is paused. While the queue's workers are busy a waiting run is rung for
    rarely, so that messages do not pile up behind a run of hours; whoever finishes a run rings for
    the next one.
    """
    now = now or timezone.now()
    busy = Run.objects.filter(
        queue=run.queue, status=RunStatus.RUNNING, lease_expires_at__gt=now
    ).exists()
    quiet_since = now - timedelta(seconds=REPEAT_SECONDS_BUSY if busy else REPEAT_SECONDS)
    waiting = Run.objects.filter(
        Q(enqueued_at__isnull=True) | Q(enqueued_at__lte=quiet_since),
        pk=run.pk,
        status__in=RUN_WAITING,
    )
    changed = waiting.exclude(IN_PAUSED_ROUND).update(enqueued_at=now)
    if changed:
        run_ring(run_id=run.pk, queue=run.queue)
    return bool(changed)


def run_claim(*, run_id: int, now: datetime | None = None) -> Run | None:
    """Takes the run for this worker: one conditional update, so that one of many wins.

    None when it is over, held by a living worker, cancelled, in a paused round or out of attempts
    (then it fails).
    """
    now = now or timezone.now()
    token = uuid.uuid4()
    free = Q(status__in=RUN_WAITING) | Q(status=RunStatus.RUNNING, lease_expires_at__lte=now)
    claimable = Run.objects.filter(
        free, pk=run_id, cancel_requested=False, attempt__lt=MAX_ATTEMPTS
    )
    changed = claimable.exclude(IN_PAUSED_ROUND).update(
        status=RunStatus.RUNNING,
        claim_token=token,
        lease_expires_at=now + _lease(),
        heartbeat_at=now,
        attempt=F("attempt") + 1,
        started_at=Coalesce("started_at", now),
        error_code="",
        error_text="",
    )
    if not changed:
        _attempts_exhausted(free, run_id)
        return None
    run = Run.objects.select_related("project", "round", "snapshot").get(pk=run_id)
    # Between the two statements another worker can only have come if our lease were over already.
    return run if run.claim_token == token else None


def run_heartbeat(*, run: Run, **progress: Any) -> bool:
    """Extends the lease and stores the progress; False when the lease was lost: leave at once."""
    now = timezone.now()
    return bool(_held(run).update(heartbeat_at=now, lease_expires_at=now + _lease(), **progress))


def run_cancel_requested(*, run: Run) -> bool:
    return _held(run).filter(cancel_requested=True).exists()


def run_pause_requested(*, run: Run) -> bool:
    return _held(run).filter(IN_PAUSED_ROUND).exists()


def run_release(*, run: Run, worker_leaves: bool = False) -> None:
    """Gives a running run back as interrupted. A worker shutting down does not cost an attempt."""
    changes: dict[str, Any] = {"status": RunStatus.INTERRUPTED, "enqueued_at": None, **NO_CLAIM}
    if worker_leaves:
        changes["attempt"] = F("attempt") - 1
    with transaction.atomic():
        if _held(run).update(**changes):
            run_enqueue(run=run)


def run_fail(*, run: Run, code: str, text: str) -> None:
    _finish(run, RunStatus.FAILED, error_code=code, error_text=text)


def run_succeed(*, run: Run, result: dict[str, Any]) -> bool:
    """False when the lease was lost meanwhile. Call it inside the transaction that registers."""
    return _finish(run, RunStatus.SUCCEEDED, result=result)


def run_cancelled(*, run: Run) -> None:
    _finish(run, RunStatus.CANCELLED, error_code="run_cancelled", error_text="Cancelled.")


@transaction.atomic
def run_cancel(*, run: Run, actor: User | None = None) -> Run:
    """Ends a waiting run at once; a running one stops at its worker's next look.

    A cancelled run ends its round, too. Raises RunFinished.
    """
    requested = Run.objects.filter(pk=run.pk, status__in=RUN_ACTIVE).update(cancel_requested=True)
    if not requested:
        run.refresh_from_db()
        raise RunFinished(f"Run {run.pk} is {run.status} already.", run_id=run.pk)
    _cancel_waiting(Run.objects.filter(pk=run.pk))
    audit_record(actor=actor, verb="run:cancelled", target=run, project=run.project)
    run.refresh_from_db()
    return run


def run_requeue(*, run: Run) -> None:
    """Puts a failed or cancelled run back in the queue, keeping its folder and its saved state.

    Raises RunNotRetryable.
    """
    changed = Run.objects.filter(pk=run.pk, status__in=RUN_STOPPED).update(
        status=RunStatus.QUEUED,
        attempt=0,
        cancel_requested=False,
        enqueued_at=None,
        finished_at=None,
        error_code="",
        error_text="",
    )
    if not changed:
        run.refresh_from_db()
        raise RunNotRetryable(
            f"Run {run.pk} is {run.status}; only a failed or cancelled run can be retried.",
            run_id=run.pk,
        )
    run_enqueue(run=run)


def runs_recover(*, now: datetime | None = None) -> int:
    """Marks running runs with a dead lease as interrupted and rings for those nobody picked up.

    Safe in any number of processes at once. Returns how many were found dead.
    """
    now = now or timezone.now()
    dead = Run.objects.filter(status=RunStatus.RUNNING, lease_expires_at__lte=now).update(
        status=RunStatus.INTERRUPTED, enqueued_at=None, **NO_CLAIM
    )
    waiting = Run.objects.filter(status__in=RUN_WAITING)
    _cancel_waiting(waiting)
    _attempts_exhausted(Q(status__in=RUN_WAITING))
    for run in waiting.exclude(IN_PAUSED_ROUND).order_by("pk"):
        with transaction.atomic():
            run_enqueue(run=run, now=now)
    return dead


def run_next_ring(*, queue: str) -> None:
    """Rings for the oldest waiting run of the queue: the caller's worker has just become free."""
    waiting = Run.objects.filter(queue=queue, status__in=RUN_WAITING).exclude(IN_PAUSED_ROUND)
    run = waiting.order_by("pk").first()
    if run is not None:
        run_ring(run_id=run.pk, queue=queue)


def _lease() -> timedelta:
    return timedelta(seconds=django_settings.PREFERENDUM_RUN_LEASE_SECONDS)


def _held(run: Run) -> Any:
    return Run.objects.filter(pk=run.pk, status=RunStatus.RUNNING, claim_token=run.claim_token)


def _finish(run: Run, status: RunStatus, **changes: Any) -> bool:
    with transaction.atomic():
        changed = _held(run).update(
            status=status, finished_at=timezone.now(), **NO_CLAIM, **changes
        )
        if changed and run.round_id:
            round_ring(round_id=run.round_id)
    return bool(changed)


def _cancel_waiting(runs: Any) -> None:
    rounds = _stopped(
        runs.filter(status__in=RUN_WAITING, cancel_requested=True),
        RunStatus.CANCELLED,
        "run_cancelled",
        "Cancelled.",
    )
    for round_id in rounds:
        round_ring(round_id=round_id)


def _attempts_exhausted(free: Q, run_id: int | None = None) -> None:
    runs = Run.objects.filter(free, attempt__gte=MAX_ATTEMPTS)
    text = (
        f"The run was started {MAX_ATTEMPTS} times and its process died every time. Look at the "
        "worker's log and at the memory of the machine, then retry the run."
    )
    rounds = _stopped(
        runs if run_id is None else runs.filter(pk=run_id),
        RunStatus.FAILED,
        "run_attempts_exhausted",
        text,
    )
    for round_id in rounds:
        round_ring(round_id=round_id)


def _stopped(runs: Any, status: RunStatus, code: str, text: str) -> set[int]:
    """Ends the runs and returns the rounds they belong to."""
    rounds: set[int] = set()
    for run in runs.only("pk", "round_id", "status"):
        changed = Run.objects.filter(pk=run.pk, status=run.status).update(
            status=status,
            error_code=code,
            error_text=text,
            finished_at=timezone.now(),
            **NO_CLAIM,
        )
        if changed and run.round_id:
            rounds.add(run.round_id)
    return rounds
