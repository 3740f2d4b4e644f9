"""Pausing a round: its run is given back and waits, unclaimed and unrung, until it is resumed."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from annotation.models import Project
from tests.training.people import demonstrations_make, prompts_make
from tests.training.test_execution import is_alive, wait_for
from training.choices import RoundStatus, RunStatus
from training.errors import RoundNotPaused, RoundNotRunning
from training.models import LoopSettings, Round, Run
from training.services.inline import rounds_work
from training.services.round_control import round_cancel, round_pause, round_resume, round_retry
from training.services.round_starting import round_start
from training.services.rounds import round_advance, rounds_tick
from training.services.run_execution import run_execute
from training.services.runs import run_claim, runs_recover

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("file_database")]
Rung = list[tuple[str, int, str]]


@pytest.fixture
def begun(project: Project, bob: User, small: LoopSettings, rung: Rung) -> Round:
    """Its SFT run waits for a worker."""
    demonstrations_make(project, bob, prompts_make(project, 20)[:4])
    round = round_start(project=project)
    round_advance(round_id=round.pk)
    round.refresh_from_db()
    return round


def run_of(round: Round) -> Run:
    return Run.objects.get(round=round, step="sft")


def test_a_running_run_is_given_back_at_no_cost_and_goes_on_later(
    begun: Round, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "hang")
    monkeypatch.setattr("training.services.run_execution.REPORT_SECONDS", 0.1)
    run = run_of(begun)

    def work() -> None:
        try:
            run_execute(run_id=run.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: (run.folder / "progress.json").exists(), 60)
    (run.folder / "state").mkdir()
    rung.clear()
    round_pause(round=begun)
    worker.join(60)
    assert not worker.is_alive()
    assert not is_alive(int((run.folder / "pid").read_text()))
    run.refresh_from_db()
    assert (run.status, run.attempt, run.claim_token) == (RunStatus.INTERRUPTED, 0, None)
    assert (run.folder / "state").is_dir()
    # Nobody is called, now or later, and whoever comes gets nothing.
    runs_recover(now=timezone.now() + timedelta(hours=1))
    rounds_tick()
    assert not [message for message in rung if message[0] == "run_execute"]
    assert run_claim(run_id=run.pk) is None
    begun.refresh_from_db()
    assert (begun.status, begun.step) == (RoundStatus.PAUSED, "sft")

    monkeypatch.setenv("STUB", "succeed")
    rung.clear()
    round_resume(round=begun)
    assert ("run_execute", run.pk, "train") in rung
    assert ("round_advance", begun.pk, "default") in rung
    rounds_work(project=begun.project)
    run.refresh_from_db()
    begun.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 1)
    assert begun.status == RoundStatus.SUCCEEDED


def test_a_waiting_run_waits_on_and_the_round_stands_still(begun: Round, rung: Rung) -> None:
    round_pause(round=begun)
    rung.clear()
    for _ in range(2):
        runs_recover(now=timezone.now() + timedelta(hours=1))
        round_advance(round_id=begun.pk)
    rounds_work(project=begun.project)
    assert not rung
    assert run_of(begun).status == RunStatus.QUEUED
    with pytest.raises(RoundNotRunning):
        round_pause(round=begun)
    round_resume(round=begun)
    with pytest.raises(RoundNotPaused):
        round_resume(round=begun)


def test_a_run_that_ends_as_the_round_pauses_counts(begun: Round) -> None:
    run = run_of(begun)
    run_execute(run_id=run.pk)
    round_pause(round=begun)
    round_advance(round_id=begun.pk)
    begun.refresh_from_db()
    assert (begun.status, begun.step) == (RoundStatus.PAUSED, "sft")
    round_resume(round=begun)
    rounds_work(project=begun.project)
    begun.refresh_from_db()
    assert begun.status == RoundStatus.SUCCEEDED
    assert run_of(begun).attempt == 1


def test_a_paused_round_can_be_cancelled_and_taken_up_again(begun: Round) -> None:
    round_pause(round=begun)
    round_cancel(round=begun)
    assert (begun.status, begun.error_code) == (RoundStatus.CANCELLED, "round_cancelled")
    assert run_of(begun).status == RunStatus.CANCELLED
    with pytest.raises(RoundNotPaused):
        round_resume(round=begun)
    round_retry(round=begun)
    rounds_work(project=begun.project)
    begun.refresh_from_db()
    assert begun.status == RoundStatus.SUCCEEDED


def test_a_cancellation_taken_back_before_the_worker_heard_of_it_is_forgotten(
    begun: Round,
) -> None:
    held = run_claim(run_id=run_of(begun).pk)
    assert held is not None
    round_cancel(round=begun)
    assert run_of(begun).cancel_requested
    round_retry(round=begun)
    run = run_of(begun)
    assert (run.status, run.cancel_requested) == (RunStatus.RUNNING, False)
    assert run.claim_token == held.claim_token
