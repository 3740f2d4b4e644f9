"""The prompts that sampling methods answer, who answers them, and in which order."""

from collections.abc import Iterator, Sequence
from typing import Any

from training.algorithms.data.encoding import prompts_encode, records_require
from training.algorithms.errors import RunFolderInvalid
from training.algorithms.sampling.generator import ChatPrompt


def prompts_read(
    tokenizer: Any, records: Sequence[dict[str, Any]], max_tokens: int
) -> tuple[list[ChatPrompt], dict[str, float]]:
    """The prompts of at most max_tokens, and the counts of what was left out.

    Raises DataTooSmall when none is left.
    """
    encoded = prompts_encode(tokenizer, records, max_tokens)
    records_require(encoded, "prompts", 1)
    messages = {record["prompt_id"]: record["prompt"] for record in records}
    prompts = [
        ChatPrompt(prompt.prompt_id, prompt.token_ids, messages[prompt.prompt_id])
        for prompt in encoded.records
    ]
    return prompts, dict(encoded.counts)


def roles_read(records: Sequence[dict[str, Any]], num_drawn: int) -> dict[int | str, list[str]]:
    """{prompt id: the role that draws each of its candidates}; "policy" where none is named.

    Raises RunFolderInvalid unless a record names one role for each candidate.
    """
    roles = {}
    for record in records:
        own = record.get("roles", ["policy"] * num_drawn)
        if (
            not isinstance(own, list)
            or len(own) != num_drawn
            or not all(isinstance(role, str) for role in own)
        ):
            raise RunFolderInvalid(
                f"prompt {record.get('prompt_id')}: roles is {own!r}; expected the names of "
                f"{num_drawn} inputs, one for each completion drawn, or no roles."
            )
        roles[record["prompt_id"]] = own
    return roles


# A chunk is this many batches, so that waiting prompts can take the places of finished ones.
CHUNK_BATCHES = 4


def prompt_chunks(
    prompts: Sequence[ChatPrompt],
    batch_rows: int,
    per_prompt: int,
    num_done: int,
    rows: Sequence[int] | None = None,
) -> Iterator[list[int]]:
    """Rows of prompts of similar length, at least one at a time, after the first num_done rows.

    `rows` are those to go through, by default all. A chunk is done whole or not at all, so a
    resumed run goes on with the chunks of the first.
    """
    rows = range(len(prompts)) if rows is None else rows
    order = sorted(rows, key=lambda row: (len(prompts[row].token_ids), row))
    size = max(1, CHUNK_BATCHES * batch_rows // per_prompt)
    for start in range(num_done, len(order), size):
        yield order[start : start + size]
