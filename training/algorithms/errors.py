"""Expected failures of a run. They end in error.json and exit code 3; anything else is a defect."""

from typing import Any


class RunError(Exception):
    """A failure the reader of the run can act on.

    `message` carries the offending value, the expectation and the remedy; `extra` the same as data.
    """

    code = "run_failed"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


class RunFolderInvalid(RunError):
    """run.json or a file of data/ is missing or malformed."""

    code = "run_folder_invalid"


class DataTooSmall(RunError):
    """Too few records to train on. `extra`: what, have, need."""

    code = "data_too_small"

    def __init__(self, what: str, have: int, need: int, remedy: str = "") -> None:
        message = f"{have} {what}, but this run needs at least {need}; {need - have} more to go."
        super().__init__(f"{message} {remedy}".rstrip(), what=what, have=have, need=need)


class CheckpointInvalid(RunError):
    """A model or tokenizer cannot be loaded, or is not of the expected kind."""

    code = "checkpoint_invalid"


class LossNotFinite(RunError):
    """A loss or metric became NaN or infinite: the weights are no longer trustworthy."""

    code = "loss_not_finite"


class TrainingHalted(RunError):
    """What training does to the model is no longer what it was asked for; nothing is output."""

    code = "training_halted"


class GenerationFailed(RunError):
    """A server did not give every completion asked of it. `extra`: num_failed, num_completions."""

    code = "generation_failed"


class RunLocked(Exception):
    """Another process works in this run folder. Ends in exit code 4 and writes nothing there."""


class RunStopped(Exception):
    """SIGTERM arrived and the state was saved. Ends in exit code 143."""
