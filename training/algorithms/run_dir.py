"""A run folder: frozen input, resumable state, output. Torch-free. See docs/data_formats.md."""

import fcntl
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from training.algorithms.configs import config_resolve
from training.algorithms.data.record_checks import SplitCheck
from training.algorithms.errors import (
    CheckpointInvalid,
    LossNotFinite,
    RunError,
    RunFolderInvalid,
    RunLocked,
    RunStopped,
)

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True)
class Result:
    """What result.json holds: headline numbers and any other plain data."""

    metrics: dict[str, float] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hardware:
    """How the machine computes a run. Not a hyperparameter: the result differs by rounding."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: matrix products in bfloat16, weights and sums in fp32 (autocast)."""
    sharding: Literal["none", "fsdp"] = "none"
    """Of several processes: whole copies (DDP), or weights and optimizer in parts (FSDP2)."""


class RunDir:
    """Reads run.json on construction; raises RunFolderInvalid.

    Of several processes only the writer writes; the others' writes do nothing.
    """

    def __init__(self, path: Path | str, is_writer: bool = True) -> None:
        self.path = Path(path).absolute()
        self.is_writer = is_writer
        document = _json_read(self.path / "run.json")
        try:
            self.method: str = document["method"]
            self.config: dict[str, Any] = document["config"]
            self.seed: int = int(document["seed"])
            self.inputs: dict[str, str] = document.get("inputs", {})
            self.num_threads: int = int(document.get("num_threads", 1))
            self.hardware = _hardware(document)
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderInvalid(
                f"{self.path / 'run.json'} lacks or garbles {error}; it needs method, config, seed."
            ) from error
        self.stop_requested = False
        self._splits = SplitCheck()
        self._metrics_seen: set[tuple[int, str]] | None = None

    # ---- input

    def config_as(self, config: type[ConfigT]) -> ConfigT:
        """The run's config as a validated dataclass; raises ConfigError."""
        return config_resolve(config, self.config)

    def input_path(self, role: str) -> str:
        """Where the checkpoint of a role is: an existing folder, or a Hugging Face hub id."""
        try:
            location = self.inputs[role]
        except KeyError:
            raise RunFolderInvalid(f"run.json names no input checkpoint {role!r}.") from None
        folder = (self.path / location).resolve()
        if folder.is_dir():
            return str(folder)
        if location.startswith((".", "/")):
            raise CheckpointInvalid(
                f"The {role} checkpoint {location!r} is not a folder (looked in {folder}).",
                role=role,
                location=location,
            )
        return location

    def records(self, name: str, split: str | None = None) -> list[dict[str, Any]]:
        """Records of data/<name>.jsonl in file order, all or those of one split.

        A missing file reads as no records: a project may have no demonstrations yet. Raises
        RunFolderInvalid for what is no record, and for a prompt on both sides (SplitCheck).
        """
        path = self.path / "data" / f"{name}.jsonl"
        if not path.exists():
            return []
        records = _lines_read(path)
        if split is None:
            return records
        for record in records:
            self._splits.add(name, record)
        return [record for record in records if record["split"] == split]

    # ---- one process at a time

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process; raises RunLocked at once when another has it.

        The kernel frees the lock when the process dies, however it dies.
        """
        if not self.is_writer:
            yield
            return
        with (self.path / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunLocked(f"another process works in {self.path}") from error
            yield

    # ---- what the run tells

    def metrics_write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line to metrics.jsonl.

        A (step, name) already in the file is left out: after a resume the replayed steps yield the
        same numbers, and the file stays append-only for whoever follows it. Raises LossNotFinite
        for a NaN or infinite value.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise LossNotFinite(f"{name} is {value} at step {step}.", metric=name, step=step)
        if not self.is_writer:
            return
        path = self.path / "metrics.jsonl"
        if self._metrics_seen is None:
            self._metrics_seen = _metrics_recover(path)
        fresh = {k: float(v) for k, v in metrics.items() if (step, k) not in self._metrics_seen}
        if not fresh:
            return
        self._metrics_seen.update((step, name) for name in fresh)
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({"step": step, "metrics": fresh}) + "\n")

    def progress_write(self, done: int, total: int, message: str = "") -> None:
        """Replaces progress.json."""
        if self.is_writer:
            progress = {"done": done, "total": total, "message": message}
            _json_write(self.path / "progress.json", progress)

    # ---- resume state

    def state_save(self, write: Callable[[Path], None]) -> None:
        """Replaces state/ by what `write` puts into an empty folder, all or nothing."""
        if not self.is_writer:
            return
        new, old = self.path / "state.new", self.path / "state.old"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        write(new)
        _sync_files(new)
        shutil.rmtree(old, ignore_errors=True)
        if (self.path / "state").exists():
            (self.path / "state").rename(old)
        # A death between these renames leaves state.old, which state_path() takes back.
        new.rename(self.path / "state")
        shutil.rmtree(old, ignore_errors=True)

    def state_path(self) -> Path | None:
        """The folder of the last complete state, None on a fresh start."""
        state, old = self.path / "state", self.path / "state.old"
        if not state.exists() and old.exists():
            if not self.is_writer:
                return old
            old.rename(state)
        return state if state.exists() else None

    def leave_if_asked(self, num_done: int = 0) -> None:
        """Raises RunStopped after SIGTERM; for work that the next start does again.

        Fits the `on_batch` of a generator, whose count it does not need.
        """
        if self.stop_requested:
            raise RunStopped

    # ---- output

    def output_save(self, write: Callable[[Path], None]) -> None:
        """Replaces output/ by what `write` puts into an empty folder.

        Every process calls `write`, so that sharded weights can be gathered; what the others than
        the writer write is thrown away.
        """
        self._folder_save("output", write)

    def candidate_save(self, step: int, write: Callable[[Path], None]) -> None:
        """The same for the checkpoint kept after `step` steps, see candidate_folder."""
        self._folder_save(candidate_folder(step), write)

    def _folder_save(self, name: str, write: Callable[[Path], None]) -> None:
        if not self.is_writer:
            with TemporaryDirectory() as nowhere:
                write(Path(nowhere))
            return
        new, folder = self.path / f"{name}.new", self.path / name
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        write(new)
        _sync_files(new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)

    def samples_write(self, samples: list[dict[str, Any]]) -> None:
        """Replaces samples.jsonl."""
        self.records_write("samples", samples)

    def records_write(self, name: str, records: list[dict[str, Any]]) -> None:
        """Replaces <name>.jsonl."""
        if not self.is_writer:
            return
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        _text_write(self.path / f"{name}.jsonl", text)

    def result_write(self, result: Result) -> None:
        """Writes result.json, last of all: its presence means success. Drops the resume state."""
        if not self.is_writer:
            return
        _json_write(
            self.path / "result.json", {"metrics": result.metrics, "data": result.data}, sync=True
        )
        for name in ("state", "state.old", "state.new"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def is_finished(self) -> bool:
        return (self.path / "result.json").exists()

    def error_write(self, error: RunError) -> None:
        if not self.is_writer:
            return
        document = {"code": error.code, "message": error.message, "extra": error.extra}
        _json_write(self.path / "error.json", document)

    def error_clear(self) -> None:
        if self.is_writer:
            (self.path / "error.json").unlink(missing_ok=True)


def candidate_folder(step: int) -> str:
    """Where a run keeps the checkpoint of a step before its last, relative to the run folder."""
    return f"candidates/{step:06d}"


def _hardware(document: Mapping[str, Any]) -> Hardware:
    given = {name: document[name] for name in ("precision", "sharding") if name in document}
    return config_resolve(Hardware, given)


def _json_read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderInvalid(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict):
        raise RunFolderInvalid(f"{path} holds no JSON object")
    return document


def _lines_read(path: Path) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, nested too deep
            raise RunFolderInvalid(f"{path} line {number} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise RunFolderInvalid(f"{path} line {number} is not a JSON object: {line[:80]!r}")
        records.append(record)
    return records


def _json_write(path: Path, document: dict[str, Any], sync: bool = False) -> None:
    _text_write(path, json.dumps(document, ensure_ascii=False, default=str), sync=sync)


def _text_write(path: Path, text: str, sync: bool = False) -> None:
    """Writes beside the target and renames, so that a reader sees the old or the new file."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        if sync:
            handle.flush()
            os.fsync(handle.fileno())
    temporary.replace(path)


def _sync_files(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())


def _metrics_recover(path: Path) -> set[tuple[int, str]]:
    """The (step, name) pairs on file; cuts off a line torn by a kill."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if len(complete) < len(content):
        with path.open("r+b") as handle:
            handle.truncate(len(complete))
    lines = [json.loads(line) for line in complete.splitlines()]
    return {(line["step"], name) for line in lines for name in line["metrics"]}
