"""Checks of raw records before any of them is encoded: what is malformed ends the run, by name.

Every function takes one record of data/*.jsonl (docs/data_formats.md) and raises RunFolderInvalid.
"""

import json
import math
from typing import Any, NoReturn

from training.algorithms.data.chat import Message
from training.algorithms.errors import RunFolderInvalid

Record = dict[str, Any]
ROLES = ("system", "user", "assistant")
SPLITS = ("train", "held_out")
# Who judged.
PERSON, AI = "person", "ai"


def field_get(record: Record, name: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise RunFolderInvalid(f"record {record.get('id')} has no {name!r}") from None


def prompt_id_get(record: Record) -> int | str:
    """The app numbers its prompts; other data may name them."""
    prompt_id = field_get(record, "prompt_id")
    if type(prompt_id) is not int and not isinstance(prompt_id, str):
        _refuse(record, "prompt_id", prompt_id, "an integer or a text")
    return prompt_id


def text_get(record: Record, name: str, may_be_blank: bool = False) -> str:
    """A text that can be written as UTF-8; blank ones only where a model may well say nothing."""
    text = _text(record, name, field_get(record, name))
    if not may_be_blank and not text.strip():
        _refuse(record, name, text, "a text with something in it; delete the record")
    return text


def prompt_get(record: Record) -> list[Message]:
    """A chat of known roles that ends with a message of the user that says something."""
    messages = field_get(record, "prompt")
    if not isinstance(messages, list) or not messages:
        _refuse(record, "prompt", messages, 'a list of {"role", "content"} messages, at least one')
    for message in messages:
        if not isinstance(message, dict) or not {"role", "content"} <= set(message):
            _refuse(record, "prompt", message, 'messages that have "role" and "content"')
        if message["role"] not in ROLES:
            _refuse(record, "prompt role", message["role"], f"one of {', '.join(ROLES)}")
        _text(record, "prompt content", message["content"])
    last = messages[-1]
    if last["role"] != "user" or not last["content"].strip():
        _refuse(record, "last prompt message", last, "a message of the user that is not blank")
    return messages


def completions_get(record: Record) -> list[str]:
    """At least two texts. A blank one is allowed: a model may say nothing, and people judge it."""
    completions = field_get(record, "completions")
    if not isinstance(completions, list) or len(completions) < 2:
        _refuse(record, "completions", completions, "a list of at least 2 texts")
    return [_text(record, "completions", text) for text in completions]


def ranks_get(record: Record, num_completions: int) -> list[int]:
    ranks = field_get(record, "ranks")
    if not isinstance(ranks, list) or len(ranks) != num_completions:
        raise RunFolderInvalid(
            f"ranking {record.get('id')}: {num_completions} completions, but ranks is {ranks!r}; "
            "expected one rank for each."
        )
    if not all(type(rank) is int and rank >= 1 for rank in ranks):
        _refuse(record, "ranks", ranks, "integers from 1 (best), equal ones for a tie")
    return ranks


def weight_get(record: Record) -> float:
    weight = record.get("weight", 1.0)
    if not _is_number(weight) or weight <= 0:
        _refuse(record, "weight", weight, "a number above 0")
    return float(weight)


def strength_get(record: Record) -> float | None:
    strength = record.get("strength")
    if strength is None:
        return None
    if not _is_number(strength) or strength < 0:
        _refuse(record, "strength", strength, "a number from 0, or null")
    return float(strength)


def probability_get(record: Record, num_completions: int) -> float | None:
    """That the first of exactly two completions is the better one."""
    probability = record.get("probability")
    if probability is None:
        return None
    if not _is_number(probability) or not 0 <= probability <= 1:
        _refuse(record, "probability", probability, "a number from 0 to 1, or null")
    if num_completions != 2:
        _refuse(
            record, "probability", probability,
            f"exactly 2 completions with it, not {num_completions}; leave it out",
        )  # fmt: skip
    return float(probability)


def labeler_get(record: Record) -> str:
    labeler = record.get("labeler", PERSON)
    if labeler not in (PERSON, AI):
        _refuse(record, "labeler", labeler, f"{PERSON!r} or {AI!r}")
    return str(labeler)


def sources_get(record: Record, num_completions: int) -> tuple[str, ...] | None:
    sources = record.get("sources")
    if sources is None:
        return None
    if not isinstance(sources, list) or len(sources) != num_completions:
        _refuse(record, "sources", sources, f"{num_completions} texts, one per completion, or null")
    return tuple(_text(record, "sources", source) for source in sources)


def round_get(record: Record) -> int | None:
    number = record.get("round")
    if number is not None and type(number) is not int:
        _refuse(record, "round", number, "an integer, or null")
    return number


def desirable_get(record: Record) -> bool:
    desirable = field_get(record, "desirable")
    if not isinstance(desirable, bool):
        _refuse(record, "desirable", desirable, "true or false")
    return desirable


def is_contradictory(completions: list[str], ranks: list[int]) -> bool:
    """The same text stands at two different ranks: no score can satisfy that."""
    return len(set(zip(completions, ranks, strict=True))) > len(set(completions))


class SplitCheck:
    """Refuses a prompt that is on both sides: what is measured must not have been learned from.

    Within a file prompts are told apart by id. Judged ones (demonstrations, rankings, ratings) also
    by their messages, in all files together: two ids of one prompt leak just the same.
    """

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, file: str, record: Record) -> None:
        split = record.get("split")
        if split not in SPLITS:
            _refuse(record, f"split in {file}", split, " or ".join(map(repr, SPLITS)))
        for key in self._keys(file, record):
            known, known_file = self._sides.setdefault(key, (split, file))
            if known != split:
                raise RunFolderInvalid(
                    f"prompt {record.get('prompt_id')} leaks: record {record.get('id')} of {file} "
                    f"is {split}, but {known_file} has the same prompt as {known}. Put every "
                    "record of a prompt on one side.",
                    prompt_id=record.get("prompt_id"),
                )

    @staticmethod
    def _keys(file: str, record: Record) -> list[tuple[str, str]]:
        keys = []
        if (prompt_id := record.get("prompt_id")) is not None:
            keys.append((file, repr(prompt_id)))
        if "prompt" in record and not record.keys().isdisjoint({"completion", "completions"}):
            keys.append(("messages", json.dumps(record["prompt"], sort_keys=True)))
        return keys


def _text(record: Record, name: str, value: Any) -> str:
    if not isinstance(value, str):
        _refuse(record, name, value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(record, name, value, "valid Unicode, without lone surrogates")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _refuse(record: Record, name: str, value: Any, expected: str) -> NoReturn:
    shown = repr(value)
    raise RunFolderInvalid(
        f"record {record.get('id', record.get('prompt_id'))}: {name} is "
        f"{shown if len(shown) <= 200 else shown[:200] + '...'}; expected {expected}."
    )
