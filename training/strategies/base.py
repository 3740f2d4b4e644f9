"""What to ask next: a strategy chooses the prompts that a policy answers for ranking."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PromptCandidate:
    id: int
    num_tasks: int
    """Ranking tasks made for the prompt so far."""
    last_asked_round: int | None
    """Number of the latest round whose policy answered it for ranking; None for never."""


@dataclass(frozen=True, slots=True)
class Choice:
    prompt_id: int
    score: float | None
    """What the strategy thought of it, stored with the task."""


class Strategy(Protocol):
    name: str
    title: str

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        """At most `num` different candidates; they come in import order."""
        ...
