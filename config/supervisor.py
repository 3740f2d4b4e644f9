"""Runs the processes of one installation together: restarts what dies, leaves no orphans.

Each child leads a session of its own, so that stopping it reaches everything below it. On Linux
the kernel also asks the children to stop if the supervisor itself is killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_GRACE_SECONDS = 8.0
RESTART_DELAYS_SECONDS = (0.5, 1, 2, 5, 10, 30)
HEALTHY_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    name: str
    arguments: Sequence[str]


@dataclass(slots=True)
class Child:
    spec: ProcessSpec
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_deaths: int = 0


def _ask_to_die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Supervisor:
    specs: Sequence[ProcessSpec]
    log_folder: Path
    environment: dict[str, str]
    say: Callable[[str], None]
    children: list[Child] = field(init=False)
    stopping: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.children = [Child(spec) for spec in self.specs]

    def start(self) -> None:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        for child in self.children:
            self._spawn(child)

    def run(self, *, poll_seconds: float = 0.2) -> None:
        """Watch until SIGINT or SIGTERM, then stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.request_stop())
        while not self.stopping:
            self.watch_once()
            time.sleep(poll_seconds)
        self.stop()

    def request_stop(self) -> None:
        self.stopping = True

    def watch_once(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.restart_at:
                    self._spawn(child)
            elif child.process.poll() is not None:
                self._note_death(child, now)

    def stop(self) -> None:
        self.stopping = True
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _kill_session(process)
            process.wait()

    def _spawn(self, child: Child) -> None:
        log = self.log_folder / f"{child.spec.name}.log"
        with log.open("ab") as output:
            child.process = subprocess.Popen(
                child.spec.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                preexec_fn=_ask_to_die_with_parent,
            )
        child.started_at = time.monotonic()

    def _note_death(self, child: Child, now: float) -> None:
        assert child.process is not None
        _kill_session(child.process)
        if now - child.started_at >= HEALTHY_AFTER_SECONDS:
            child.quick_deaths = 0
        delay = RESTART_DELAYS_SECONDS[min(child.quick_deaths, len(RESTART_DELAYS_SECONDS) - 1)]
        child.quick_deaths += 1
        child.restart_at = now + delay
        self.say(
            f"{child.spec.name} ended with code {child.process.returncode}; "
            f"starting it again in {delay:g} s (log: {self.log_folder / child.spec.name}.log)"
        )
        child.process = None


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """End what a child left behind; its session has the child's process id."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
