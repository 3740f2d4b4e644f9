"""Texts that change by versions, as their pages show them: each with the one before it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    number: int
    text: str
    before: str
    author: str
    created_at: datetime


def versions_shown(
    rows: Sequence[Any], *, number: Callable[[Any], int], text: Callable[[Any], str]
) -> Iterator[Version]:
    """Of rows that come newest first."""
    for row, older in zip_longest(rows, rows[1:]):
        yield Version(
            number=number(row),
            text=text(row),
            before=text(older) if older is not None else "",
            author=row.author.get_username() if row.author else "",
            created_at=row.created_at,
        )
