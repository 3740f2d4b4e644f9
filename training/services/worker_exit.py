"""Has this worker been told to leave? Then a run is given back instead of being finished."""

import mmap
import os

# Shared with the pool's children, which are forked after this module is imported.
_leaving = mmap.mmap(-1, 1)


def worker_leave() -> None:
    """Called in the worker's main process when it begins to shut down."""
    _leaving[0] = 1


class WorkerWatch:
    """Made when a run begins, in the process that minds it."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    @property
    def is_leaving(self) -> bool:
        """True after worker_leave, or when the worker's main process is gone."""
        return _leaving[0] == 1 or os.getppid() != self._parent
