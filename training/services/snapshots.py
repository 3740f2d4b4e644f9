"""Freezing: from rows that keep growing to immutable files that a run can be repeated on."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db import IntegrityError, transaction

from annotation.judgements.base import JudgementKind
from annotation.models import Project, Prompt
from annotation.selectors.exclusions import judgements_counted
from annotation.selectors.prompts import prompts_askable
from annotation.services.assignments import judgements_freeze
from annotation.services.prompts import content_hash
from training.models import LoopSettings, Sample, Snapshot
from training.selectors.judgements import kinds_teaching
from training.services.ai_records import ai_counts, ai_records, is_from_ai

TRAIN = "train"
HELD_OUT = "held_out"
FILES = ("demonstrations", "rankings", "ratings", "prompts")
BATCH = 500
# Stands for the checkpoint of a completion that no model wrote.
PERSON = "person"
# Where a snapshot keeps the origin of what an AI added to a file.
AI_FIELDS = {"rankings": "ai_judgements", "demonstrations": "ai_revisions"}


def prompt_split(content_hash: str, held_out_percent: int) -> str:
    """The side a prompt is on for ever, whoever asks and whenever: its hash decides."""
    return HELD_OUT if int(content_hash[:8], 16) % 100 < held_out_percent else TRAIN


def split_of(prompt: Prompt, held_out_percent: int) -> str:
    """The prompt's side; every turn of a conversation is on the side of its opening prompt."""
    return prompt_split((prompt.opening or prompt).content_hash, held_out_percent)


def snapshot_folder(snapshot_hash: str) -> Path:
    return Path(django_settings.PREFERENDUM_DATA_DIR) / "snapshots" / snapshot_hash


def snapshot_create(*, project: Project, settings: LoopSettings) -> Snapshot:
    """Freezes every judgement and askable prompt of the project. The same content is one snapshot.

    From then on no judgement in it can be taken back; one that was submitted since is in the next.
    Writes the files to <data>/snapshots/<hash>/ before the row, so that a row never lacks them.
    """
    judgements_freeze(project=project)
    records, lineage = _records(project, settings.held_out_percent)
    files = {name: _lines(records[name]) for name in FILES}
    snapshot_hash = _content_hash(files, settings)
    _files_write(snapshot_folder(snapshot_hash), files)
    manifest: dict[str, Any] = {name: _split_counts(records[name]) for name in FILES}
    manifest["ai"] = ai_counts(records)
    manifest["held_out_percent"] = settings.held_out_percent
    try:
        with transaction.atomic():
            snapshot, _ = Snapshot.objects.get_or_create(
                project=project,
                hash=snapshot_hash,
                defaults={"seed": settings.seed, "manifest": manifest},
            )
            # Also a second time: what teaches nothing changes no file, and yet is frozen by now.
            _lineage_store(snapshot, lineage)
    except IntegrityError:
        snapshot = Snapshot.objects.get(project=project, hash=snapshot_hash)
    return snapshot


def prompt_record(prompt: Prompt, held_out_percent: int) -> dict[str, Any]:
    return {
        "prompt_id": prompt.pk,
        "prompt": prompt.messages,
        "split": split_of(prompt, held_out_percent),
    }


def _records(
    project: Project, held_out_percent: int
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[int]]]:
    """Each file's records, and where they came from: {field of Snapshot: ids}."""
    prompts = list(
        Prompt.objects.filter(project=project).select_related("opening").order_by("content_hash")
    )
    splits = {prompt.pk: split_of(prompt, held_out_percent) for prompt in prompts}
    by_hash = {prompt.content_hash: prompt.pk for prompt in prompts}
    sources = _sources(project)
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in FILES}
    lineage: dict[str, list[int]] = {"assignments": []}
    for kind, judgement in _judgements(project):
        lineage["assignments"].append(judgement.assignment_id)
        exported = kind.record(judgement)
        for stream, example in kind.training_records(exported):
            prompt_id = _prompt_of(example, exported, by_hash)
            header = {"id": exported["id"], "kind": kind.name, "prompt_id": prompt_id}
            header["split"] = splits[prompt_id]
            records[stream].append(header | _example(stream, example, sources))
    # An AI's word is learned from at most, never measured by: held-out prompts are people's.
    train = {prompt.pk: prompt for prompt in prompts if splits[prompt.pk] == TRAIN}
    for name, added in ai_records(project, train, sources, PERSON).items():
        records[name] += [record | {"split": TRAIN} for record in added]
        lineage[AI_FIELDS[name]] = [record["id"] for record in added]
    for name in ("demonstrations", "rankings", "ratings"):
        records[name].sort(key=lambda record: (record["kind"], record["id"]))
    askable = set(prompts_askable(project).values_list("pk", flat=True))
    records["prompts"] = [
        prompt_record(prompt, held_out_percent) for prompt in prompts if prompt.pk in askable
    ]
    return records, lineage


