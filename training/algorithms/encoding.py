"""Records of a run folder as token ids. What does not fit the model is counted, never cut."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from training.algorithms.chat import completion_encode, prompt_encode
from training.algorithms.checkpoint_io import context_length
from training.algorithms.configs import ConfigError
from training.algorithms.errors import RunFolderInvalid
from training.algorithms.records import Demonstration, Prompt, RankedCompletions

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True)
class Encoded(Generic[RecordT]):
    """The records that fit, and how many did not."""

    records: list[RecordT]
    num_too_long: int


def demonstrations_encode(
    tokenizer: Any, records: Iterable[dict[str, Any]], max_tokens: int
) -> Encoded[Demonstration]:
    """Leaves out those whose prompt and completion take more than max_tokens together."""
    fitting, num_too_long = [], 0
    for record in records:
        demonstration = Demonstration(
            prompt_encode(tokenizer, _field(record, "prompt")),
            completion_encode(tokenizer, _field(record, "completion")),
        )
        if len(demonstration.prompt_ids) + len(demonstration.completion_ids) > max_tokens:
            num_too_long += 1
        else:
            fitting.append(demonstration)
    return Encoded(fitting, num_too_long)


def rankings_encode(
    tokenizer: Any, records: Iterable[dict[str, Any]], max_tokens: int
) -> Encoded[RankedCompletions]:
    """Leaves out a whole ranking when any of its completions does not fit."""
    fitting, num_too_long = [], 0
    for record in records:
        completions, ranks = _field(record, "completions"), _field(record, "ranks")
        if len(completions) != len(ranks) or len(ranks) < 2:
            raise RunFolderInvalid(
                f"ranking {record.get('id')}: {len(completions)} completions, {len(ranks)} ranks"
            )
        prompt_ids = prompt_encode(tokenizer, _field(record, "prompt"))
        completion_ids = [completion_encode(tokenizer, text) for text in completions]
        if len(prompt_ids) + max(map(len, completion_ids)) > max_tokens:
            num_too_long += 1
        else:
            fitting.append(
                RankedCompletions(_field(record, "prompt_id"), prompt_ids, completion_ids, ranks)
            )
    return Encoded(fitting, num_too_long)


def prompts_encode(
    tokenizer: Any, records: Iterable[dict[str, Any]], max_tokens: int
) -> Encoded[Prompt]:
    """Leaves out prompts of more than max_tokens."""
    fitting, num_too_long = [], 0
    for record in records:
        prompt = Prompt(
            _field(record, "prompt_id"), prompt_encode(tokenizer, _field(record, "prompt"))
        )
        if len(prompt.token_ids) > max_tokens:
            num_too_long += 1
        else:
            fitting.append(prompt)
    return Encoded(fitting, num_too_long)


def prompt_limit(model: Any, max_new_tokens: int, max_prompt_tokens: int) -> int:
    """Longest prompt in tokens that leaves room for a completion; raises ConfigError if none."""
    context = context_length(model)
    if context is None:
        return max_prompt_tokens
    if max_new_tokens >= context:
        raise ConfigError("max_new_tokens", max_new_tokens, f"the model's context is {context}")
    return min(max_prompt_tokens, context - max_new_tokens)


def _field(record: dict[str, Any], name: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise RunFolderInvalid(f"record {record.get('id')} has no {name!r}") from None
