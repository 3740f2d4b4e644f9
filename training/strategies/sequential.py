import random
from collections.abc import Sequence

from training.strategies.base import NO_SELECTION, Choice, PromptCandidate


class SequentialStrategy:
    """Prompts in the order of their import, beginning again when all were asked."""

    name = "sequential"
    title = "In the order of import"
    selection = NO_SELECTION
    pool_factor = 1
    needs_ensemble = False

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        ordered = sorted(candidates, key=lambda candidate: candidate.num_tasks)
        return [Choice(candidate.id, None) for candidate in ordered[:num]]


STRATEGY = SequentialStrategy()
