"""The project's own English corpus: instructions and answers that people can tell apart.

Every document is an everyday request with an answer that is on the topic or not, helpful or
vague, polite, neutral or rude, and short, medium or rambling. The mixture is mediocre on purpose:
a model pretrained on it answers in readable sentences and leaves room for preferences to help.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from training.algorithms.pretrain.answers import Attributes, Length, Tone, answer_compose
from training.algorithms.pretrain.markup import chat_text
from training.algorithms.pretrain.phrases import SMALL_TALK, SYSTEMS
from training.algorithms.pretrain.requests import (
    PHRASINGS,
    Kind,
    Request,
    request_index,
    request_list,
    requests_shown,
)
from training.algorithms.pretrain.topics import Topic, topic_list

ON_TOPIC_SHARE = 0.75
HELPFUL_SHARE = 0.55
TONE_SHARES: dict[Tone, float] = {"polite": 0.30, "neutral": 0.45, "rude": 0.25}
LENGTH_SHARES: dict[Length, float] = {"short": 0.30, "medium": 0.45, "rambling": 0.25}
KIND_SHARES: dict[Kind, float] = {"how": 0.35, "what": 0.15, "tip": 0.2, "why": 0.2, "note": 0.1}
SMALL_TALK_SHARE = 0.015
SYSTEM_SHARE = 0.03
SECOND_TURN_SHARE = 0.03

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """A conversation that ends in an answer."""

    messages: list[Message]
    """Up to and including the last request: {"role": ..., "content": ...}."""
    answer: str
    attributes: Attributes | None
    """Of the answer; None for small talk."""


def corpus_documents(seed: int, num: int) -> Iterator[Document]:
    """`num` documents; the same ones for the same seed, and a prefix of them for a smaller num."""
    rng = random.Random(f"corpus {seed}")
    for _ in range(num):
        yield _document_draw(rng)


def held_out_seed(seed: int) -> int:
    """The seed of the documents that a model of this seed is never trained on."""
    return -1 - seed


def held_out_texts(seed: int, num: int) -> Iterator[str]:
    """The first held-out documents as the model would read them: whole conversations."""
    for document in corpus_documents(held_out_seed(seed), num):
        answer = {"role": "assistant", "content": document.answer}
        yield chat_text([*document.messages, answer])


def demo_prompts(seed: int, num: int) -> list[str]:
    """`num` distinct requests, every other one never shown verbatim by the corpus.

    Raises ValueError when there are not that many.
    """
    rng = random.Random(f"prompts {seed}")
    unseen = [request.text for request in request_list() if request.is_kept_out]
    seen = [request.text for request in request_list() if not request.is_kept_out]
    rng.shuffle(unseen)
    rng.shuffle(seen)
    if not 0 <= num <= len(unseen) + len(seen):
        raise ValueError(f"num = {num}: expected 0 to {len(unseen) + len(seen)} prompts.")
    from_unseen = max(min(num // 2, len(unseen)), num - len(seen))
    chosen = unseen[:from_unseen] + seen[: num - from_unseen]
    rng.shuffle(chosen)
    return chosen


def ideal_answer(prompt_text: str, rng: random.Random) -> str:
    """An on-topic, helpful, polite and concise answer, as a good demonstration writer gives it.

    A prompt that is not of this corpus is matched by its words; failing that, the answer says
    politely where to look.
    """
    request = request_index().get(prompt_text.strip()) or _request_guess(prompt_text)
    if request is None:
        return (
            "Thank you for your question. I do not know enough about this to give good advice. "
            "Please ask somebody who works with it every day."
        )
    length: Length = (
        "medium" if request.kind in ("how", "note") else rng.choice(("short", "medium"))
    )
    wanted = Attributes(on_topic=True, helpful=True, tone="polite", length=length)
    return answer_compose(request.topic, request.kind, wanted, rng)


def _document_draw(rng: random.Random) -> Document:
    if rng.random() < SMALL_TALK_SHARE:
        text = rng.choice(list(SMALL_TALK))
        return Document([_message("user", text)], rng.choice(SMALL_TALK[text]), None)
    request = _request_draw(rng)
    attributes = _attributes_draw(rng)
    messages = [_message("user", request.text)]
    shape = rng.random()
    if shape < SYSTEM_SHARE:
        messages.insert(0, _message("system", rng.choice(SYSTEMS)))
    elif shape < SYSTEM_SHARE + SECOND_TURN_SHARE:
        messages = [*_first_turn(rng), *messages]
    return Document(messages, _answer_draw(request, attributes, rng), attributes)


def _first_turn(rng: random.Random) -> list[Message]:
    request = _request_draw(rng)
    short = Attributes(on_topic=True, helpful=True, tone="neutral", length="short")
    answer = answer_compose(request.topic, request.kind, short, rng)
    return [_message("user", request.text), _message("assistant", answer)]


def _request_draw(rng: random.Random) -> Request:
    kind = rng.choices(list(KIND_SHARES), list(KIND_SHARES.values()))[0]
    return rng.choice(requests_shown()[kind])


def _attributes_draw(rng: random.Random) -> Attributes:
    return Attributes(
        on_topic=rng.random() < ON_TOPIC_SHARE,
        helpful=rng.random() < HELPFUL_SHARE,
        tone=rng.choices(list(TONE_SHARES), list(TONE_SHARES.values()))[0],
        length=rng.choices(list(LENGTH_SHARES), list(LENGTH_SHARES.values()))[0],
    )


def _answer_draw(request: Request, attributes: Attributes, rng: random.Random) -> str:
    topic, kind = request.topic, request.kind
    if not attributes.on_topic:
        topic = rng.choice([other for other in topic_list() if other is not topic])
        kind = rng.choice(list(PHRASINGS))
    return answer_compose(topic, kind, attributes, rng)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


# ---- prompts that are not of this corpus

_KIND_HINTS: tuple[tuple[str, Kind], ...] = (
    (r"\bwhy\b", "why"),
    (r"\bhow\b", "how"),
    (r"\b(tip|tips|advice)\b", "tip"),
    (r"\b(write|note|message)\b", "note"),
    (r"\bwhat (is|are)\b|\babout\b", "what"),
)


def _request_guess(prompt_text: str) -> Request | None:
    """The topic that shares most words of its name or task with the prompt."""
    words = _word_stems(prompt_text)
    topic = max(topic_list(), key=lambda candidate: _overlap(candidate, words))
    if _overlap(topic, words) == 0:
        return None
    kinds = (kind for hint, kind in _KIND_HINTS if re.search(hint, prompt_text.lower()))
    return Request(topic, next(kinds, "tip"), prompt_text)


def _overlap(topic: Topic, words: set[str]) -> float:
    """A word of the name counts more than a word of the task."""
    return 2 * len(_word_stems(topic.name) & words) + 0.5 * len(_word_stems(topic.task) & words)


_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        the and for are with how does what why can you your good better best make made keep get give
        start choose learn plan take find look after before well care every more new short help
        things people write note about tell tip
        """,
    )
)


def _word_stems(text: str) -> set[str]:
    words = re.findall(r"[a-z]{3,}", text.lower())
    return {word.rstrip("s") for word in words if word not in _EMPTY_WORDS}
