"""Resume state: what a loop saves every few steps and takes up after a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.algorithms.errors import RunStopped
from training.algorithms.run_dir import RunDir

State = dict[str, Any]


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
    run_dir: RunDir, done: int, every: int, state: Callable[[], State], total: int | None = None
) -> None:
    """Call after each step: saves every `every` steps, and when SIGTERM asked to stop.

    `done` counts finished steps. Nothing is saved after the last step: the output follows at once.
    Raises RunStopped after a save that SIGTERM asked for.
    """
    if run_dir.stop_requested:
        state_save(run_dir, state())
        raise RunStopped
    if done % every == 0 and done != total:
        state_save(run_dir, state())
