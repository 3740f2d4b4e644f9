"""A worker minding one run: claim it, start its process, tell how it goes, take its results."""

import logging
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings as django_settings

from annotation.errors import DomainError
from training.choices import CheckpointKind
from training.models import Run
from training.services.base_model import Report, base_checkpoint_ensure, base_model_is_ready
from training.services.run_folder import run_folder_prepare
from training.services.run_process import (
    EXIT_EXPECTED,
    EXIT_LOCKED,
    EXIT_STOPPED,
    MetricsReader,
    json_read,
    process_memory_mib,
    process_start,
    process_stop,
    stderr_tail,
)
from training.services.run_results import run_register
from training.services.runs import (
    run_cancel_requested,
    run_cancelled,
    run_claim,
    run_fail,
    run_heartbeat,
    run_next_ring,
    run_pause_requested,
    run_release,
)
from training.services.worker_exit import WorkerWatch

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.1
REPORT_SECONDS = 1.0
LOCKED_PAUSE_SECONDS = 1.0


class _LeaseLost(Exception):
    """Another worker has the run: nothing more of it is ours."""


class _CancelRequested(Exception):
    pass


class _PauseRequested(Exception):
    """The round pauses: the run waits, at no cost, until it is resumed."""


class _WorkerLeaves(BaseException):
    """Not an Exception, so that nothing on the way up takes it for a failure of the run."""


def run_execute(*, run_id: int, report: Report | None = None) -> None:
    """Claims the run and minds its process to the end; returns at once when it cannot be claimed.

    May be called any number of times for one run, by any number of workers. `report` hears
    (done, total, message) about once a second.
    """
    run = run_claim(run_id=run_id)
    if run is None:
        return
    logger.info("run %s (%s): attempt %s", run.pk, run.method, run.attempt)
    leaving = False
    try:
        with _sigterm_leaves():
            _work(run, WorkerWatch(), report or _report_to_nobody)
    except _LeaseLost:
        logger.warning("run %s: lease lost, leaving it", run.pk)
    except _CancelRequested:
        run_cancelled(run=run)
    except _PauseRequested:
        run_release(run=run, worker_leaves=True)
    except DomainError as error:
        run_fail(run=run, code=error.code, text=error.message)
    except Exception:
        logger.exception("run %s: failed in the worker", run.pk)
        run_fail(run=run, code="run_crashed", text=traceback.format_exc())
    except BaseException as error:
        leaving = True
        run_release(run=run, worker_leaves=True)
        if not isinstance(error, _WorkerLeaves):
            raise
    finally:
        if not leaving:
            run_next_ring(queue=run.queue)


def _work(run: Run, watch: WorkerWatch, report: Report) -> None:
    _base_model_wait(run, watch)
    folder = run_folder_prepare(run)
    code = EXIT_LOCKED
    while code == EXIT_LOCKED:
        # A dead worker's process ends as soon as it notices; until then it holds the folder.
        code = _attempt(run, folder, watch, report)
        if code == EXIT_LOCKED:
            time.sleep(LOCKED_PAUSE_SECONDS)
    result = json_read(folder / "result.json")
    if code == 0 and result is not None:
        if not run_register(run=run, folder=folder, result=result):
            raise _LeaseLost
    elif code == EXIT_EXPECTED or (folder / "error.json").exists():
        # torchrun exits with a code of its own, whatever its processes ended with.
        error = json_read(folder / "error.json") or {}
        text = error.get("message") or stderr_tail(folder) or "The run gave no reason."
        run_fail(run=run, code=error.get("code", "run_failed"), text=text)
    elif code < 0 or code in (EXIT_STOPPED, 128 + signal.SIGKILL):
        # Killed from outside: the saved state is good, so the run is taken up again.
        logger.warning("run %s: process ended by signal (exit code %s)", run.pk, code)
        run_release(run=run)
    else:
        text = stderr_tail(folder) or "It wrote nothing to stderr."
        run_fail(run=run, code="run_crashed", text=f"Exit code {code}.\n{text}")


