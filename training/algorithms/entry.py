"""How a method's process starts and ends: `python -m training.algorithms.<method> RUN_DIR`.

Exit codes: 0 result.json is there; 3 expected failure, see error.json; 4 another process works in
the folder; 143 stopped by SIGTERM (state saved) or by the death of its supervisor; anything else
is a defect with a traceback on stderr.
"""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Mapping

from training.algorithms.errors import RunError, RunFolderInvalid, RunLocked, RunStopped
from training.algorithms.run_dir import Result, RunDir

EXIT_EXPECTED = 3
EXIT_LOCKED = 4
EXIT_STOPPED = 143

# OpenMP and MKL may otherwise lower the thread count under load, which changes the order of sums.
ENVIRONMENT = {
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
    # Threads that spin while they wait make a run on busy cores several times slower; a thousand
    # turns spare idle cores most of the sleeping and waking (docs/log.md has the times).
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "1000",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def main(method: str) -> None:
    """Runs one method in the folder named on the command line, then exits the process."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m training.algorithms.{method} RUN_DIR")
    if os.environ.get("PREFERENDUM_SUPERVISED") == "1":
        _supervisor_watch()
    sys.exit(run_folder(method, sys.argv[1]))


def run_folder(method: str, path: str, environment: Mapping[str, str] = ENVIRONMENT) -> int:
    """Runs the method in the folder and returns the exit code."""
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        run_dir = RunDir(path, is_writer=os.environ.get("RANK", "0") == "0")
    except RunFolderInvalid as error:
        print(error.message, file=sys.stderr)
        return EXIT_EXPECTED
    try:
        with run_dir.lock():
            return _run_locked(method, run_dir)
    except RunLocked as error:
        print(error, file=sys.stderr)
        return EXIT_LOCKED


def _run_locked(method: str, run_dir: RunDir) -> int:
    if run_dir.is_finished():
        return 0
    run_dir.error_clear()
    _sigterm_watch(run_dir)
    try:
        if run_dir.method != method:
            raise RunFolderInvalid(f"run.json is for {run_dir.method!r}, not for {method!r}")
        torch_prepare(run_dir.num_threads)
        loop = importlib.import_module(f"training.algorithms.{method}.loop")
        result: Result = loop.run(run_dir)
        run_dir.result_write(result)
    except RunStopped:
        return EXIT_STOPPED
    except RunError as error:
        run_dir.error_write(error)
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return EXIT_EXPECTED
    return 0


def torch_prepare(num_threads: int) -> None:
    """Fixes the thread count and asks for deterministic kernels."""
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    import torch
    import transformers

    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _sigterm_watch(run_dir: RunDir) -> None:
    """SIGTERM asks the loop to save its state at the end of the step."""

    def on_signal(signum: int, frame: object) -> None:
        run_dir.stop_requested = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_signal)


def _supervisor_watch() -> None:
    """Ends this process when stdin closes: the worker that started it is gone."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(EXIT_STOPPED)

    threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()
