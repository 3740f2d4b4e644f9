import random
from collections.abc import Sequence

from training.strategies.base import Choice, PromptCandidate


class RandomStrategy:
    """Prompts with the fewest ranking tasks first, at random among equals."""

    name = "random"
    title = "Random, least asked first"

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        shuffled = rng.sample(list(candidates), len(candidates))
        shuffled.sort(key=lambda candidate: candidate.num_tasks)
        return [Choice(candidate.id, None) for candidate in shuffled[:num]]


STRATEGY = RandomStrategy()
