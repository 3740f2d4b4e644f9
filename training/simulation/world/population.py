"""The people of a world: how reliably each of them says what everybody there wants."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from training.simulation.preference import (
    preference_probability,
    ranking_draw,
    scale_for_agreement,
)


@dataclass(frozen=True, slots=True)
class PopulationOptions:
    num: int = 8
    agreement: float = 0.75
    """Share of pairs on which two of them with neither flips nor spam would agree, on answers of
    the base model. The papers report 0.63 (Anthropic HH) and 0.73 to 0.77 (InstructGPT)."""
    spread: float = 0.2
    """Of the log of a labeler's noise around the population's: some are more careful."""
    flips: float = 0.0
    """Share of judgements that are handed in the wrong way round."""
    spammers: float = 0.0
    """Share of the people who order at random."""


@dataclass(frozen=True, slots=True)
class Labeler:
    name: str
    scale: float
    """Of the logistic noise; see preference_probability."""
    flips: float
    is_spammer: bool

    def rank(self, values: Sequence[float], rng: random.Random) -> list[list[int]]:
        """Groups of places in `values`, best first; a flip turns the whole order around."""
        if self.is_spammer:
            return [[place] for place in rng.sample(range(len(values)), len(values))]
        order = ranking_draw(values, self.scale, rng)
        return order[::-1] if rng.random() < self.flips else order

    def probability(self, value: float, other: float) -> float:
        """P(first preferred) of a pair of answers with these values."""
        if self.is_spammer:
            return 0.5
        clean = preference_probability(value, other, self.scale)
        return clean + self.flips * (1 - 2 * clean)


def population_draw(
    options: PopulationOptions, differences: Sequence[float], seed: int
) -> list[Labeler]:
    """`differences`: of gold values within pairs of the base model's answers.

    Raises ValueError for an agreement outside (0.5, 1).
    """
    rng = random.Random(f"population {seed}")
    scale = scale_for_agreement(differences, options.agreement)
    num_spammers = round(options.num * options.spammers)
    return [
        Labeler(
            name=f"simulated-{number + 1:02}",
            scale=scale * math.exp(rng.gauss(0, options.spread)),
            flips=options.flips,
            is_spammer=number < num_spammers,
        )
        for number in range(options.num)
    ]


def pair_agreement(one: Labeler, other: Labeler, differences: Sequence[float]) -> float:
    """Mean probability that two labelers choose alike: p q + (1 - p)(1 - q)."""
    total = 0.0
    for difference in differences:
        p, q = (labeler.probability(difference, 0.0) for labeler in (one, other))
        total += p * q + (1 - p) * (1 - q)
    return total / len(differences)
