"""What AI labelers add to a snapshot: soft labels that count, and revisions people approved.

Every record says `"labeler": "ai"`, so that no reader takes it for a person's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from annotation.models import AIJudgement, AIRevision, Project, Prompt
from training.algorithms.data.record_checks import AI
from training.selectors.ai_feedback import judgements_counting, revisions_counting

# The checkpoint that wrote a completion, and the round it did so in.
Source = tuple[str, int | None]


def ai_records(
    project: Project, prompts: Mapping[int, Prompt], sources: Mapping[int, Source], person: str
) -> dict[str, list[dict[str, Any]]]:
    """Records for `rankings` and `demonstrations`, without `split`, on the given prompts only.

    `person` stands for the source of a completion that no model wrote.
    """
    judgements = [each for each in judgements_counting(project) if each.prompt_id in prompts]
    revisions = [each for each in revisions_counting(project) if each.prompt_id in prompts]
    return {
        "rankings": [
            _ranking(each, prompts[each.prompt_id], sources, person) for each in judgements
        ],
        "demonstrations": [_demonstration(each, prompts[each.prompt_id]) for each in revisions],
    }


def is_from_ai(record: Mapping[str, Any]) -> bool:
    return record.get("labeler") == AI


def ai_counts(records: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, int]:
    """How many records of each file are an AI's; files that may hold none are left out."""
    return {name: sum(map(is_from_ai, records[name])) for name in ("rankings", "demonstrations")}


def _ranking(
    judgement: AIJudgement, prompt: Prompt, sources: Mapping[int, Source], person: str
) -> dict[str, Any]:
    """`ranks` is the label rounded to the better side, for readers of orders only."""
    written = [sources.get(pk, (person, None)) for pk in (judgement.first_id, judgement.second_id)]
    p = judgement.probability
    return {
        "id": judgement.pk,
        "kind": AI,
        "labeler": AI,
        "prompt_id": prompt.pk,
        "prompt": prompt.messages,
        "completions": [judgement.first.text, judgement.second.text],
        "ranks": [1, 1] if p == 0.5 else [1, 2] if p > 0.5 else [2, 1],
        "probability": p,
        "weight": judgement.ai_labeler.weight,
        "sources": [name for name, _ in written],
        "round": max((number for _, number in written if number is not None), default=None),
    }


def _demonstration(revision: AIRevision, prompt: Prompt) -> dict[str, Any]:
    return {
        "id": revision.pk,
        "kind": "ai_revision",
        "labeler": AI,
        "prompt_id": prompt.pk,
        "prompt": prompt.messages,
        "completion": revision.revision,
    }
