"""A worker minding a run's process, with a stub in place of the training code."""

import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from training.algorithms.methods import method_get
from training.choices import RunStatus
from training.models import Checkpoint, LoopSettings, Metric, Run
from training.services.base_model import base_checkpoint_get
from training.services.run_execution import run_execute
from training.services.run_process import MetricsReader
from training.services.runs import run_cancel, run_claim, run_create, runs_recover

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("file_database")]


@pytest.fixture
def run(small: LoopSettings, silence: None) -> Run:
    return run_create(
        settings=small,
        step="sft",
        method=method_get("sft"),
        seed=1,
        parents={"init": base_checkpoint_get()},
    )


def in_background(run: Run) -> threading.Thread:
    def work() -> None:
        try:
            run_execute(run_id=run.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: (run.folder / "progress.json").exists())
    return thread


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of ours is dead, too.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_success_leaves_checkpoint_metrics_and_progress(run: Run) -> None:
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_text) == (RunStatus.SUCCEEDED, "")
    assert run.result["metrics"] == {"sft/loss": 0.5}
    assert (run.progress_done, run.progress_total) == (3, 3)
    assert run.finished_at is not None
    checkpoint = Checkpoint.objects.get(run=run)
    assert (checkpoint.kind, Path(checkpoint.location)) == ("sft", run.folder / "output")
    points = Metric.objects.filter(run=run, name="stub/value").order_by("step")
    assert list(points.values_list("step", "value")) == [(0, 0.0), (1, 0.5), (2, 1.0)]
    # The message may come twice.
    run_execute(run_id=run.pk)
    assert Checkpoint.objects.filter(run=run).count() == 1


@pytest.mark.parametrize("behaviour", ["refuse", "refuse_under_torchrun"])
def test_an_expected_failure_tells_its_code_and_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setenv("STUB", behaviour)
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "data_too_small")
    assert run.error_text == "3 of 8."


def test_a_crash_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "crash")
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "run_crashed")
    assert "ZeroDivisionError: the stub was told to crash" in run.error_text


def test_a_killed_process_is_an_interruption_and_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "die")
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.INTERRUPTED, 1)
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 2)


def test_a_folder_still_held_by_a_dying_process_is_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "locked")
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 1)


def test_cancelling_ends_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "hang")
    thread = in_background(run)
    pid = int((run.folder / "pid").read_text())
    run_cancel(run=run)
    thread.join(20)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (RunStatus.CANCELLED, "run_cancelled")
    assert not is_alive(pid)


def test_a_worker_that_lost_its_lease_kills_its_process_and_leaves(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "hang")
    monkeypatch.setattr("training.services.run_execution.REPORT_SECONDS", 0.1)
    thread = in_background(run)
    pid = int((run.folder / "pid").read_text())
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=9))
    assert runs_recover() == 1
    taken = run_claim(run_id=run.pk)
    assert taken is not None
    # The progress changes, so the worker speaks up, and is told that the run is not its own.
    (run.folder / "progress.json").write_text('{"done": 2, "total": 3}')
    thread.join(20)
    assert not thread.is_alive()
    assert not is_alive(pid)
    run.refresh_from_db()
    assert (run.status, run.claim_token) == (RunStatus.RUNNING, taken.claim_token)


def test_sigterm_gives_the_run_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "hang")

    def terminate() -> None:
        wait_for(lambda: (run.folder / "progress.json").exists())
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()
    with pytest.raises(SystemExit):
        run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.INTERRUPTED, 0)
    assert not is_alive(int((run.folder / "pid").read_text()))


def test_a_folder_of_another_database_is_not_taken_for_ours(run: Run) -> None:
    run.folder.mkdir(parents=True)
    (run.folder / "owner.json").write_text('{"run": 1, "created_at": "2020-01-01"}')
    (run.folder / "result.json").write_text('{"metrics": {"old": 1}}')
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.result["metrics"] == {"sft/loss": 0.5}


def test_metrics_are_read_as_they_grow_and_replays_change_nothing(run: Run) -> None:
    run.folder.mkdir(parents=True)
    path = run.folder / "metrics.jsonl"
    reader = MetricsReader(run, run.folder)
    assert reader.ingest() == 0
    path.write_text('{"step": 0, "metrics": {"a": 1, "b": 2}}\n{"step": 1, "met')
    assert reader.ingest() == 2
    path.write_text(
        '{"step": 0, "metrics": {"a": 1, "b": 2}}\n{"step": 1, "metrics": {"a": NaN, "b": 3}}\n'
    )
    # The torn line is whole now; its NaN is no number to draw.
    assert reader.ingest() == 1
    # A resume cut the file back and replayed step 0.
    path.write_text('{"step": 0, "metrics": {"a": 1}}\n')
    assert reader.ingest() == 1
    points = Metric.objects.filter(run=run).order_by("name", "step")
    assert list(points.values_list("name", "step", "value")) == [
        ("a", 0, 1.0),
        ("b", 0, 2.0),
        ("b", 1, 3.0),
    ]
