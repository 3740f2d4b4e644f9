"""The loop that every training method shares: resume, steps, metrics, saves, SIGTERM.

    loop = TrainingLoop(run_dir, {"policy": policy}, num_steps, save_every_steps, {"beta": 0.1})
    for step in loop.steps():
        ...
        loop.log(step, {"ppo/policy_loss": loss}, "KL 3.1 nats")

What must survive a kill besides the learners lives in `loop.memory`: plain values and tensors.
Random draws need no saving: their seeds are functions of names and steps (`seeds`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.processes import processes
from training.algorithms.engine.state import State, state_load, state_save, step_finished
from training.algorithms.errors import RunStopped
from training.algorithms.run_dir import RunDir, candidate_folder


@dataclass(frozen=True, slots=True)
class Candidates:
    """The checkpoints that a run keeps along its way, the last one included."""

    count: int
    write: Callable[[Path], None]
    """Puts the policy as it is into an empty folder; of several processes every one calls it."""


def candidate_steps(num_steps: int, count: int) -> list[int]:
    """After which of num_steps >= 1 steps a checkpoint is kept: evenly spaced, the last included.

    Fewer than `count` when there are not as many steps.
    """
    return sorted({num_steps * number // count for number in range(1, count + 1)} - {0})


class TrainingLoop:
    """Runs `num_steps` steps of a run, wherever an earlier process left it."""

    def __init__(
        self,
        run_dir: RunDir,
        learners: Mapping[str, Learner],
        num_steps: int,
        save_every_steps: int,
        memory: dict[str, Any] | None = None,
        candidates: Candidates | None = None,
    ) -> None:
        self._run_dir, self._learners = run_dir, learners
        self._num_steps, self._save_every = num_steps, save_every_steps
        self._candidates = candidates
        count = candidates.count if candidates else 1
        *self._kept_steps, _ = candidate_steps(num_steps, count)
        self.memory: dict[str, Any] = dict(memory or {})
        """Changed freely within a step; a resumed run finds it as it was after the saved step."""
        self.metrics: dict[str, float] = {}
        """Of the last finished step, also after a resume."""
        self._message = ""
        self._step = 0

    def steps(self) -> Iterator[int]:
        """Yields 0 .. num_steps - 1, without those that an earlier process has saved."""
        for step in range(self._resume(), self._num_steps):
            self._step = step
            yield step
            self._finished(step + 1)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """The checkpoints of the finished run by step, folders relative to it; for its result."""
        kept = [{"step": step, "folder": candidate_folder(step)} for step in self._kept_steps]
        return [*kept, {"step": self._num_steps, "folder": "output"}]

    def pause(self) -> None:
        """Leaves at once when SIGTERM asked for it; for use while a step has changed nothing yet.

        Saves the state as it was before the running step, then raises RunStopped. Several processes
        leave together at the end of a step only.
        """
        if self._run_dir.stop_requested and processes().count == 1:
            state_save(self._run_dir, self._state(self._step))
            raise RunStopped

    def log(self, step: int, metrics: Mapping[str, float], message: str = "") -> None:
        """Writes the metrics of the running step under the number `step` of their x axis.

        Raises LossNotFinite. `message` is for people who watch the progress.
        """
        self.metrics, self._message = dict(metrics), message
        self._run_dir.metrics_write(step, metrics)

    def _resume(self) -> int:
        state = state_load(self._run_dir)
        if state is None:
            return 0
        for name, learner in self._learners.items():
            learner.state_restore(state["learners"][name])
        self.memory, self.metrics = state["memory"], state["metrics"]
        return int(state["done"])

    def _state(self, done: int) -> State:
        return {
            "learners": {name: learner.state() for name, learner in self._learners.items()},
            "memory": self.memory,
            "metrics": self.metrics,
            "done": done,
        }

    def _finished(self, done: int) -> None:
        """Saves every few steps, and when SIGTERM asked to stop: then raises RunStopped.

        A candidate is written before the state that counts its step as done.
        """
        if self._candidates is not None and done in self._kept_steps:
            self._run_dir.candidate_save(done, self._candidates.write)
        self._run_dir.progress_write(done, self._num_steps, self._message)
        # All processes leave, or none: one that is asked after this leaves with the next step.
        is_stopping = processes().any(self._run_dir.stop_requested)
        step_finished(
            self._run_dir,
            done,
            self._save_every,
            lambda: self._state(done),
            self._num_steps,
            is_stopping=is_stopping,
        )
