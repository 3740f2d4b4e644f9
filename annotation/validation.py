"""Checks on what strangers send, before a database or a model sees it.

PostgreSQL refuses NUL characters in text and in jsonb, UTF-8 has no lone surrogates, JSON has no
infinity: each of these would otherwise surface as a server error far from its cause.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.exceptions import ValidationError as RestValidationError

from annotation.errors import InvalidInput

MAX_INTEGER = 2**63 - 1
MAX_JSON_DEPTH = 20
MAX_JSON_CHARACTERS = 400_000
MAX_REASON = 2_000


def text_problem(text: str) -> str | None:
    """Why the text cannot be stored, or None."""
    if "\x00" in text:
        return "contains a NUL character (U+0000); remove it"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "contains half of a surrogate pair, which is not a character; remove it"
    return None


def reason_check(reason: str, *, of: str) -> str:
    """The reason of an act ("a skip") without outer white space. Raises InvalidInput."""
    reason = reason.strip()
    if not reason:
        raise InvalidInput(
            f"{of.capitalize()} needs a reason; say in a few words why.", fields={"reason": []}
        )
    if problem := text_problem(reason):
        raise InvalidInput(f"The reason {problem}.")
    if len(reason) > MAX_REASON:
        raise InvalidInput(
            f"The reason has {len(reason)} characters; at most {MAX_REASON} are kept."
        )
    return reason


def json_problem(value: Any) -> str | None:
    """Why the JSON value cannot be stored, or None. Does not recurse: depth is an attack."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > MAX_JSON_DEPTH:
            return f"is nested deeper than {MAX_JSON_DEPTH} levels"
        if isinstance(item, str) and (problem := text_problem(item)):
            return problem
        if isinstance(item, float) and not math.isfinite(item):
            return f"contains {item}, which is not a finite number"
        if isinstance(item, int) and abs(item) > MAX_INTEGER:
            return "contains an integer that does not fit in 64 bits"
        if isinstance(item, Mapping):
            pending.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list | tuple):
            pending.extend((part, depth + 1) for part in item)
    return None


def json_object_check(value: Any, *, name: str) -> dict[str, Any]:
    """Returns the value if it is a JSON object that every database stores; else InvalidInput."""
    if not isinstance(value, dict):
        raise InvalidInput(
            f"The {name} is {type(value).__name__}; a JSON object is expected.", name=name
        )
    if problem := json_problem(value):
        raise InvalidInput(f"The {name} {problem}.", name=name)
    size = len(json.dumps(value, ensure_ascii=False))
    if size > MAX_JSON_CHARACTERS:
        raise InvalidInput(
            f"The {name} has {size} characters; at most {MAX_JSON_CHARACTERS} are kept.",
            name=name,
        )
    return value


def serializer_validate(
    serializer_class: type[serializers.Serializer], data: Any
) -> dict[str, Any]:
    """The validated data; raises InvalidInput naming each refused field."""
    serializer = serializer_class(data=data)
    try:
        serializer.is_valid(raise_exception=True)
    except RestValidationError as error:
        raise invalid_input(error) from error
    return dict(serializer.validated_data)


def invalid_input(error: RestValidationError | DjangoValidationError) -> InvalidInput:
    """The same refusal as one of our errors; ``extra.fields`` maps field to messages."""
    detail = (
        serializers.as_serializer_error(error)
        if isinstance(error, DjangoValidationError)
        else error.detail
    )
    fields = {name: _messages(part) for name, part in _by_field(detail).items()}
    message = " ".join(
        text if name in {"non_field_errors", "__all__"} else f"{name}: {text}"
        for name, messages in fields.items()
        for text in messages[:3]
    )
    return InvalidInput(message or "The input is not valid.", fields=fields)


def _by_field(detail: Any) -> dict[str, Any]:
    if isinstance(detail, Mapping):
        return {str(name): part for name, part in detail.items()}
    return {"non_field_errors": detail}


def _messages(detail: Any) -> list[str]:
    """The leaves of DRF's nested detail, without its structure."""
    if isinstance(detail, Mapping):
        return [text for part in detail.values() for text in _messages(part)]
    if isinstance(detail, list | tuple):
        return [text for part in detail for text in _messages(part)]
    return [str(detail) if isinstance(detail, ErrorDetail) else f"{detail}"]
