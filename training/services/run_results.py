"""What a succeeded run leaves in the database: a checkpoint, or samples."""

import json
from pathlib import Path
from typing import Any

from django.db import transaction

from annotation.choices import Origin
from annotation.models import Completion
from training.algorithms.methods import Method, method_get
from training.choices import RoundStep, SamplePurpose
from training.models import Run, Sample
from training.services.ai_feedback import feedback_register
from training.services.answer_tasks import answer_tasks_queue
from training.services.checkpoints import checkpoint_register
from training.services.runs import run_succeed

BATCH = 200


def run_register(*, run: Run, folder: Path, result: dict[str, Any]) -> bool:
    """Success, checkpoint and samples together or not at all; False when the lease was lost.

    A top-up's answers are made into tasks at once, a round's by the round's next step.
    """
    method = method_get(run.method)
    records = _samples_read(folder)
    with transaction.atomic():
        if not run_succeed(run=run, result=result):
            return False
        checkpoint_register(run=run, method=method, result=result)
        samples_register(run=run, method=method, records=records)
        feedback_register(run=run, folder=folder)
        if run.step == RoundStep.SAMPLE and run.round_id is None:
            answer_tasks_queue(run=run)
    return True


def samples_register(*, run: Run, method: Method, records: list[dict[str, Any]]) -> int:
    """Stores the samples that are not there yet, by index; returns how many."""
    known = set(Sample.objects.filter(run=run).values_list("index", flat=True))
    records = [record for record in records if record["index"] not in known]
    is_evaluation = method.stage == "evaluate"
    purpose = SamplePurpose.EVALUATION if is_evaluation else SamplePurpose.RANKING
    parents = {parent.role: parent.checkpoint_id for parent in run.run_parents.all()}
    for start in range(0, len(records), BATCH):
        chunk = records[start : start + BATCH]
        completions = Completion.objects.bulk_create(
            Completion(
                prompt_id=record["prompt_id"],
                # PostgreSQL takes no zero character, and no reader would miss it.
                text=record["text"].replace("\x00", "\ufffd"),
                origin=Origin.MODEL,
            )
            for record in chunk
        )
        Sample.objects.bulk_create(
            Sample(
                completion=completion,
                checkpoint_id=parents[record["role"]],
                run=run,
                index=record["index"],
                settings=run.config,
                seed=record["seed"],
                num_tokens=record["num_tokens"],
                finished=record["finished"],
                purpose=purpose,
            )
            for completion, record in zip(completions, chunk, strict=True)
        )
    return len(records)


def _samples_read(folder: Path) -> list[dict[str, Any]]:
    path = folder / "samples.jsonl"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
