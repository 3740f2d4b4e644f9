"""What scripted labelers secretly want, and the noise with which they say it.

The preference reads nothing but the two texts: it rewards answers that stay on the topic, say
something concrete, are polite and of a readable length, and dislikes evasion, rudeness,
repetition and rambling. Each feature saturates, so that none of them alone buys a good value.
Labels follow Bradley and Terry (Biometrika 39, 1952) and, for more than two answers, its
extension by Luce and Plackett.
"""

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from training.simulation.preference_words import (
    CUE_WORDS,
    POLITE_MARKERS,
    RAMBLING_MARKERS,
    REQUEST_WORDS,
    RUDE_MARKERS,
    STOP_WORDS,
    VAGUE_MARKERS,
)

IDEAL_WORDS = 24
"""Length in words with the highest value, everything else equal."""

DEFAULT_SCALE = 0.53
"""Temperature at which two labelers agree on about three of four pairs.

75 % on answers of the corpus, 73 % on the base model's samples: docs/base_model.md has the
measurement. The unit is that of `hidden_value`.
"""

_EMPTY_VALUE = -4.0
_CENTER, _SPREAD = 0.87, 1.09
"""Make base samples of one prompt have about mean 0 and standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Features:
    """Each between 0 and 1."""

    topic: float
    """Content words of the prompt that the answer takes up."""
    substance: float
    """New content words."""
    cues: float
    """Order, reasons, quantities, advice."""
    vague: float
    polite: float
    rude: float
    length: float
    """Distance from IDEAL_WORDS on a log scale."""
    repetition: float
    rambling: float
    incomplete: float
    """Does not end, or does not begin, like a sentence."""


WEIGHTS = Features(
    topic=1.6,
    substance=0.6,
    cues=0.6,
    vague=-0.9,
    polite=0.7,
    rude=-1.1,
    length=-0.8,
    repetition=-0.8,
    rambling=-0.6,
    incomplete=-0.5,
)


def hidden_value(prompt_text: str, answer_text: str) -> float:
    """How much a scripted labeler likes the answer; about unit spread over base samples."""
    if not re.search(r"\w", answer_text):
        return _EMPTY_VALUE
    features = features_of(prompt_text, answer_text)
    weighted = zip(astuple(WEIGHTS), astuple(features), strict=True)
    return (sum(weight * feature for weight, feature in weighted) - _CENTER) / _SPREAD


def features_of(prompt_text: str, answer_text: str) -> Features:
    words = _words(answer_text)
    wanted = _content_stems(prompt_text) - {_stem(word) for word in REQUEST_WORDS}
    answered = _content_stems(answer_text)
    sentences = _sentences(answer_text)
    cues = {word for word in words if word in CUE_WORDS or word.isdigit()}
    return Features(
        topic=_saturating(len(wanted & answered), 0.8) if wanted else 0.5,
        substance=_saturating(len(answered - wanted), 4.0),
        cues=_saturating(len(cues), 1.5),
        vague=_saturating(_marked(sentences, VAGUE_MARKERS), 1.0),
        polite=_politeness(prompt_text, sentences),
        rude=_saturating(_marked(sentences, RUDE_MARKERS), 0.7),
        length=min(1.0, (math.log(max(1, len(words)) / IDEAL_WORDS) / math.log(4)) ** 2),
        repetition=_repetition(words),
        rambling=_saturating(_marked(sentences, RAMBLING_MARKERS), 1.0),
        incomplete=_incompleteness(answer_text),
    )


# ---- noisy labels


def preference_probability(value: float, other: float, scale: float) -> float:
    """P(first preferred) under Bradley-Terry: a logistic function of the difference / scale."""
    difference = (value - other) / scale
    if difference >= 0:
        return 1 / (1 + math.exp(-difference))
    return math.exp(difference) / (1 + math.exp(difference))


def ranking_draw(
    values: Sequence[float],
    scale: float = DEFAULT_SCALE,
    rng: random.Random | None = None,
    tie_margin: float = 0.0,
) -> list[list[int]]:
    """One labeler's ranking: groups of indices, best first.

    Sorting by value / scale plus standard Gumbel noise draws from the Plackett-Luce model, whose
    pairs are Bradley-Terry (Yellott 1977). Neighbors whose noisy utilities differ by less than
    `tie_margin` (in units of `scale`) share a group; at 0 there are no ties. Raises ValueError for
    a scale that is not positive.
    """
    if scale <= 0:
        raise ValueError(f"scale = {scale}: expected more than 0.")
    rng = rng or random.Random()
    utilities = [value / scale + _gumbel(rng) for value in values]
    order = sorted(range(len(values)), key=utilities.__getitem__, reverse=True)
    groups: list[list[int]] = []
    for index in order:
        if groups and utilities[groups[-1][-1]] - utilities[index] < tie_margin:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def agreement_rate(differences: Iterable[float], scale: float) -> float:
    """Share of pairs on which two labelers agree: the mean of p^2 + (1 - p)^2.

    `differences` are differences of hidden values within pairs.
    """
    rates = []
    for difference in differences:
        p = preference_probability(difference, 0.0, scale)
        rates.append(p * p + (1 - p) * (1 - p))
    return sum(rates) / len(rates)


def scale_for_agreement(differences: Sequence[float], agreement: float) -> float:
    """The scale at which `agreement_rate` is `agreement`, by bisection on a log scale.

    Agreement falls from 1 to 1/2 as the scale grows. Raises ValueError outside (0.5, 1).
    """
    if not 0.5 < agreement < 1:
        raise ValueError(f"agreement = {agreement}: expected between 0.5 and 1.")
    low, high = math.log(1e-6), math.log(1e6)
    for _ in range(80):
        middle = (low + high) / 2
        if agreement_rate(differences, math.exp(middle)) > agreement:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _gumbel(rng: random.Random) -> float:
    return -math.log(-math.log(rng.random() or 1e-300))


# ---- features


def _politeness(prompt_text: str, sentences: list[str]) -> float:
    """Markers that the prompt itself contains do not count, nor does thanking in every sentence."""
    prompt = prompt_text.lower()
    markers = [marker for marker in POLITE_MARKERS if not re.search(marker, prompt)]
    num_polite = _marked(sentences, markers)
    excess = max(0, num_polite - max(2, len(sentences) // 2))
    return max(0.0, _saturating(num_polite, 0.8) - 0.5 * excess)


def _repetition(words: list[str]) -> float:
    """Twice the share of word triples that occurred before, at most 1."""
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if not triples:
        return 1.0 if len(set(words)) < len(words) else 0.0
    return min(1.0, 2 * (1 - len(set(triples)) / len(triples)))


def _incompleteness(text: str) -> float:
    text = text.strip()
    ends = text.endswith((".", "!", "?", '"', ")"))
    begins = text[0].isupper() or not text[0].isalpha()
    return 0.7 * (not ends) + 0.3 * (not begins)


def _marked(sentences: list[str], markers: Iterable[str]) -> int:
    """Number of sentences that contain a marker."""
    pattern = re.compile("|".join(markers))
    return sum(1 for sentence in sentences if pattern.search(sentence))


def _saturating(count: float, half: float) -> float:
    """0 at 0, 1/2 at `half` x ln 2, towards 1."""
    return 1 - math.exp(-count / half)


def _sentences(text: str) -> list[str]:
    return [part.strip().lower() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.lower())


def _content_stems(text: str) -> set[str]:
    return {_stem(word) for word in _words(text) if word not in STOP_WORDS and len(word) > 2}


def _stem(word: str) -> str:
    """Cuts plural and verb endings: leaves -> leav, baking -> bak, bake -> bak."""
    for ending in ("ing", "ies", "es", "ed", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
