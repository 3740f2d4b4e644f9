"""The successive policies' answers to the same held-out prompts."""

from dataclasses import dataclass
from typing import Any

from annotation.models import Project
from training.choices import SamplePurpose
from training.models import Checkpoint, Sample


@dataclass(frozen=True, slots=True)
class Answer:
    completion_id: int
    checkpoint: str
    checkpoint_id: int
    text: str
    finished: bool


@dataclass(frozen=True, slots=True)
class PromptAnswers:
    """`answers` stand in the order of `answers_checkpoints`, None where one is missing."""

    prompt_id: int
    messages: list[dict[str, Any]]
    answers: list[Answer | None]


def answers_checkpoints(project: Project) -> list[Checkpoint]:
    """Every checkpoint with evaluation samples in the project: SFT first, then the policies."""
    ids = Sample.objects.filter(run__project=project, purpose=SamplePurpose.EVALUATION)
    checkpoints = Checkpoint.objects.filter(pk__in=ids.values("checkpoint").distinct())
    return list(checkpoints.order_by("pk"))


def answers_side_by_side(
    project: Project, limit: int = 20, checkpoints: list[Checkpoint] | None = None
) -> list[PromptAnswers]:
    """The first `limit` evaluation prompts by content hash, one answer of each checkpoint."""
    checkpoints = answers_checkpoints(project) if checkpoints is None else checkpoints
    place = {checkpoint.pk: index for index, checkpoint in enumerate(checkpoints)}
    samples = Sample.objects.filter(run__project=project, purpose=SamplePurpose.EVALUATION)
    prompt_ids = list(
        samples.order_by("completion__prompt__content_hash")
        .values_list("completion__prompt", flat=True)
        .distinct()[:limit]
    )
    rows: dict[int, PromptAnswers] = {}
    found = (
        samples.filter(completion__prompt__in=prompt_ids, checkpoint__in=list(place))
        .select_related("completion__prompt")
        .order_by("pk")
    )
    for sample in found:
        prompt = sample.completion.prompt
        row = rows.setdefault(
            prompt.pk, PromptAnswers(prompt.pk, prompt.messages, [None] * len(checkpoints))
        )
        index = place[sample.checkpoint_id]
        # The first sample of a checkpoint stays, so that a reload shows the same text.
        if row.answers[index] is None:
            row.answers[index] = Answer(
                completion_id=sample.completion_id,
                checkpoint=checkpoints[index].name,
                checkpoint_id=sample.checkpoint_id,
                text=sample.completion.text,
                finished=sample.finished,
            )
    return [rows[prompt_id] for prompt_id in prompt_ids if prompt_id in rows]
