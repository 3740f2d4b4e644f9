"""The OpenAPI schema of this server as plain records that a template can draw."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils import translation
from drf_spectacular.generators import SchemaGenerator

Json = Mapping[str, Any]
# In the order in which they are read, with what stands before their value.
LIMITS = {
    "minimum": "\N{GREATER-THAN OR EQUAL TO} {}",
    "maximum": "\N{LESS-THAN OR EQUAL TO} {}",
    "minLength": "\N{GREATER-THAN OR EQUAL TO} {} characters",
    "maxLength": "\N{LESS-THAN OR EQUAL TO} {} characters",
    "minItems": "\N{GREATER-THAN OR EQUAL TO} {} items",
    "maxItems": "\N{LESS-THAN OR EQUAL TO} {} items",
    "pattern": "matches {}",
    "default": "default {}",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a type's description; `schema` is the name of the schema that it stands for."""

    text: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    words: list[Word]
    text: str
    is_required: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a body or an answer carries; `status` is empty for a body."""

    status: str
    media_type: str
    words: list[Word]


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    text: str
    parameters: list[Field]
    bodies: list[Content]
    answers: list[Content]
    refusals: list[str]

    @property
    def headline(self) -> str:
        return self.text.split(". ")[0].rstrip(".")


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    words: list[Word]
    fields: list[Field]
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    operations: dict[str, list[Operation]]
    schemas: list[Schema]


@lru_cache(maxsize=1)
def api_reference() -> Reference:
    """In the language of the code, whoever asks first."""
    with translation.override("en"):
        return reference_read(SchemaGenerator().get_schema(request=None, public=True))


def reference_read(openapi: Json) -> Reference:
    operations: dict[str, list[Operation]] = {}
    for path, methods in openapi["paths"].items():
        for method, found in methods.items():
            operation = _operation(method, path, found)
            operations.setdefault(found["tags"][0], []).append(operation)
    schemas = [_schema(name, found) for name, found in openapi["components"]["schemas"].items()]
    return Reference(operations, schemas)


def _operation(method: str, path: str, found: Json) -> Operation:
    answers = found["responses"].items()
    return Operation(
        name=found["operationId"],
        method=method.upper(),
        path=path,
        text=found.get("description", ""),
        parameters=[_parameter(item) for item in found.get("parameters", [])],
        bodies=list(_contents("", found.get("requestBody", {}))),
        answers=[
            content
            for status, answer in answers
            if status < "400"
            for content in _contents(status, answer)
        ],
        refusals=[status for status, _ in answers if status >= "400"],
    )


def _parameter(found: Json) -> Field:
    return Field(
        name=found["name"],
        words=list(_words(found["schema"])),
        text=found.get("description", ""),
        is_required=found.get("required", False),
        place=found["in"],
    )


def _contents(status: str, found: Json) -> Iterator[Content]:
    contents = found.get("content", {})
    for media_type, content in contents.items():
        yield Content(status, media_type, list(_words(content["schema"])))
    if status and not contents:
        yield Content(status, "", [])


def _schema(name: str, found: Json) -> Schema:
    required = found.get("required", ())
    fields = [
        Field(field, list(_words(kind)), kind.get("description", ""), field in required)
        for field, kind in found.get("properties", {}).items()
    ]
    words = [] if fields else list(_words(found))
    # The values of an enumeration are its words already.
    text = "" if "enum" in found else found.get("description", "")
    return Schema(name, words, fields, text)


def _words(kind: Json) -> Iterator[Word]:
    """A type in words, such as "array of", Round, "or null"."""
    if "$ref" in kind:
        name = kind["$ref"].rsplit("/", 1)[-1]
        yield Word(name, schema=name)
    for number, choice in enumerate(kind.get("oneOf", kind.get("allOf", ()))):
        if number:
            yield Word("or")
        yield from _words(choice)
    if "enum" in kind:
        yield Word(" | ".join(json.dumps(value) for value in kind["enum"]))
    elif kind.get("type") == "array":
        yield Word("array of")
        yield from _words(kind["items"])
    elif "type" in kind:
        extra = f" ({kind['format']})" if "format" in kind else ""
        yield Word(kind["type"] + extra)
    elif not kind.keys() & {"$ref", "oneOf", "allOf"}:
        yield Word("any value")
    if kind.get("nullable"):
        yield Word("or null")
    limits = [form.format(json.dumps(kind[name])) for name, form in LIMITS.items() if name in kind]
    if limits:
        yield Word(f"({', '.join(limits)})")
