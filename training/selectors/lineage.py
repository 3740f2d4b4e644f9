"""From a completion back to what made it: who wrote it, or which policy, trained on what."""

from typing import Any

from annotation.choices import Origin
from annotation.errors import NotFound
from annotation.models import Completion, Project
from training.models import Checkpoint, Run, Sample


def completion_get_origin(project: Project, completion_id: int) -> dict[str, Any]:
    """Raises NotFound. A person's completion names the author, a model's its whole ancestry."""
    completion = (
        Completion.objects.filter(pk=completion_id, prompt__project=project)
        .select_related("author", "prompt")
        .first()
    )
    if completion is None:
        raise NotFound(f"{project.slug} has no completion {completion_id}.")
    record: dict[str, Any] = {
        "completion_id": completion.pk,
        "prompt_id": completion.prompt_id,
        "origin": completion.origin,
        "author": completion.author.get_username() if completion.author else None,
        "sample": None,
        "ancestry": [],
    }
    if completion.origin == Origin.MODEL:
        sample = Sample.objects.filter(completion=completion).select_related("checkpoint").first()
        if sample is not None:
            record["sample"] = {
                "checkpoint_id": sample.checkpoint_id,
                "checkpoint": sample.checkpoint.name,
                "run_id": sample.run_id,
                "index": sample.index,
                "seed": sample.seed,
                "settings": sample.settings,
                "num_tokens": sample.num_tokens,
                "finished": sample.finished,
            }
            record["ancestry"] = checkpoint_ancestry(sample.checkpoint)
    return record


def checkpoint_ancestry(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """The checkpoint and everything it descends from, nearest first, each once.

    Each entry tells its snapshot, from which the rankings and demonstrations follow.
    """
    entries: list[dict[str, Any]] = []
    seen: set[int] = set()
    waiting = [(checkpoint, "")]
    while waiting:
        current, role = waiting.pop(0)
        if current.pk in seen:
            continue
        seen.add(current.pk)
        run = (
            Run.objects.filter(pk=current.run_id).select_related("snapshot", "round").first()
            if current.run_id
            else None
        )
        entries.append(_entry(current, role, run))
        if run is not None:
            parents = run.run_parents.select_related("checkpoint").order_by("role")
            waiting.extend((parent.checkpoint, parent.role) for parent in parents)
    return entries


def _entry(checkpoint: Checkpoint, role: str, run: Run | None) -> dict[str, Any]:
    snapshot = run.snapshot if run else None
    return {
        "checkpoint_id": checkpoint.pk,
        "checkpoint": checkpoint.name,
        "kind": checkpoint.kind,
        "role": role,
        "run_id": run.pk if run else None,
        "round": run.round.number if run and run.round else None,
        "method": run.method if run else None,
        "code_version": run.code_version if run else None,
        "snapshot": snapshot.hash if snapshot else None,
        "num_rankings": snapshot.rankings.count() if snapshot else 0,
        "num_demonstrations": snapshot.demonstrations.count() if snapshot else 0,
    }
