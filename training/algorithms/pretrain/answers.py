"""Answers put together from an opening, a body and a closing, one attribute at a time."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from training.algorithms.pretrain.phrases import (
    CLOSINGS,
    FILLERS,
    OPENINGS,
    VAGUE_ABOUT,
    VAGUE_GENERAL,
)
from training.algorithms.pretrain.requests import Kind
from training.algorithms.pretrain.topics import Topic, topic_list

RAMBLING_WORDS = 44
"""A rambling answer stops about here, without its opening and closing."""

Tone = Literal["polite", "neutral", "rude"]
Length = Literal["short", "medium", "rambling"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What makes an answer good or bad; drawn independently of each other."""

    on_topic: bool
    helpful: bool
    tone: Tone
    length: Length


@dataclass(frozen=True, slots=True)
class _Body:
    sentences: list[str]
    clauses: list[str]
    """The content again, without capitals and full stops: what a rambler repeats."""


def answer_compose(topic: Topic, kind: Kind, attributes: Attributes, rng: random.Random) -> str:
    """An answer about `topic`; `attributes.on_topic` is up to the caller's choice of topic."""
    length = attributes.length
    if length == "rambling":
        length = rng.choice(("short", "medium"))
    make = _helpful if attributes.helpful else _vague
    body = make(topic, kind, length, rng)
    sentences = list(body.sentences)
    if attributes.length == "rambling":
        sentences += _ramble(topic, body, rng)
    opening, closing = _manners(attributes.tone, topic, rng)
    return " ".join(opening + sentences + closing)


def _manners(tone: Tone, topic: Topic, rng: random.Random) -> tuple[list[str], list[str]]:
    """A tone that is not neutral shows at the start, at the end, or at both."""
    if tone == "neutral":
        where = "start" if rng.random() < 0.25 else "nowhere"
    else:
        where = rng.choice(("start", "start", "end", "both"))
    opening = rng.choice(OPENINGS[tone]).format(name=topic.name)
    closing = rng.choice(CLOSINGS.get(tone, ("",))).format(name=topic.name)
    return [opening] * (where in ("start", "both")), [closing] * (where in ("end", "both"))


def _helpful(topic: Topic, kind: Kind, length: Length, rng: random.Random) -> _Body:
    return _HELPFUL[kind](topic, length == "short", rng)


def _how(topic: Topic, short: bool, rng: random.Random) -> _Body:
    first, second, third = topic.steps
    task = topic.task
    if short:
        step = rng.choice(topic.steps)
        return rng.choice(
            (
                _Body([f"First, {first}.", f"Then {second}."], [first, second]),
                _Body([f"To {task}, {step}."], [step]),
                _Body([f"You should {step}."], [step]),
            )
        )
    sentences = rng.choice(
        (
            [f"First, {first}.", f"Then {second}.", f"Finally, {third}."],
            [f"To {task}, first {first}.", f"After that, {second}.", f"Finally, {third}."],
            [f"Step one: {first}.", f"Step two: {second}.", f"Step three: {third}."],
        )
    )
    return _Body(sentences, [first, second, third])


def _what(topic: Topic, short: bool, rng: random.Random) -> _Body:
    first, second = topic.facts
    if short:
        return _Body([first], [_clause(first)])
    tip = rng.choice(topic.tips)
    ending = rng.choice((second, f"It helps to {tip}."))
    return _Body([first, ending], [_clause(first), _clause(ending)])


def _tip(topic: Topic, short: bool, rng: random.Random) -> _Body:
    tip, other = rng.sample(topic.tips, 2)
    if short:
        form = rng.choice(("You should {tip}.", "My tip about {name} is to {tip}."))
        return _Body([form.format(tip=tip, name=topic.name)], [tip])
    first = rng.choice(("My tip about {name} is to {tip}.", "First, {tip}."))
    second = rng.choice(("It also helps to {other}.", "Then {other}."))
    sentences = [first.format(tip=tip, name=topic.name), second.format(other=other)]
    return _Body(sentences, [tip, other])


def _why(topic: Topic, short: bool, rng: random.Random) -> _Body:
    first, second = rng.sample(topic.reasons, 2)
    if short:
        return _Body([first], [_clause(first)])
    tip = rng.choice(topic.tips)
    ending = rng.choice((second, f"It helps to {tip}."))
    return _Body([first, ending], [_clause(first), _clause(ending)])


def _note(topic: Topic, short: bool, rng: random.Random) -> _Body:
    fact, tip = rng.choice(topic.facts), rng.choice(topic.tips)
    start = rng.choice(("Dear friend,", "Hello everybody,", "Dear reader,"))
    if short:
        return _Body([start, _clause(fact) + "."], [_clause(fact)])
    return _Body([start, _clause(fact) + ".", f"It helps to {tip}."], [_clause(fact), tip])


_HELPFUL: dict[Kind, Callable[[Topic, bool, random.Random], _Body]] = {
    "how": _how,
    "what": _what,
    "tip": _tip,
    "why": _why,
    "note": _note,
}


def _vague(topic: Topic, kind: Kind, length: Length, rng: random.Random) -> _Body:
    about = rng.choice(VAGUE_ABOUT).format(name=topic.name, task=topic.task)
    if length == "short":
        return _Body([about], [_clause(about)])
    sentences = [about, *rng.sample(VAGUE_GENERAL, rng.choice((1, 2)))]
    rng.shuffle(sentences)
    return _Body(sentences, [_clause(sentence) for sentence in sentences])


def _ramble(topic: Topic, body: _Body, rng: random.Random) -> list[str]:
    """Repetitions, a filler and a drift to something else, in any order, while there is room."""
    other = rng.choice([candidate for candidate in topic_list() if candidate is not topic])
    drifts = (
        f"By the way, {_clause(rng.choice(other.facts))}.",
        f"That reminds me of {other.name}.",
    )
    extras = [
        f"As I said, {rng.choice(body.clauses)}.",
        f"Again, {rng.choice(body.clauses)}.",
        rng.choice(FILLERS),
        rng.choice(drifts),
    ]
    rng.shuffle(extras)
    kept: list[str] = []
    for extra in extras:
        if _num_words([*body.sentences, *kept, extra]) <= RAMBLING_WORDS:
            kept.append(extra)
    return kept


def _num_words(sentences: list[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _clause(sentence: str) -> str:
    """ "Tea is warm." -> "tea is warm"."""
    text = sentence.rstrip(".?!")
    return text if text.startswith("I ") else text[0].lower() + text[1:]
