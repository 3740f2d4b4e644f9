import random
from collections.abc import Sequence

from training.strategies.base import NO_SELECTION, Choice, PromptCandidate, least_asked


class RandomStrategy:
    """Prompts with the fewest tasks first, at random among equals."""

    name = "random"
    title = "Random, least asked first"
    selection = NO_SELECTION
    pool_factor = 1
    needs_ensemble = False

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        return least_asked(candidates, num, rng)


STRATEGY = RandomStrategy()
