"""Sampling completions for people to rank."""

from dataclasses import dataclass

from training.algorithms.configs import option, require
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
        for name in ("num_completions", "max_new_tokens", "max_prompt_tokens", "batch_rows"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "expected at least 1")
        require(self.max_resamples >= 0, "max_resamples", self.max_resamples, "expected >= 0")
        require(self.temperature > 0, "temperature", self.temperature, "expected > 0")


METHOD = Method(
    name="sample",
    title="Sample completions",
    stage="sample",
    config=SampleConfig,
    queue="sample",
    inputs=("policy",),
    data=("prompts",),
)
