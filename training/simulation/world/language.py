"""The language of a world: prompts with a topic, answers of a dozen words.

Which word follows which is a Markov chain of its own for every topic, so that a small model can
learn the language in seconds, and anyone can draw from it without a model.
"""

import math
import random
from dataclasses import dataclass
from functools import cached_property

_WORDS = """
river stone cloud bread candle forest window silver garden letter winter music copper lantern meadow
harbor thunder velvet orchard feather compass ember saddle willow
"""
_ASKERS = """
anna ben clara david emma felix greta henry iris jonas karla leo mona nils olga paul quinn rosa
simon tina ursula victor wanda xenia yara zoe hugo lina otto vera
"""
_TIMES = """
monday tuesday wednesday thursday friday saturday sunday today tomorrow tonight yesterday early late
now noon dawn dusk spring autumn yearly
"""
WORDS, ASKERS, TIMES = (tuple(text.split()) for text in (_WORDS, _ASKERS, _TIMES))
EASY_TOPICS = ("town", "road", "lake", "hill")
HARD_TOPICS = ("engine", "tax", "proof", "law")
FRAME = ("asks", "about", "the")


@dataclass(frozen=True, slots=True, eq=True)
class LanguageOptions:
    num_words: int = 24
    num_easy_topics: int = 2
    num_hard_topics: int = 0
    min_words: int = 10
    """Answers have between min_words and max_words words, all lengths alike."""
    max_words: int = 14
    spread: float = 0.5
    """Of the log-odds with which a word follows another, in every topic."""
    topic_spread: float = 0.3
    """Of a topic's own log-odds of words."""
    seed: int = 1


class Language:
    """Draws prompts and answers. Equal options give the same language for ever."""

    def __init__(self, options: LanguageOptions) -> None:
        self.options = options
        self.words = WORDS[: options.num_words]
        self.easy_topics = EASY_TOPICS[: options.num_easy_topics]
        self.hard_topics = HARD_TOPICS[: options.num_hard_topics]
        self.topics = (*self.easy_topics, *self.hard_topics)

    @property
    def vocabulary(self) -> list[str]:
        """Every word that occurs in prompts or answers."""
        return [*self.words, *ASKERS, *TIMES, *EASY_TOPICS, *HARD_TOPICS, *FRAME]

    @cached_property
    def chains(self) -> dict[str, list[list[float]]]:
        """{topic: V + 1 rows of V probabilities}; the last row is that of the first word."""
        rng = random.Random(f"language {self.options.seed}")
        size = len(self.words)
        shared = [[rng.gauss(0, self.options.spread) for _ in range(size)] for _ in range(size + 1)]
        chains = {}
        for topic in self.topics:
            own = [rng.gauss(0, self.options.topic_spread) for _ in range(size)]
            chains[topic] = [_softmax([a + b for a, b in zip(row, own, strict=True)])
                             for row in shared]  # fmt: skip
        return chains

    def prompts(self, topic: str) -> list[str]:
        """All prompts about a topic, in a fixed order."""
        who, ask = ASKERS, " ".join(FRAME)
        return [f"{name} {ask} {topic} {time}" for name in who for time in TIMES]

    def topic_of(self, prompt: str) -> str:
        """Raises ValueError for a text that is no prompt of this language."""
        found = [word for word in prompt.split() if word in self.topics]
        if len(found) != 1:
            raise ValueError(f"{prompt!r} names no topic of {', '.join(self.topics)}.")
        return found[0]

    def answer(self, topic: str, rng: random.Random) -> str:
        """As the base model would answer, were it perfect."""
        rows, places = self.chains[topic], range(len(self.words))
        row, words = rows[-1], []
        for _ in range(rng.randint(self.options.min_words, self.options.max_words)):
            place = rng.choices(places, row)[0]
            words.append(self.words[place])
            row = rows[place]
        return " ".join(words)

    def documents(self, num: int, rng: random.Random) -> list[tuple[str, str]]:
        """(prompt, answer) for pretraining, all topics alike."""
        prompts = {topic: self.prompts(topic) for topic in self.topics}
        drawn = []
        for _ in range(num):
            topic = rng.choice(self.topics)
            drawn.append((rng.choice(prompts[topic]), self.answer(topic, rng)))
        return drawn


def _softmax(values: list[float]) -> list[float]:
    highest = max(values)
    weights = [math.exp(value - highest) for value in values]
    total = sum(weights)
    return [weight / total for weight in weights]
