"""Sampling completions for people to rank."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class SampleConfig:
    num_completions: int = option(4, "Completions per prompt.")
    temperature: float = option(1.0, "Sampling temperature.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    max_resamples: int = option(
        4, "How often a completion that is empty or repeats another of its prompt is drawn anew."
    )
    batch_rows: int = option(64, "Completions sampled together.")

    def validate(self) -> None:
        require_at_least_one(
            self, "num_completions", "max_new_tokens", "max_prompt_tokens", "batch_rows"
        )
        require_not_negative(self, "max_resamples")
        require_positive(self, "temperature")


METHOD = Method(
    name="sample",
    title="Sample completions",
    stage="sample",
    config=SampleConfig,
    queue="sample",
    inputs=("policy",),
    data=("prompts",),
)
