"""The model every loop begins from: one that people name, or the embedded one, made here once."""

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from django.conf import settings as django_settings

from training.algorithms.methods import method_get
from training.choices import CheckpointKind
from training.errors import BaseModelFailed
from training.models import Checkpoint
from training.services.run_process import (
    EXIT_LOCKED,
    json_read,
    num_threads,
    process_start,
    process_stop,
    stderr_tail,
)

METHOD = "pretrain"
SEED = 1
FOLDER = "base_model"
POLL_SECONDS = 0.25

# (done, total, message)
Report = Callable[[int, int, str], None]


def base_checkpoint_get(*, base_model: str = "") -> Checkpoint:
    """The row of a base model, whether or not its weights are here yet.

    `base_model` is a project's own choice; empty means this installation's.
    """
    named = base_model or django_settings.PREFERENDUM_BASE_MODEL
    path = named or str(_embedded_folder().relative_to(_data_dir()) / "output")
    name = (Path(named).name if Path(named).is_dir() else named) or "embedded base model"
    checkpoint, _ = Checkpoint.objects.get_or_create(
        kind=CheckpointKind.BASE, path=path, defaults={"name": name}
    )
    return checkpoint


def base_checkpoint_ensure(*, base_model: str = "", report: Report | None = None) -> Checkpoint:
    """The row of a base model, whose weights are ready when this returns.

    The embedded one is pretrained on first use (minutes). Raises BaseModelFailed.
    """
    checkpoint = base_checkpoint_get(base_model=base_model)
    if not base_model_is_ready(checkpoint):
        _embedded_make(report or (lambda done, total, message: None))
    return checkpoint


def is_embedded(checkpoint: Checkpoint) -> bool:
    return checkpoint.path.startswith(f"{FOLDER}/")


def base_model_is_ready(checkpoint: Checkpoint) -> bool:
    """A hub id or a named folder is taken as it is; its stage tells when it cannot be loaded."""
    if not is_embedded(checkpoint):
        return True
    return (Path(checkpoint.location).parent / "result.json").exists()


def _embedded_make(report: Report) -> None:
    folder = _embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, report):
        if (folder / "result.json").exists():
            return
        document = {
            "method": METHOD,
            "config": asdict(method_get(METHOD).config()),
            "seed": SEED,
            "inputs": {},
            "num_threads": num_threads(),
        }
        run_json = folder / "run.json"
        if not run_json.exists():
            temporary = folder / "run.json.new"
            temporary.write_text(json.dumps(document, indent=1, sort_keys=True))
            temporary.replace(run_json)
        code = _embedded_run(folder, report)
        if code != 0 or not (folder / "result.json").exists():
            error = json_read(folder / "error.json") or {}
            raise BaseModelFailed(
                f"The base model could not be made (exit code {code}): "
                f"{error.get('message') or stderr_tail(folder)[-1000:] or 'no output'}. "
                f"Its folder is {folder}; starting again goes on from its saved state.",
                folder=str(folder),
                exit_code=code,
            )


def _embedded_run(folder: Path, report: Report) -> int:
    while True:
        with process_start(METHOD, folder) as process:
            try:
                while process.poll() is None:
                    _report(folder, report)
                    time.sleep(POLL_SECONDS)
            except BaseException:
                process_stop(process)
                raise
        if process.returncode != EXIT_LOCKED:
            _report(folder, report)
            return process.returncode
        # The process of a dead predecessor is about to notice that it is alone.
        time.sleep(POLL_SECONDS)


@contextmanager
def _locked(folder: Path, report: Report) -> Iterator[None]:
    """One maker at a time on this machine; the others wait and see its progress."""
    with (folder.parent / f"{folder.name}.lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _report(folder, report)
                time.sleep(POLL_SECONDS)
        yield


def _report(folder: Path, report: Report) -> None:
    progress = json_read(folder / "progress.json") or {}
    report(progress.get("done", 0), progress.get("total", 0), progress.get("message", ""))


def _embedded_folder() -> Path:
    config = asdict(method_get(METHOD).config())
    key = json.dumps({"config": config, "seed": SEED}, sort_keys=True)
    return _data_dir() / FOLDER / hashlib.sha256(key.encode()).hexdigest()[:16]


def _data_dir() -> Path:
    return Path(django_settings.PREFERENDUM_DATA_DIR)
