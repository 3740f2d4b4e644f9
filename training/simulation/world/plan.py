"""What is done in one world, in plain values: its hash names the result."""

import dataclasses
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from training.simulation.world.gold import GoldOptions
from training.simulation.world.language import LanguageOptions
from training.simulation.world.population import PopulationOptions

VERSION = 1
"""Raised when results of the same plan would come out differently: old ones are done anew."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One world: a language, a seed's gold preference and people, and how the loop asks them."""

    seed: int = 1
    num_comparisons: int = 1_000
    """Labels people give in all. A ranking of K answers counts as K (K - 1) / 2 of them."""
    num_rounds: int = 5
    num_completions: int = 4
    """K."""
    overlap: int = 1
    """People who judge each task."""
    strategy: str = "random"
    random_share: float = 0.2
    num_prompts: int = 700
    hard_share: float | None = None
    """Of the prompts, the share about hard topics; none: all topics alike."""
    held_out_percent: int = 10
    test_reward_model: bool = False
    policy_start: str = "reference"
    num_steps: int = 40
    """Of the policy in each round."""
    num_candidates: int = 8
    """Checkpoints of each round whose gold value is measured."""
    num_measured: int = 240
    """Answers of each checkpoint on which gold is measured, to prompts the project never had."""
    kl_coefficients: tuple[float, ...] = ()
    """Of each round; none: that of POLICY."""
    policy: dict[str, Any] = field(default_factory=dict)
    """On top of POLICY."""
    reward_model: dict[str, Any] = field(default_factory=dict)
    """On top of REWARD_MODEL."""
    language: LanguageOptions = field(default_factory=LanguageOptions)
    gold: GoldOptions = field(default_factory=GoldOptions)
    population: PopulationOptions = field(default_factory=PopulationOptions)

    @property
    def pairs_per_ranking(self) -> int:
        return self.num_completions * (self.num_completions - 1) // 2

    def rankings_by_round(self) -> list[int]:
        """Rankings collected before each round; equal totals for equal numbers of comparisons."""
        total = max(1, round(self.num_comparisons / self.pairs_per_ranking))
        bounds = [total * number // self.num_rounds for number in range(self.num_rounds + 1)]
        return [end - start for start, end in itertools.pairwise(bounds)]

    def for_seed(self, seed: int) -> "Plan":
        return dataclasses.replace(self, seed=seed)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def key(self) -> str:
        return content_key({"version": VERSION, "plan": self.as_json()})


def plan_read(document: dict[str, Any]) -> Plan:
    """The plan that `as_json` wrote."""
    values = dict(document)
    values["language"] = LanguageOptions(**values["language"])
    values["gold"] = GoldOptions(**values["gold"])
    values["population"] = PopulationOptions(**values["population"])
    values["kl_coefficients"] = tuple(values["kl_coefficients"])
    return Plan(**values)


def content_key(document: Any) -> str:
    """16 hexadecimal digits that name plain values."""
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# For a model of some ten thousand parameters. docs/log.md has what else was tried.
POLICY: dict[str, Any] = {
    "batch_size": 96,
    "completions_per_prompt": 4,
    "learning_rate": 1e-3,
    "kl_coefficient": 0.02,
    "max_score": None,
    "save_every_steps": 1_000,
}
REWARD_MODEL: dict[str, Any] = {
    "num_epochs": 16,
    "learning_rate": 2e-3,
    "batch_size": 32,
    "gauge": "reference",
    "min_train_rankings": 2,
    "save_every_steps": 1_000,
}
