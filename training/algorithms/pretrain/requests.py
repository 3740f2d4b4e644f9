"""What people ask: every topic crossed with every phrasing of five kinds of request."""

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

from training.algorithms.pretrain.topics import Topic, topic_list

Kind = Literal["how", "what", "tip", "why", "note"]

PHRASINGS: dict[Kind, tuple[str, ...]] = {
    "how": (
        "How do I {task}?",
        "How can I {task}?",
        "What is the best way to {task}?",
        "Can you tell me how to {task}?",
        "Please explain how to {task}.",
        "I want to {task}. Where do I start?",
        "Tell me how to {task}.",
        "I would like to {task}. What should I do?",
        "What do I need to do to {task}?",
        "My friend wants to {task}. How does it work?",
    ),
    "what": (
        "{what}",
        "A child asks me: {what}",
        "Tell me something about {name}.",
        "What should I know about {name}?",
        "I know nothing about {name}. Can you help me?",
    ),
    "tip": (
        "Give me a tip about {name}.",
        "Do you have any advice about {name}?",
        "What is your best tip about {name}?",
        "I need some advice about {name}.",
        "Share a useful tip about {name}.",
    ),
    "why": (
        "Why {why_question}?",
        "Can you explain why {why_statement}?",
        "Do you know why {why_statement}?",
        "I wonder why {why_statement}.",
        "Please tell me why {why_statement}.",
    ),
    "note": (
        "Write a short note about {name}.",
        "Write a note to a friend about {name}.",
        "Write two sentences about {name}.",
        "Write a short message about {name} for my family.",
    ),
}

_KEPT_OUT_ONE_IN = 4


@dataclass(frozen=True, slots=True)
class Request:
    topic: Topic
    kind: Kind
    text: str

    @property
    def is_kept_out(self) -> bool:
        """True for the quarter of all requests that the corpus never shows verbatim.

        Decided by the text alone, so that it is the same for every seed.
        """
        return zlib.crc32(self.text.encode()) % _KEPT_OUT_ONE_IN == 0


@cache
def request_list() -> tuple[Request, ...]:
    """Every request, in the order of topics, kinds and phrasings."""
    return tuple(
        Request(topic, kind, _fill(phrasing, topic))
        for topic in topic_list()
        for kind, phrasings in PHRASINGS.items()
        for phrasing in phrasings
    )


@cache
def request_index() -> dict[str, Request]:
    return {request.text: request for request in request_list()}


@cache
def requests_shown() -> dict[Kind, tuple[Request, ...]]:
    """The requests that the corpus may show, by kind."""
    shown = [request for request in request_list() if not request.is_kept_out]
    return {kind: tuple(r for r in shown if r.kind == kind) for kind in PHRASINGS}


def _fill(phrasing: str, topic: Topic) -> str:
    why_question, why_statement = topic.why
    return phrasing.format(
        name=topic.name,
        what=topic.what,
        task=topic.task,
        why_question=why_question,
        why_statement=why_statement,
    )
