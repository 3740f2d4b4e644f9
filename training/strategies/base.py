"""What to ask next: a strategy chooses the prompts that policies answer, and what of it is shown.

An active one draws a pool of more prompts and answers than people will see; the sampling run then
applies the strategy's `selection` by the reward model's ensemble (docs/asking.md).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NO_SELECTION = "none"


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
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def selection(self) -> str:
        """SampleConfig.selection, "none" for a strategy that chooses prompts only."""
        ...

    @property
    def pool_factor(self) -> int:
        """Prompts to draw for each one that people will be asked about."""
        ...

    @property
    def needs_ensemble(self) -> bool:
        """Whether its selection reads the reward model's ensemble of heads."""
        ...

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        """At most `num` different candidates; they come in import order."""
        ...


def least_asked(
    candidates: Sequence[PromptCandidate], num: int, rng: random.Random
) -> list[Choice]:
    """Prompts with the fewest tasks first, at random among equals."""
    shuffled = rng.sample(list(candidates), len(candidates))
    shuffled.sort(key=lambda candidate: candidate.num_tasks)
    return [Choice(candidate.id, None) for candidate in shuffled[:num]]


@dataclass(frozen=True, slots=True)
class ActiveStrategy:
    """Draws a pool at random, least asked first, from which its selection takes what to show."""

    name: str
    """Also that of its selection."""
    title: str
    needs_ensemble: bool = True
    pool_factor: int = 3

    @property
    def selection(self) -> str:
        return self.name

    def choose(
        self, candidates: Sequence[PromptCandidate], num: int, rng: random.Random
    ) -> list[Choice]:
        return least_asked(candidates, num, rng)
