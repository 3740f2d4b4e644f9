"""Prompts come in as lines of JSON: either every line is good, or none is stored."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotation.errors import InvalidInput
from annotation.models import Project, Prompt
from annotation.services.audit import audit_record
from annotation.services.tasks import demonstration_tasks_ensure
from annotation.validation import json_problem

MAX_ERRORS = 100
MAX_MESSAGES = 200
MAX_CONTENT_CHARACTERS = 32_000
MAX_EXTERNAL_ID_CHARACTERS = 200
CHUNK = 500
ROLES = ("system", "user", "assistant")


class PromptLinesInvalid(InvalidInput):
    code = "prompt_lines_invalid"


@dataclass(frozen=True, slots=True)
class PromptImportResult:
    created: int
    duplicates: int


def prompts_import(
    *, actor: User | None, project: Project, lines: Iterable[str]
) -> PromptImportResult:
    """Stores the prompts that the project does not have yet, then makes demonstration tasks.

    A line is ``{"messages": [...]}`` or ``{"prompt": "text"}``, optionally with "external_id";
    blank lines are passed over. Raises PromptLinesInvalid with ``extra.errors`` by line number
    (from 1), and then stores nothing.
    """
    prompts = _parse(project, lines)
    with transaction.atomic():
        # Serializes imports into one project: no prompt can be stored twice in between. Not a
        # key lock, so that labelers' rows that point at the project need not wait.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        new = list(_without_known(project, prompts))
        Prompt.objects.bulk_create(new, batch_size=CHUNK)
        result = PromptImportResult(created=len(new), duplicates=len(prompts) - len(new))
        demonstration_tasks_ensure(project=project)
        audit_record(
            actor=actor,
            verb="prompts:imported",
            target=project,
            project=project,
            created=result.created,
            duplicates=result.duplicates,
        )
    return result


def prompt_text_lines(text: str) -> list[str]:
    """Splits JSON Lines at newlines only: str.splitlines also splits at U+2028, legal in JSON."""
    return text.removeprefix("\ufeff").split("\n")


def content_hash(messages: list[dict[str, str]]) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces, UTF-8)."""
    canonical = json.dumps(messages, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parse(project: Project, lines: Iterable[str]) -> list[Prompt]:
    prompts: list[Prompt] = []
    errors: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if isinstance(line, str) and not line.strip():
            continue
        try:
            prompts.append(_parse_line(project, line))
        except ValueError as error:
            errors.append({"line": number, "message": str(error)})
    if errors:
        listed = "; ".join(f"line {e['line']}: {e['message']}" for e in errors[:3])
        raise PromptLinesInvalid(
            f"{len(errors)} of the lines cannot be read, so nothing was imported. {listed}",
            errors=errors[:MAX_ERRORS],
            num_errors=len(errors),
        )
    return prompts


def _parse_line(project: Project, line: str) -> Prompt:
    """Raises ValueError saying what is wrong with the line."""
    try:
        record = json.loads(line)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f'is {_shape(record)}; an object like {{"prompt": "..."}} is expected')
    if problem := json_problem(record):
        raise ValueError(problem)
    if unknown := sorted(set(record) - {"messages", "prompt", "external_id"}):
        raise ValueError(
            f"has the unknown key {unknown[0][:60]!r}; messages or prompt, and external_id are read"
        )
    if ("messages" in record) == ("prompt" in record):
        raise ValueError('needs either "messages" or "prompt"')
    messages = record.get("messages", [{"role": "user", "content": record.get("prompt")}])
    return Prompt(
        project=project,
        messages=_messages_check(messages),
        content_hash=content_hash(messages),
        external_id=_external_id_check(record.get("external_id", "")),
    )


def _messages_check(messages: Any) -> list[dict[str, str]]:
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise ValueError(f"messages must be a list of 1 to {MAX_MESSAGES} messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise ValueError(f'message {index} must have exactly "role" and "content"')
        if message["role"] not in ROLES:
            raise ValueError(
                f"message {index} has the role {str(message['role'])[:60]!r}; "
                f"one of {', '.join(ROLES)} is expected"
            )
        _content_check(message["content"], index)
    if messages[-1]["role"] != "user":
        raise ValueError("the last message must be the user's: it is what gets answered")
    return messages


def _content_check(content: Any, index: int) -> None:
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"message {index} has {_shape(content)} as content; text is expected")
    if len(content) > MAX_CONTENT_CHARACTERS:
        raise ValueError(
            f"message {index} has {len(content)} characters; "
            f"at most {MAX_CONTENT_CHARACTERS} are taken"
        )


def _external_id_check(external_id: Any) -> str:
    if isinstance(external_id, int) and not isinstance(external_id, bool):
        external_id = str(external_id)
    if not isinstance(external_id, str) or len(external_id) > MAX_EXTERNAL_ID_CHARACTERS:
        raise ValueError(
            f"external_id must be text of at most {MAX_EXTERNAL_ID_CHARACTERS} characters"
        )
    return external_id


def _shape(value: Any) -> str:
    if value is None:
        return "null"
    return "empty text" if value == "" else f"a {type(value).__name__}"


def _without_known(project: Project, prompts: list[Prompt]) -> Iterator[Prompt]:
    """The first of each text, unless the project already has it."""
    hashes = list({prompt.content_hash for prompt in prompts})
    known: set[str] = set()
    for start in range(0, len(hashes), CHUNK):
        known.update(
            Prompt.objects.filter(
                project=project, content_hash__in=hashes[start : start + CHUNK]
            ).values_list("content_hash", flat=True)
        )
    for prompt in prompts:
        if prompt.content_hash not in known:
            known.add(prompt.content_hash)
            yield prompt
