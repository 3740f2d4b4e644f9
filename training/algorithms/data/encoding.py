"""Records of a run folder as token ids. What does not fit the model is counted, never cut.

A malformed record ends the run before training (record_checks); a well-formed one that cannot be
learned from is left out and counted under a data/* metric.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from training.algorithms.configs import ConfigError
from training.algorithms.data import record_checks as checks
from training.algorithms.data.chat import (
    completion_encode,
    plain_encode,
    prompt_encode,
    prompt_encode_with_spans,
)
from training.algorithms.errors import DataTooSmall
from training.algorithms.models.checkpoint_io import context_length
from training.algorithms.records import Demonstration, Prompt, RankedCompletions, Rating

RecordT = TypeVar("RecordT")
Records = Iterable[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Encoded(Generic[RecordT]):
    """The records that fit, and how many did not."""

    records: list[RecordT]
    num_too_long: int
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was left out or stands out, by metric name (data/...); zeros included."""


def demonstrations_encode(
    tokenizer: Any, records: Records, max_tokens: int, assistant_turns: bool = False
) -> Encoded[Demonstration]:
    """Leaves out those whose prompt and completion take more than max_tokens together.

    With assistant_turns, loss_spans mark the assistant's earlier turns within the prompt.
    """

    def encode(record: dict[str, Any]) -> Demonstration:
        messages = checks.prompt_get(record)
        completion = completion_encode(tokenizer, checks.text_get(record, "completion"))
        if not assistant_turns:
            return Demonstration(prompt_encode(tokenizer, messages), completion)
        prompt_ids, spans = prompt_encode_with_spans(tokenizer, messages)
        return Demonstration(prompt_ids, completion, spans)

    def num_tokens(record: Demonstration) -> int:
        return len(record.prompt_ids) + len(record.completion_ids)

    return _fitting("demonstrations", map(encode, records), num_tokens, max_tokens)


def rankings_encode(
    tokenizer: Any, records: Records, max_tokens: int
) -> Encoded[RankedCompletions]:
    """Leaves out a whole ranking when any of its completions does not fit.

    Also one that puts the same text at two ranks. A ranking of ties only is kept and counted: it
    says that its completions are equally good, but not what makes one better.
    """
    notes = Counter({f"data/rankings_{what}": 0 for what in ("contradictory", "all_tied")})
    notes["data/completions_empty"] = 0
    consistent = []
    for record in records:
        texts = checks.completions_get(record)
        ranks = checks.ranks_get(record, len(texts))
        ranking = _ranking_encode(tokenizer, record, texts, ranks)  # checks the other fields too
        if checks.is_contradictory(texts, ranks):
            notes["data/rankings_contradictory"] += 1
            continue
        notes["data/completions_empty"] += sum(not text.strip() for text in texts)
        consistent.append(ranking)
    encoded = _fitting("rankings", consistent, _ranking_tokens, max_tokens)
    notes["data/rankings_all_tied"] = sum(not r.prefers for r in encoded.records)
    return Encoded(encoded.records, encoded.num_too_long, {**encoded.counts, **notes})


def ratings_encode(tokenizer: Any, records: Records, max_tokens: int) -> Encoded[Rating]:
    """Leaves out those whose prompt and completion take more than max_tokens together.

    The same completion rated both ways is kept twice: people disagree.
    """

    def encode(record: dict[str, Any]) -> Rating:
        return Rating(
            checks.prompt_id_get(record),
            prompt_encode(tokenizer, checks.prompt_get(record)),
            completion_encode(tokenizer, checks.text_get(record, "completion", may_be_blank=True)),
            checks.desirable_get(record),
        )

    def num_tokens(record: Rating) -> int:
        return len(record.prompt_ids) + len(record.completion_ids)

    return _fitting("ratings", map(encode, records), num_tokens, max_tokens)


