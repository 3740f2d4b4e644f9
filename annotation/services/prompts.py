"""Prompts come in as lines of JSON: either every line is good, or none is stored."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError

from annotation.choices import PromptSource, TaskStatus, UseCase
from annotation.errors import Conflict, InvalidInput
from annotation.evidence import messages_with_sources, sources_text
from annotation.models import Project, Prompt, Task, Turn
from annotation.services.audit import audit_record
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed
from annotation.services.tasks import demonstration_tasks, demonstration_tasks_ensure
from annotation.validation import json_problem

MAX_ERRORS = 100
MAX_MESSAGES = 200
MAX_CONTENT_CHARACTERS = 32_000
MAX_EXTERNAL_ID_CHARACTERS = 200
MAX_SOURCES = 20
MAX_TITLE_CHARACTERS = 300
MAX_URL_CHARACTERS = 2_000
CHUNK = 500
ROLES = ("system", "user", "assistant")


SOURCE_LIMITS = {
    "title": MAX_TITLE_CHARACTERS,
    "text": MAX_CONTENT_CHARACTERS,
    "url": MAX_URL_CHARACTERS,
}
KEYS = ("messages", "prompt", "external_id", "sources")


class PromptLinesInvalid(InvalidInput):
    code = "prompt_lines_invalid"


class PromptExists(Conflict):
    """`extra`: prompt, the id of the one that is there."""

    code = "prompt_exists"


@dataclass(frozen=True, slots=True)
class PromptImportResult:
    created: int
    duplicates: int


def prompts_import(
    *, actor: User | None, project: Project, lines: Iterable[str]
) -> PromptImportResult:
    """Stores the prompts that the project does not have yet, then makes demonstration tasks.

    A line is ``{"messages": [...]}`` or ``{"prompt": "text"}``, optionally with "external_id" and
    "sources" ``[{"title", "text", "url"}]`` that answers may cite; blank lines are passed over.
    What was only a turn of a conversation so far becomes a prompt of its own, and counts as new.
    Raises PromptLinesInvalid with ``extra.errors`` by line number (from 1), and then stores
    nothing.
    """
    prompts = _parse(project, lines)
    with transaction.atomic():
        # Serializes imports into one project: no prompt can be stored twice in between.
        project_lock(project.pk)
        known = _known(project, prompts)
        turns = {text for text, source in known.items() if source == PromptSource.CONVERSATION}
        new = list(_without_known(prompts, known))
        # People who talk ask for no project's lock: what they said meanwhile is not stored twice,
        # but taken up with the other turns.
        Prompt.objects.bulk_create(new, batch_size=CHUNK, ignore_conflicts=True)
        _conversation_prompts_take_up(project, prompts)
        created = len(new) + len(turns)
        result = PromptImportResult(created=created, duplicates=len(prompts) - created)
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


def prompt_write(
    *, project: Project, author: User, messages: list[dict[str, str]], use_case: UseCase | str
) -> Prompt:
    """Stores a labeler's prompt, and gives it a demonstration task where these are wanted.

    What was only a turn of a conversation so far becomes their prompt. Needs the project's lock.
    Raises PromptExists.
    """
    written: dict[str, Any] = {
        "source": PromptSource.WRITTEN,
        "is_active": True,
        "author": author,
        "use_case": use_case,
    }
    # Somebody may be saying the same at this moment, which asks for no project's lock.
    prompt, is_new = Prompt.objects.get_or_create(
        project=project,
        content_hash=content_hash(messages),
        defaults={"messages": messages} | written,
    )
    if not is_new:
        if prompt.source != PromptSource.CONVERSATION:
            raise PromptExists(
                f"The project {project.slug} has this very prompt already. Write another one, or "
                "change this one.",
                prompt=prompt.pk,
            )
        save_changed(prompt, **written)
    demonstration_tasks_ensure(project=project)
    return prompt


def prompt_unwrite(*, prompt: Prompt) -> None:
    """Deletes the prompt, with the demonstration task that nobody has taken yet.

    What was said in a conversation is no more than its turn again. Needs the project's lock.
    Raises ProtectedError where others work with it.
    """
    untouched = demonstration_tasks(prompt.project).filter(
        prompt=prompt, claims=0, status=TaskStatus.OPEN, assignments=None
    )
    # Whoever claims it just now holds its lock: then it stays, and with it the prompt.
    free = Task.objects.select_for_update(no_key=True, skip_locked=True).filter(
        pk__in=list(untouched.values_list("pk", flat=True)), claims=0
    )
    Task.objects.filter(pk__in=[task.pk for task in free]).delete()
    if not Turn.objects.filter(prompt=prompt).exists():
        prompt.delete()
    elif (tasks := Task.objects.filter(prompt=prompt)).exists():
        raise ProtectedError(f"Tasks ask for answers to prompt {prompt.pk}.", set(tasks))
    else:
        save_changed(
            prompt, source=PromptSource.CONVERSATION, is_active=False, author=None, use_case=""
        )


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
    if unknown := sorted(set(record) - set(KEYS)):
        raise ValueError(
            f"has the unknown key {unknown[0][:60]!r}; messages or prompt, external_id and "
            "sources are read"
        )
    if ("messages" in record) == ("prompt" in record):
        raise ValueError('needs either "messages" or "prompt"')
    messages = record.get("messages", [{"role": "user", "content": record.get("prompt")}])
    sources = _sources_check(record.get("sources", []))
    messages = messages_with_sources(_messages_check(messages), sources)
    return Prompt(
        project=project,
        messages=messages,
        content_hash=content_hash(messages),
        external_id=_external_id_check(record.get("external_id", "")),
        sources=sources,
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


def _sources_check(sources: Any) -> list[dict[str, str]]:
    """With outer white space removed, and an url each, maybe empty."""
    if not isinstance(sources, list) or len(sources) > MAX_SOURCES:
        raise ValueError(f"sources must be a list of at most {MAX_SOURCES} sources")
    checked = [_source_check(source, number) for number, source in enumerate(sources, start=1)]
    if (size := len(sources_text(checked))) > MAX_CONTENT_CHARACTERS:
        raise ValueError(
            f"sources have {size} characters together; at most {MAX_CONTENT_CHARACTERS} are taken"
        )
    return checked


def _source_check(source: Any, number: int) -> dict[str, str]:
    if not isinstance(source, dict) or not {"title", "text"} <= set(source) <= set(SOURCE_LIMITS):
        raise ValueError(f'source {number} must have "title" and "text", maybe "url", and no more')
    checked = {}
    for key, maximum in SOURCE_LIMITS.items():
        value = source.get(key, "")
        if not isinstance(value, str) or len(value) > maximum:
            raise ValueError(
                f"source {number} has {_shape(value)} as {key}; text of at most {maximum} "
                "characters is expected"
            )
        checked[key] = value.strip()
    if not checked["title"] or not checked["text"]:
        raise ValueError(f"source {number} has an empty title or text")
    _url_check(checked["url"], number)
    return checked


def _url_check(url: str, number: int) -> None:
    """Nothing but the web: a page makes a link of it."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if url and (not is_web or any(character.isspace() for character in url)):
        raise ValueError(
            f"source {number} has the url {url[:60]!r}; an address that begins with http:// or "
            "https:// is expected"
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


def _known(project: Project, prompts: list[Prompt]) -> dict[str, str]:
    """Of those texts that the project has: the hash, and where its prompt came from."""
    hashes = list({prompt.content_hash for prompt in prompts})
    known: dict[str, str] = {}
    for start in range(0, len(hashes), CHUNK):
        found = Prompt.objects.filter(
            project=project, content_hash__in=hashes[start : start + CHUNK]
        )
        known.update(found.values_list("content_hash", "source"))
    return known


def _without_known(prompts: list[Prompt], known: Collection[str]) -> Iterator[Prompt]:
    """The first of each text, unless the project already has it."""
    seen = set(known)
    for prompt in prompts:
        if prompt.content_hash not in seen:
            seen.add(prompt.content_hash)
            yield prompt


def _conversation_prompts_take_up(project: Project, prompts: list[Prompt]) -> None:
    """Turns with an imported text are prompts of their own from now on.

    Their side of the split stays that of the conversation.
    """
    imported = {prompt.content_hash: prompt for prompt in reversed(prompts)}
    for text, source in _known(project, prompts).items():
        if source != PromptSource.CONVERSATION:
            continue
        Prompt.objects.filter(project=project, content_hash=text).update(
            source=PromptSource.IMPORTED,
            is_active=True,
            external_id=imported[text].external_id,
            sources=imported[text].sources,
        )
