"""Clock and memory of one side's process. Standard library only, used by both sides."""

import itertools
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Clock:
    """Times the steps of a training loop from the ends of its steps.

    Work that a method does once for its data before the first step (DPO's reference) is timed
    apart and added: it is part of the job.
    """

    def __init__(self, num_warmup: int = 1) -> None:
        self.num_warmup = num_warmup
        self.marks: list[float] = []
        self.cpu_marks: list[float] = []
        self.prepare_seconds = 0.0
        self.loaded_mib = 0.0
        self.peak_mib = 0.0

    def loaded(self) -> None:
        """Call when model and data are in memory and training is about to start."""
        self.loaded_mib = rss_mib()
        peak_reset()

    def mark(self) -> None:
        """Call at the end of every step."""
        self.marks.append(time.perf_counter())
        self.cpu_marks.append(time.process_time())
        self.peak_mib = peak_mib()

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to prepare_seconds."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.prepare_seconds += time.perf_counter() - start

        return timed

    def report(self) -> dict[str, Any]:
        """Seconds of the timed steps, processor seconds of all threads, memory in MiB."""
        if len(self.marks) <= self.num_warmup:
            raise RuntimeError(f"{len(self.marks)} steps, none left after the warm-up")
        ends = self.marks[self.num_warmup - 1 :]
        return {
            "seconds": ends[-1] - ends[0],
            "cpu_seconds": self.cpu_marks[-1] - self.cpu_marks[self.num_warmup - 1],
            "steps": len(ends) - 1,
            "step_seconds": [b - a for a, b in itertools.pairwise(ends)],
            "prepare_seconds": self.prepare_seconds,
            "loaded_mib": self.loaded_mib,
            "peak_mib": self.peak_mib,
        }


def rss_mib() -> float:
    """Memory of this process now, MiB; 0 where /proc is missing."""
    return _status_mib("VmRSS")


def peak_reset() -> None:
    """Lets peak_mib start anew (Linux); elsewhere the peak is that of the whole process."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_mib() -> float:
    """Largest memory of this process since peak_reset, MiB."""
    return _status_mib("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status_mib(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


PREFIX = "BENCH "


def result_print(result: dict[str, Any]) -> None:
    """The one line of stdout that the driver reads."""
    print(PREFIX + json.dumps(result), flush=True)


def result_parse(stdout: str) -> dict[str, Any] | None:
    """The last result line, None when there is none."""
    lines = [line for line in stdout.splitlines() if line.startswith(PREFIX)]
    return json.loads(lines[-1].removeprefix(PREFIX)) if lines else None
