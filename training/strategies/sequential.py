import random
from collections.abc import Sequence

from training.strategies.base import Choice, PromptCandidate


class SequentialStrategy:
    """Prompts in the order of their import, beginning again when all were asked."""

    name = "sequential"
    title = "In the order of import"

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        ordered = sorted(candidates, key=lambda candidate: candidate.num_tasks)
        return [Choice(candidate.id, None) for candidate in ordered[:num]]


STRATEGY = SequentialStrategy()
