"""The state machine of a run: who may take it, keep it, end it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotation.models import Project
from training.algorithms.methods import method_get
from training.choices import RunStatus
from training.errors import RunFinished, RunNotRetryable
from training.models import LoopSettings, Run
from training.services.round_control import run_retry
from training.services.runs import (
    MAX_ATTEMPTS,
    run_cancel,
    run_claim,
    run_create,
    run_enqueue,
    run_fail,
    run_heartbeat,
    run_release,
    run_succeed,
    runs_recover,
)

Rung = list[tuple[str, int, str]]


def run_make(settings: LoopSettings) -> Run:
    return run_create(settings=settings, step="sft", method=method_get("sft"), seed=1)


def lease_kill(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def run(small: LoopSettings, rung: Rung) -> Run:
    return run_make(small)


@pytest.mark.django_db(transaction=True)
def test_a_run_is_announced_once_it_is_committed(run: Run, rung: Rung) -> None:
    assert rung == [("run_execute", run.pk, "train")]
    assert run.config["learning_rate"] == 1e-3
    assert run.code_version


@pytest.mark.django_db(transaction=True)
def test_one_of_many_claimers_wins(file_database: None, run: Run) -> None:
    def claim(_: int) -> bool:
        try:
            return run_claim(run_id=run.pk) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(claim, range(8))) == 1
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.RUNNING, 1)


@pytest.mark.django_db
def test_a_living_lease_protects_and_a_dead_one_does_not(run: Run) -> None:
    first = run_claim(run_id=run.pk)
    assert first is not None
    assert run_claim(run_id=run.pk) is None
    lease_kill(run)
    second = run_claim(run_id=run.pk)
    assert second is not None
    assert second.attempt == 2
    # The first worker wakes up: whatever it does now changes nothing.
    assert not run_heartbeat(run=first, progress_done=7)
    assert not run_succeed(run=first, result={})
    run_fail(run=first, code="late", text="too late")
    run_release(run=first)
    run.refresh_from_db()
    assert (run.status, run.claim_token) == (RunStatus.RUNNING, second.claim_token)
    assert (run.progress_done, run.error_code) == (0, "")


@pytest.mark.django_db
def test_a_heartbeat_extends_the_lease_and_tells_progress(run: Run) -> None:
    held = run_claim(run_id=run.pk)
    assert held is not None
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() + timedelta(seconds=1))
    assert run_heartbeat(run=held, progress_done=3, progress_total=9)
    run.refresh_from_db()
    assert run.lease_expires_at is not None
    assert run.lease_expires_at > timezone.now() + timedelta(seconds=20)
    assert (run.progress_done, run.progress_total) == (3, 9)


@pytest.mark.django_db(transaction=True)
def test_a_dead_worker_is_noticed_and_the_run_announced_again(run: Run, rung: Rung) -> None:
    run_claim(run_id=run.pk)
    rung.clear()
    assert runs_recover() == 0
    lease_kill(run)
    assert runs_recover() == 1
    assert runs_recover() == 0
    run.refresh_from_db()
    assert run.status == RunStatus.INTERRUPTED
    assert rung == [("run_execute", run.pk, "train")]
    assert run_claim(run_id=run.pk) is not None


@pytest.mark.django_db(transaction=True)
def test_a_lost_message_is_repeated_after_twenty_seconds_and_not_before(
    run: Run, rung: Rung
) -> None:
    rung.clear()
    begun = timezone.now()
    # 19 s: quiet. 21 s: rung once, by whichever of two ticks comes first.
    for seconds, expected in ((19, 0), (21, 1), (21, 1), (40, 1), (42, 2)):
        runs_recover(now=begun + timedelta(seconds=seconds))
        assert len(rung) == expected, f"after {seconds} s"


@pytest.mark.django_db(transaction=True)
def test_messages_do_not_pile_up_behind_a_long_run(
    run: Run, small: LoopSettings, rung: Rung
) -> None:
    assert run_claim(run_id=run.pk) is not None
    waiting = run_make(small)
    rung.clear()
    hour = timezone.now()
    Run.objects.filter(pk=run.pk).update(lease_expires_at=hour + timedelta(hours=2))
    for tick in range(0, 3600, 5):
        runs_recover(now=hour + timedelta(seconds=tick))
    # Every 300 s instead of every 20 s: 3600 / 300 = 12 at most.
    assert 1 <= len(rung) <= 12
    assert {pk for _, pk, _ in rung} == {waiting.pk}


@pytest.mark.django_db
def test_a_run_that_keeps_dying_fails_with_a_reason(run: Run) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert run_claim(run_id=run.pk) is not None
        lease_kill(run)
    assert run_claim(run_id=run.pk) is None
    run.refresh_from_db()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "run_attempts_exhausted")
    assert str(MAX_ATTEMPTS) in run.error_text


@pytest.mark.django_db
def test_a_worker_that_leaves_in_order_costs_no_attempt(run: Run) -> None:
    held = run_claim(run_id=run.pk)
    assert held is not None
    run_release(run=held, worker_leaves=True)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.claim_token) == (RunStatus.INTERRUPTED, 0, None)


@pytest.mark.django_db
def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_is_asked(
    run: Run, small: LoopSettings
) -> None:
    assert run_cancel(run=run).status == RunStatus.CANCELLED
    with pytest.raises(RunFinished):
        run_cancel(run=run)
    other = run_make(small)
    run_claim(run_id=other.pk)
    other = run_cancel(run=other)
    assert (other.status, other.cancel_requested) == (RunStatus.RUNNING, True)
    lease_kill(other)
    runs_recover()
    other.refresh_from_db()
    assert other.status == RunStatus.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_a_failed_run_can_be_queued_again(run: Run, rung: Rung) -> None:
    with pytest.raises(RunNotRetryable):
        run_retry(run=run)
    held = run_claim(run_id=run.pk)
    assert held is not None
    run_fail(run=held, code="run_crashed", text="boom")
    run.refresh_from_db()
    rung.clear()
    run = run_retry(run=run)
    assert (run.status, run.attempt, run.error_code) == (RunStatus.QUEUED, 0, "")
    assert rung == [("run_execute", run.pk, "train")]


@pytest.mark.django_db
def test_the_rounds_step_has_one_run(project: Project, run: Run) -> None:
    assert run_enqueue(run=run) is False
    assert Run.objects.filter(project=project).count() == 1