def prompts_encode(tokenizer: Any, records: Records, max_tokens: int) -> Encoded[Prompt]:
    """Leaves out prompts of more than max_tokens."""

    def encode(record: dict[str, Any]) -> Prompt:
        prompt_ids = prompt_encode(tokenizer, checks.prompt_get(record))
        return Prompt(checks.prompt_id_get(record), prompt_ids)

    return _fitting(
        "prompts", map(encode, records), lambda prompt: len(prompt.token_ids), max_tokens
    )


def texts_encode(
    tokenizer: Any, records: Records, max_tokens: int, with_special: bool = False
) -> Encoded[list[int]]:
    """Plain documents that end with EOS, no chat template; not more than max_tokens.

    with_special: special tokens spelled out in a text are those tokens, as in a document that the
    template has written; else they are plain characters.
    """

    def encode(record: dict[str, Any]) -> list[int]:
        text, eos_id = checks.text_get(record, "text"), tokenizer.eos_token_id
        if not with_special:
            return [*plain_encode(tokenizer, text), eos_id]
        token_ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        return token_ids if token_ids[-1] == eos_id else [*token_ids, eos_id]

    return _fitting("texts", map(encode, records), len, max_tokens)


def data_metrics(*parts: Encoded[Any]) -> dict[str, float]:
    """The counts of several encodings (say of both splits), added up by name."""
    totals: dict[str, float] = {}
    for part in parts:
        for name, count in part.counts.items():
            totals[name] = totals.get(name, 0.0) + count
    return totals


def records_require(encoded: Encoded[Any], what: str, need: int) -> None:
    """Raises DataTooSmall when fewer than `need` records are left, or all rankings are ties.

    `what` names them, e.g. "training rankings"; the message counts what was left out and why.
    """
    have = len(encoded.records)
    if have < need:
        raise DataTooSmall(what, have, need, _left_out(encoded.counts))
    if have and encoded.counts.get("data/rankings_all_tied") == have:
        raise DataTooSmall(
            f"{what} with a preference",
            0,
            need,
            f"All {have} tie every completion, so there is nothing to learn; collect rankings "
            "that prefer something.",
        )


def prompt_limit(model: Any, max_new_tokens: int, max_prompt_tokens: int) -> int:
    """Longest prompt in tokens that leaves room for a completion; raises ConfigError if none."""
    context = context_length(model)
    if context is None:
        return max_prompt_tokens
    if max_new_tokens >= context:
        raise ConfigError("max_new_tokens", max_new_tokens, f"the model's context is {context}")
    return min(max_prompt_tokens, context - max_new_tokens)


def _fitting(
    name: str, records: Iterable[RecordT], num_tokens: Callable[[RecordT], int], max_tokens: int
) -> Encoded[RecordT]:
    fitting, num_too_long = [], 0
    for record in records:
        if num_tokens(record) > max_tokens:
            num_too_long += 1
        else:
            fitting.append(record)
    return Encoded(fitting, num_too_long, {f"data/{name}_too_long": num_too_long})


def _ranking_encode(
    tokenizer: Any, record: dict[str, Any], texts: list[str], ranks: list[int]
) -> RankedCompletions:
    return RankedCompletions(
        prompt_id=checks.prompt_id_get(record),
        prompt_ids=prompt_encode(tokenizer, checks.prompt_get(record)),
        completions=[completion_encode(tokenizer, text) for text in texts],
        ranks=ranks,
        weight=checks.weight_get(record),
        strength=checks.strength_get(record),
        sources=checks.sources_get(record, len(texts)),
        round=checks.round_get(record),
        probability=checks.probability_get(record, len(texts)),
        labeler=checks.labeler_get(record),
    )


def _ranking_tokens(ranking: RankedCompletions) -> int:
    return len(ranking.prompt_ids) + max(map(len, ranking.completions))


def _left_out(counts: Mapping[str, int]) -> str:
    """What records_require says about the records that are gone."""
    reasons = []
    for name, count in counts.items():
        if count and name.endswith("_too_long"):
            reasons.append(f"{count} were left out as too long; raise max_tokens if the model can.")
        if count and name.endswith("_contradictory"):
            reasons.append(f"{count} were left out: they put the same text at two ranks.")
    return " ".join(reasons)
