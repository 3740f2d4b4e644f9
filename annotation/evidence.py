"""Sources beside a prompt, and what an answer says with them: ``[1]`` cites the first source."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Prompt

MAX_STATEMENTS = 500
MAX_RANGE = 20

_CITATION = re.compile(r"[\[［【](\d{1,3}(?: ?[,;，、–-] ?\d{1,3})*) ?[\]］】]")  # noqa: RUF001
_CITATIONS = re.compile(rf"(?:[ \t]?{_CITATION.pattern})+")
_ONE_OR_RANGE = re.compile(r"(\d+)(?: ?[–-] ?(\d+))?")  # noqa: RUF001
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
# A line that begins something new even without a blank line before it.
_BEGINS = re.compile(r"\s*(?:[-*+•]\s|\d{1,3}[.)]\s|#{1,6}\s|>|\|)")
_STOPS = re.compile(r"[.!?…。！？؟۔।]+")  # noqa: RUF001
# Written without a space before the next sentence.
_CJK_STOPS = "。！？"  # noqa: RUF001
_CLOSERS = re.compile(r"[\"'”’»)）」』*_]*")  # noqa: RUF001
_WORD_BEFORE = re.compile(r"[^\W_](?:[\w.]{0,8})\Z")
_ABBREVIATIONS = frozenset(
    ("al", "approx", "ca", "cf", "dr", "e.g", "fig", "i.e", "mr", "mrs", "ms", "pp", "prof", "vs")
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of an answer, in characters; ``sources`` is empty where it cites nothing."""

    start: int
    end: int
    sources: tuple[int, ...]


def sources_text(sources: Sequence[dict[str, str]]) -> str:
    """The sources as the model reads them."""
    listed = [f"[{n}] {source['title']}: {source['text']}" for n, source in enumerate(sources, 1)]
    return "\n\n".join(["Sources:", *listed])


def messages_with_sources(
    messages: list[dict[str, str]], sources: Sequence[dict[str, str]]
) -> list[dict[str, str]]:
    """The sources go first, before an instruction that is there: chats have one at most."""
    if not sources:
        return messages
    text, rest = sources_text(sources), messages
    if messages[0]["role"] == "system":
        text, rest = f"{text}\n\n{messages[0]['content']}", messages[1:]
    return [{"role": "system", "content": text}, *rest]


def messages_shown(prompt: Prompt) -> list[dict[str, str]]:
    """The messages as people read them: the sources have a place of their own on the page."""
    if not prompt.sources:
        return prompt.messages
    instruction = prompt.messages[0]["content"].removeprefix(sources_text(prompt.sources)).strip()
    rest = prompt.messages[1:]
    return [{"role": "system", "content": instruction}, *rest] if instruction else rest


def statements_split(text: str) -> list[Statement]:
    """The answer in order, nothing left out: each citing sentence, and what lies between them.

    The same text always gives the same statements: a label names one by its place in the list.
    """
    pieces: list[Statement] = []
    for start, end, is_code in _blocks(text):
        for first, last in [(start, end)] if is_code else _sentences(text, start, end):
            cited = () if is_code else _cited(text[first:last])
            if pieces and not cited and not pieces[-1].sources:
                pieces[-1] = Statement(pieces[-1].start, last, ())
            else:
                pieces.append(Statement(first, last, cited))
    return _at_most(pieces, text)


def statements_present(text: str) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "start": statement.start,
            "end": statement.end,
            "text": text[statement.start : statement.end],
            "sources": list(statement.sources),
        }
        for index, statement in enumerate(statements_split(text))
    ]


def _at_most(pieces: list[Statement], text: str) -> list[Statement]:
    """The last of too many is all the rest."""
    if len(pieces) <= MAX_STATEMENTS:
        return pieces
    kept, rest = pieces[: MAX_STATEMENTS - 1], pieces[MAX_STATEMENTS - 1 :]
    cited = dict.fromkeys(number for piece in rest for number in piece.sources)
    return [*kept, Statement(rest[0].start, len(text), tuple(cited))]


def _blocks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Paragraphs, list items and fenced code: start, end, whether it is code."""
    start = position = 0
    fence = ""
    is_open = False
    for line in text.splitlines(keepends=True):
        marker = _FENCE.match(line)
        if fence:
            if marker and marker[1] == fence:
                yield start, position + len(line), True
                start, fence, is_open = position + len(line), "", False
        elif marker:
            if is_open:
                yield start, position, False
            start, fence = position, marker[1]
        elif _ends_block(line, is_open):
            yield start, position, False
            start, is_open = position, bool(line.strip())
        else:
            is_open = is_open or bool(line.strip())
        position += len(line)
    if position > start:
        yield start, position, bool(fence)


def _ends_block(line: str, is_open: bool) -> bool:
    return is_open and (not line.strip() or _BEGINS.match(line) is not None)


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans without gaps; the white space after a sentence is its own."""
    first = start
    for stop in _STOPS.finditer(text, start, end):
        last = _sentence_end(text, stop, first, end)
        if last is not None and last > first:
            while last < end and text[last].isspace():
                last += 1
            yield first, last
            first = last
    if first < end:
        yield first, end


def _sentence_end(text: str, stop: re.Match[str], first: int, end: int) -> int | None:
    """Where the sentence with this stop ends, or None when the stop ends none."""
    if stop.start() < first:
        return None
    closed = _CLOSERS.match(text, stop.end(), end)
    last = closed.end() if closed else stop.end()
    citations = _CITATIONS.match(text, last, end)
    # "It is blue. [1] Grass is green." cites for the blue; "It is blue. [1] says so." does not.
    if citations and not _goes_on(text, citations.end(), end):
        return citations.end()
    if last == end or stop[0][-1] in _CJK_STOPS:
        return last
    if not text[last].isspace():
        return None
    return None if stop[0] == "." and _is_abbreviation(text, first, stop.start()) else last


def _goes_on(text: str, position: int, end: int) -> bool:
    """A small letter follows, after white space or at once."""
    while position < end and text[position].isspace():
        position += 1
    return position < end and text[position].islower()


def _is_abbreviation(text: str, first: int, stop: int) -> bool:
    """The dot belongs to "e.g.", an initial or the number of a list's item."""
    if text[first:stop].strip().isdecimal():
        return True
    word = _WORD_BEFORE.search(text[max(first, stop - 10) : stop])
    if word is None:
        return False
    name = word[0].lower()
    return name in _ABBREVIATIONS or (len(name.split(".")[-1]) == 1 and name[-1].isalpha())


def _cited(sentence: str) -> tuple[int, ...]:
    """The numbers in brackets, in order and once each; none of those inside code."""
    prose = _CODE_SPAN.sub(" ", sentence)
    numbers = [n for citation in _CITATION.finditer(prose) for n in _numbers(citation[1])]
    return tuple(dict.fromkeys(numbers))


def _numbers(listed: str) -> Iterator[int]:
    for part in _ONE_OR_RANGE.finditer(listed):
        first, last = int(part[1]), int(part[2] or part[1])
        yield from range(first, last + 1) if last - first in range(MAX_RANGE) else (first, last)
