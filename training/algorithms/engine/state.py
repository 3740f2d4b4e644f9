"""Resume state: what a loop saves every few steps and takes up after a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from training.algorithms.errors import RunStopped
from training.algorithms.run_dir import RunDir

State = dict[str, Any]
ResultT = TypeVar("ResultT")


def state_load(run_dir: RunDir) -> State | None:
    """The last saved state, None on a fresh start. Tensors and plain values only, no pickled code.

    A change of code between kill and resume is the caller's concern: the folder is one run.
    """
    folder = run_dir.state_path()
    if folder is None:
        return None
    return torch.load(folder / "state.pt", map_location="cpu", weights_only=True)


def state_save(run_dir: RunDir, state: State) -> None:
    """Replaces the saved state, all or nothing."""

    def write(folder: Path) -> None:
        torch.save(state, folder / "state.pt")

    run_dir.state_save(write)


def step_finished(
    run_dir: RunDir,
    done: int,
    every: int,
    state: Callable[[], State],
    total: int | None = None,
    *,
    is_stopping: bool,
) -> None:
    """Call after each step: saves every `every` steps, and when the run is to stop.

    `done` counts finished steps. Nothing is saved after the last step: the output follows at once.
    `is_stopping` is the run's `stop_requested`, or what all its processes agreed on. Raises
    RunStopped after the save that it asks for.
    """
    if is_stopping:
        state_save(run_dir, state())
        raise RunStopped
    if done % every == 0 and done != total:
        state_save(run_dir, state())


class Parts:
    """A run whose parts are done once each, in any number of processes one after the other.

    Results are plain values and tensors; those of finished parts survive a kill.
    """

    def __init__(self, run_dir: RunDir, num_parts: int) -> None:
        self._run_dir, self._num_parts = run_dir, num_parts
        self._results: State = state_load(run_dir) or {}

    def once(self, name: str, compute: Callable[[], ResultT]) -> ResultT:
        """The result of the part: computed and saved, or what an earlier process saved."""
        if name not in self._results:
            self._results[name] = compute()
            state_save(self._run_dir, self._results)
            self._run_dir.progress_write(len(self._results), self._num_parts, f"{name} measured")
            self._run_dir.leave_if_asked()
        result: ResultT = self._results[name]
        return result
