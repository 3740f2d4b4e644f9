"""One training process: how it is started, read while it works, and stopped."""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from training.algorithms.methods import method_get
from training.models import Metric, Run

# See training/algorithms/entry.py.
EXIT_EXPECTED = 3
EXIT_LOCKED = 4
EXIT_STOPPED = 143
GRACE_SECONDS = 8
STDERR_CHARACTERS = 8_000


def process_command(method: str, folder: Path) -> list[str]:
    """One process, or a torchrun of several for a method that can use them."""
    launcher = shlex.split(django_settings.PREFERENDUM_LAUNCHER) or [sys.executable]
    num_processes = django_settings.PREFERENDUM_TRAIN_PROCESSES
    if num_processes > 1 and method_get(method).is_parallel:
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node"]
        launcher += ["-m", *torchrun, str(num_processes)]
    return [*launcher, "-m", f"training.algorithms.{method}", str(folder)]


def process_environment() -> dict[str, str]:
    """The worker's own, told that it is watched and, by default, to stay off the network."""
    environment = dict(os.environ, PREFERENDUM_SUPERVISED="1", HF_HUB_DISABLE_TELEMETRY="1")
    if not django_settings.PREFERENDUM_ALLOW_DOWNLOADS:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment


def num_threads() -> int:
    return django_settings.PREFERENDUM_TRAIN_THREADS or len(os.sched_getaffinity(0))


@contextmanager
def process_start(method: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own group whose stdin is our pipe: it ends when we do, however we end.

    Leaving the block kills what is left of the group.
    """
    with (folder / "stderr.log").open("wb") as log:
        process = subprocess.Popen(
            process_command(method, folder),
            cwd=django_settings.BASE_DIR,
            env=process_environment(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def process_stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to save its state and leave, and insists after GRACE_SECONDS."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def process_memory_mib(pid: int) -> int | None:
    """Peak resident memory of a living process; None where /proc does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return None


def stderr_tail(folder: Path) -> str:
    """The end of what the last process of the folder said."""
    try:
        text = (folder / "stderr.log").read_text(errors="replace")
    except OSError:
        return ""
    return text[-STDERR_CHARACTERS:].replace("\x00", "\ufffd").strip()


def json_read(path: Path) -> dict[str, Any] | None:
    """None while the file is not there."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


class MetricsReader:
    """Copies metrics.jsonl into rows as it grows. A point read twice is one row with one value."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run = run
        self._path = folder / "metrics.jsonl"
        self._offset = 0

    def ingest(self) -> int:
        """Stores the complete lines that came since the last call; returns the rows written."""
        points: dict[tuple[str, int], float] = {}
        for line in self._lines():
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                for name, value in record["metrics"].items():
                    if math.isfinite(value):
                        points[str(name)[:100], int(record["step"])] = float(value)
        if points:
            Metric.objects.bulk_create(
                (
                    Metric(run=self._run, name=name, step=step, value=value)
                    for (name, step), value in points.items()
                ),
                batch_size=200,
                update_conflicts=True,
                unique_fields=["run", "name", "step"],
                update_fields=["value"],
            )
        return len(points)

    def _lines(self) -> list[bytes]:
        try:
            if self._path.stat().st_size < self._offset:
                # Cut back to a saved step by a resume: read it again from its start.
                self._offset = 0
            with self._path.open("rb") as handle:
                handle.seek(self._offset)
                content = handle.read()
        except OSError:
            return []
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.splitlines()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Its own session began with it, so its pid is the group's; the group may outlive the leader.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
