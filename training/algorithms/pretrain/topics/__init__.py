"""Everyday topics with hand-written facts, steps, tips and reasons: the words of the corpus.

The TOML files beside this module hold them. Facts and reasons are whole sentences. Steps and tips
are imperatives without a capital or a full stop, so that they fit behind "First," as well as
behind "It helps to". Each of them names its topic where that reads naturally.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    """Fits behind "about"."""
    what: str
    """A question that `facts[0]` answers."""
    task: str
    """Fits behind "how to"; `steps` carry it out."""
    why: tuple[str, str]
    """Fit behind "Why" and behind "I wonder why"; `reasons` answer them."""
    steps: tuple[str, ...]
    facts: tuple[str, ...]
    tips: tuple[str, ...]
    reasons: tuple[str, ...]


@cache
def topic_list() -> tuple[Topic, ...]:
    """All topics in file order; the order is part of what a seed means."""
    topics = []
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["topic"]:
            topics.append(Topic(**{name: _frozen(value) for name, value in table.items()}))
    return tuple(topics)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