def _judgements(project: Project) -> Iterator[tuple[JudgementKind, Any]]:
    """Every frozen judgement that counts and may teach, kind by kind."""
    for kind in kinds_teaching():
        counted = judgements_counted(kind.queryset(project), project)
        frozen = counted.filter(assignment__frozen_at__isnull=False)
        for judgement in frozen.iterator(chunk_size=kind.export_chunk):
            yield kind, judgement


def _prompt_of(example: dict[str, Any], exported: dict[str, Any], by_hash: dict[str, int]) -> int:
    """The prompt that the example answers: each turn of a conversation has one of its own.

    One without a row goes by the judgement's, and so does the same one in any later judgement.
    """
    if example["prompt"] == exported["prompt"]:
        return int(exported["prompt_id"])
    return by_hash.setdefault(content_hash(example["prompt"]), exported["prompt_id"])


def _sources(project: Project) -> dict[int, tuple[str, int | None]]:
    """Of every sampled completion: the checkpoint that wrote it, and the round it did so in."""
    rows = Sample.objects.filter(completion__prompt__project=project).values_list(
        "completion_id", "checkpoint__name", "run__round__number"
    )
    return {completion: (name, number) for completion, name, number in rows}


def _example(
    stream: str, example: dict[str, Any], sources: dict[int, tuple[str, int | None]]
) -> dict[str, Any]:
    """What a stage reads. Who judged and when is not among it; the row's lineage keeps that."""
    record: dict[str, Any] = {"prompt": example["prompt"]}
    if stream == "rankings":
        items = example["completions"]
        written = [sources.get(item["id"], (PERSON, None)) for item in items]
        record["completions"] = [item["text"] for item in items]
        record["ranks"] = example["ranks"]
        record["sources"] = [name for name, _ in written]
        record["round"] = max((n for _, n in written if n is not None), default=None)
        if example.get("strength") is not None:
            record["strength"] = example["strength"]
    elif stream == "ratings":
        record["completion"] = example["completion"]["text"]
        record["desirable"] = example["is_up"]
    else:
        record["completion"] = example["completion"]
    return record


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return "".join(_canonical(record) + "\n" for record in records).encode()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _content_hash(files: dict[str, bytes], settings: LoopSettings) -> str:
    header = {"seed": settings.seed, "held_out_percent": settings.held_out_percent}
    digest = hashlib.sha256(_canonical(header).encode())
    for name in FILES:
        digest.update(f"\n{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return digest.hexdigest()


def _files_write(folder: Path, files: dict[str, bytes]) -> None:
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for name, content in files.items():
            path = aside / f"{name}.jsonl"
            with path.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            path.chmod(0o444)
        aside.chmod(0o755)
        aside.rename(folder)
    except OSError:
        # Two freezes of the same content: the other one's files are the same, byte for byte.
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _split_counts(records: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Of people's judgements, and of prompts."""
    counts = {TRAIN: 0, HELD_OUT: 0}
    for record in records:
        if not is_from_ai(record):
            counts[record["split"]] += 1
    return counts


def _lineage_store(snapshot: Snapshot, lineage: dict[str, list[int]]) -> None:
    for field, ids in lineage.items():
        for start in range(0, len(ids), BATCH):
            getattr(snapshot, field).add(*ids[start : start + BATCH])


def snapshot_records(snapshot: Snapshot, name: str, split: str) -> Iterator[dict[str, Any]]:
    """The frozen records of one file on one side of the split, in file order."""
    path = snapshot_folder(snapshot.hash) / f"{name}.jsonl"
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["split"] == split:
                yield record
