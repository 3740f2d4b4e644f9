"""From a claimed row to the folder its process reads. Doing it twice changes nothing."""

import json
import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from annotation.models import Prompt
from training.algorithms.methods import method_get
from training.algorithms.pretrain.corpus import held_out_texts
from training.choices import FEEDBACK, RoundStep
from training.models import Checkpoint, Run
from training.seeds import seed_derive
from training.services.ai_feedback import feedback_records
from training.services.base_model import SEED as BASE_SEED
from training.services.base_model import base_checkpoint_get, is_embedded
from training.services.run_process import num_threads
from training.services.settings import run_settings
from training.services.snapshots import (
    HELD_OUT,
    TRAIN,
    prompt_record,
    snapshot_folder,
    snapshot_records,
)
from training.shares import roles_allocate

# Of the embedded model's own corpus, for want of other texts to measure retention on.
NUM_RETENTION_TEXTS = 100


def run_folder_prepare(run: Run) -> Path:
    """Writes run.json and data/ for a new run; an interrupted one finds what it had before."""
    folder = run.folder
    _foreign_clear(run, folder)
    if (folder / "run.json").exists():
        return folder
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    _json_write(folder / "owner.json", _owner(run))
    for name in method_get(run.method).data:
        _data_write(run, name, data / f"{name}.jsonl")
    document = {
        "method": run.method,
        "config": run.config,
        "seed": run.seed,
        "inputs": {
            parent.role: input_location(parent.checkpoint, folder)
            for parent in run.run_parents.select_related("checkpoint").order_by("role")
        },
        # Kept for the run's whole life: another number of threads would round differently.
        "num_threads": num_threads(),
        "precision": django_settings.PREFERENDUM_TRAIN_PRECISION,
        "sharding": django_settings.PREFERENDUM_TRAIN_SHARDING,
    }
    # Last of all, so that its presence means a complete folder.
    _json_write(folder / "run.json", document)
    return folder


def input_location(checkpoint: Checkpoint, folder: Path) -> str:
    """Relative to the run folder within the data folder, so that the whole can be moved."""
    location = checkpoint.location
    data_dir = Path(django_settings.PREFERENDUM_DATA_DIR)
    if Path(location).is_relative_to(data_dir):
        return os.path.relpath(location, folder)
    return location


def _foreign_clear(run: Run, folder: Path) -> None:
    """Removes a folder left by another database's run of the same number."""
    try:
        owner = json.loads((folder / "owner.json").read_text())
    except (OSError, ValueError):
        owner = None
    if folder.exists() and owner != _owner(run):
        shutil.rmtree(folder)


def _owner(run: Run) -> dict[str, Any]:
    return {"run": run.pk, "created_at": run.created_at.isoformat()}


def _data_write(run: Run, name: str, path: Path) -> None:
    """A file that nobody has given reads as no records."""
    if name == "texts":
        if texts := django_settings.PREFERENDUM_PRETRAINING_TEXTS:
            # Copied, since its owner may go on writing it.
            shutil.copyfile(texts, path)
        elif run.step == RoundStep.EVALUATE and _begins_embedded(run):
            documents = held_out_texts(BASE_SEED, NUM_RETENTION_TEXTS)
            _jsonl_write(path, ({"text": text} for text in documents))
    elif run.step == FEEDBACK and name != "prompts":
        _jsonl_write(path, feedback_records(run, name))
    elif name != "prompts":
        if run.snapshot is not None:
            _file_link(snapshot_folder(run.snapshot.hash) / path.name, path)
    elif run.step == RoundStep.POLICY and run.snapshot is not None:
        _jsonl_write(path, snapshot_records(run.snapshot, "prompts", TRAIN))
    elif run.step == RoundStep.EVALUATE and run.snapshot is not None:
        held_out = snapshot_records(run.snapshot, "prompts", HELD_OUT)
        chosen = set(run.prompt_ids)
        _jsonl_write(path, (record for record in held_out if record["prompt_id"] in chosen))
    else:
        _jsonl_write(path, _prompt_records(run))


def _begins_embedded(run: Run) -> bool:
    return is_embedded(base_checkpoint_get(base_model=run_settings(run).base_model))


def _file_link(source: Path, path: Path) -> None:
    """Links a frozen file into the run's data, or copies it from another disk."""
    if not source.exists():
        return
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def _prompt_records(run: Run) -> Iterable[dict[str, Any]]:
    """With several policies, also who draws each of the prompt's candidates."""
    settings = run_settings(run)
    found = Prompt.objects.in_bulk(run.prompt_ids)
    weights = {parent.role: parent.weight for parent in run.run_parents.order_by("pk")}
    shares = {role: weight for role, weight in weights.items() if weight}
    num = run.config.get("num_candidates") or run.config.get("num_completions") or 1
    for prompt_id in run.prompt_ids:
        record = prompt_record(found[prompt_id], settings.held_out_percent)
        if len(shares) > 1:
            rng = random.Random(seed_derive(run.seed, "roles", prompt_id))
            record["roles"] = roles_allocate(shares, num, rng)
        yield record


def _jsonl_write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    _text_write(path, text)


def _json_write(path: Path, document: dict[str, Any]) -> None:
    _text_write(path, json.dumps(document, indent=1, sort_keys=True))


def _text_write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
