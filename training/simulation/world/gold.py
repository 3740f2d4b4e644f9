"""What the people of a world want: a hidden value that reads nothing but the two texts.

Every word has a weight, which depends on the topic. A liked word is good in moderation and bad in
excess: n of them are worth w (n - n^2 / 2m), which grows up to n = m, is back at 0 at n = 2m and
falls ever faster. A disliked one costs w each. So a policy that is driven along a straight line
from what people have seen goes wrong, and only its own answers, judged by people, can tell.
"""

import math
import random
import statistics
from collections import Counter
from dataclasses import dataclass

from training.simulation.world.language import Language

UNKNOWN_WEIGHT = -1.0
"""Of a word that is not of the language."""
MISSING_WEIGHT = -1.0
"""Of each word by which an answer is shorter than the shortest usual one."""
NUM_NORMALIZING = 1_500


@dataclass(frozen=True, slots=True)
class GoldOptions:
    moderation: float = 3.0
    """m: how many of a liked word are best."""
    shared: float = 0.5
    """Share of the variance of an easy topic's weights that all easy topics have in common."""
    hard_spread: float = 2.0
    """Spread of the value of answers to hard prompts; 1 for easy ones."""


class Gold:
    """One seed's preference. Over the language's own answers to a topic it has mean 0 and, for
    easy topics, variance 1."""

    def __init__(self, language: Language, options: GoldOptions, seed: int) -> None:
        self.language, self.options = language, options
        rng = random.Random(f"gold {seed}")
        common = [rng.gauss(0, 1) for _ in language.words]
        self._weights: dict[str, dict[str, float]] = {}
        self._center: dict[str, tuple[float, float]] = {}
        for topic in language.topics:
            shared = options.shared if topic in language.easy_topics else 0.0
            self._weights[topic] = {
                word: math.sqrt(shared) * old + math.sqrt(1 - shared) * rng.gauss(0, 1)
                for word, old in zip(language.words, common, strict=True)
            }
            answers = [language.answer(topic, rng) for _ in range(NUM_NORMALIZING)]
            raw = [self._raw(topic, answer) for answer in answers]
            spread = 1.0 if topic in language.easy_topics else options.hard_spread
            self._center[topic] = statistics.fmean(raw), statistics.pstdev(raw) / spread

    def value(self, prompt: str, answer: str) -> float:
        topic = self.language.topic_of(prompt)
        mean, deviation = self._center[topic]
        return (self._raw(topic, answer) - mean) / deviation

    def _raw(self, topic: str, answer: str) -> float:
        weights, words = self._weights[topic], answer.split()
        missing = max(0, self.language.options.min_words - len(words))
        return MISSING_WEIGHT * missing + sum(
            word_value(weights.get(word, UNKNOWN_WEIGHT), count, self.options.moderation)
            for word, count in Counter(words).items()
        )


def word_value(weight: float, count: int, moderation: float) -> float:
    """Concave in the count, whatever the weight."""
    if weight <= 0:
        return weight * count
    return weight * (count - count * count / (2 * moderation))