def _attempt(run: Run, folder: Path, watch: WorkerWatch, report: Report) -> int:
    """One process from start to end; returns its exit code."""
    with process_start(run.method, folder) as process:
        reporter = _Reporter(run, folder, process.pid, report)
        try:
            while process.poll() is None:
                _leave_if_asked(watch)
                reporter.report()
                _sleep(process)
        except (_CancelRequested, _PauseRequested, _WorkerLeaves, KeyboardInterrupt, SystemExit):
            process_stop(process)
            raise
        reporter.report(final=True)
        return process.returncode


class _Reporter:
    """Progress, metrics and the lease: at most one short write a second, and only when needed."""

    def __init__(self, run: Run, folder: Path, pid: int, tell: Report) -> None:
        self._run, self._folder, self._pid, self._tell = run, folder, pid, tell
        self._metrics = MetricsReader(run, folder)
        self._lease_third = django_settings.PREFERENDUM_RUN_LEASE_SECONDS / 3
        self._told: dict[str, Any] = {}
        self._next = 0.0
        self._beat_due = 0.0

    def report(self, final: bool = False) -> None:
        """Raises _LeaseLost, _CancelRequested or _PauseRequested."""
        now = time.monotonic()
        if now < self._next and not final:
            return
        self._next = now + REPORT_SECONDS
        self._metrics.ingest()
        progress = self._progress()
        if progress != self._told or now >= self._beat_due:
            if not run_heartbeat(run=self._run, **progress):
                raise _LeaseLost
            self._told, self._beat_due = progress, now + self._lease_third
        self._tell(
            progress.get("progress_done", 0),
            progress.get("progress_total", 0),
            progress.get("progress_message", ""),
        )
        if not final:
            _stop_if_asked(self._run)

    def _progress(self) -> dict[str, Any]:
        progress = dict(self._told)
        if document := json_read(self._folder / "progress.json"):
            progress |= {
                "progress_done": int(document.get("done", 0)),
                "progress_total": int(document.get("total", 0)),
                "progress_message": str(document.get("message", ""))[:200],
            }
        if memory := process_memory_mib(self._pid):
            # In steps of 16 MiB, so that growing memory alone does not write every second.
            progress["peak_memory_mib"] = memory - memory % 16
        return progress


def _report_to_nobody(done: int, total: int, message: str) -> None:
    pass


def _base_model_wait(run: Run, watch: WorkerWatch) -> None:
    """Makes the embedded base model if nobody has yet, keeping the lease meanwhile."""
    parents = run.run_parents.select_related("checkpoint")
    bases = [p.checkpoint for p in parents if p.checkpoint.kind == CheckpointKind.BASE]
    if all(base_model_is_ready(checkpoint) for checkpoint in bases):
        return
    beat_due = 0.0

    def report(done: int, total: int, message: str) -> None:
        nonlocal beat_due
        _leave_if_asked(watch)
        if time.monotonic() < beat_due:
            return
        beat_due = time.monotonic() + REPORT_SECONDS
        text = f"making the base model first: {message}"[:200]
        told = {"progress_done": done, "progress_total": total, "progress_message": text}
        if not run_heartbeat(run=run, **told):
            raise _LeaseLost
        _stop_if_asked(run)

    base_checkpoint_ensure(report=report)


def _stop_if_asked(run: Run) -> None:
    if run_cancel_requested(run=run):
        raise _CancelRequested
    if run_pause_requested(run=run):
        raise _PauseRequested


def _leave_if_asked(watch: WorkerWatch) -> None:
    if watch.is_leaving:
        raise _WorkerLeaves


def _sleep(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def _sigterm_leaves() -> Iterator[None]:
    """SIGTERM to the process that minds the run gives the run back before the process ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_sigterm(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(EXIT_STOPPED)

    previous = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
