"""The questions an AI labeler is asked. Torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.algorithms.data import record_checks as checks
from training.algorithms.data.chat import Message
from training.algorithms.errors import DataTooSmall, RunFolderInvalid
from training.algorithms.seeds import permutation

OPTIONS = ("A", "B")
Identity = int | str

_QUESTION = """\
Below are a conversation and two answers to its last message, A and B.

Conversation:
{conversation}

Principle: {principle}

Answer A:
{first}

Answer B:
{second}

Which of the two answers follows the principle better? Reply with one letter, A or B."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one prompt."""

    pair_id: Identity
    messages: list[Message]
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Principle:
    """A sentence that says what makes an answer good."""

    principle_id: Identity
    text: str


def pairs_read(records: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Raises RunFolderInvalid for a malformed record or a repeated id, DataTooSmall for none."""
    pairs = []
    for record in map(dict, records):
        texts = checks.completions_get(record)
        if len(texts) != 2:
            raise RunFolderInvalid(
                f"pair {record.get('pair_id')} has {len(texts)} completions; 2 are expected."
            )
        pair_id = checks.field_get(record, "pair_id")
        pairs.append(Pair(pair_id, checks.prompt_get(record), *texts))
    _distinct_require("pair_id", [pair.pair_id for pair in pairs])
    if not pairs:
        raise DataTooSmall("pairs to judge", 0, 1)
    return pairs


def principles_read(records: Sequence[Mapping[str, Any]]) -> list[Principle]:
    """Raises RunFolderInvalid for a malformed record or a repeated id, DataTooSmall for none."""
    principles = [
        Principle(checks.field_get(record, "principle_id"), checks.text_get(record, "text"))
        for record in map(dict, records)
    ]
    _distinct_require("principle_id", [principle.principle_id for principle in principles])
    if not principles:
        raise DataTooSmall("principles", 0, 1, "Write one: it says what a good answer is.")
    return principles


def principles_choose(
    principles: Sequence[Principle], num: int, *seed: Identity
) -> list[Principle]:
    """`num` different principles by the seed, in their order; all of them for 0."""
    if num == 0 or num >= len(principles):
        return list(principles)
    return [principles[row] for row in sorted(permutation(len(principles), *seed)[:num])]


def question_messages(pair: Pair, principle: Principle, swapped: bool) -> list[Message]:
    """The question in one message; swapped shows the second completion as A."""
    first, second = (pair.second, pair.first) if swapped else (pair.first, pair.second)
    conversation = "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in pair.messages)
    content = _QUESTION.format(
        conversation=conversation, principle=principle.text, first=first, second=second
    )
    return [{"role": "user", "content": content}]


def _distinct_require(name: str, identities: Sequence[Identity]) -> None:
    if len(set(identities)) < len(identities):
        repeated = next(each for each in identities if identities.count(each) > 1)
        raise RunFolderInvalid(f"{name} {repeated!r} stands on two records; each needs its own.")
