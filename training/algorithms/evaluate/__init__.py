"""Measuring the reward model on held-out rankings, and the policy on held-out prompts."""

from dataclasses import dataclass

from training.algorithms.configs import option, require_at_least_one, require_positive
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    completions_per_prompt: int = option(1, "Completions of each policy for each held-out prompt.")
    max_prompts: int = option(256, "The first this many held-out prompts are used.")
    temperature: float = option(1.0, "Sampling temperature, also used for the KL.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    max_tokens: int = option(
        1024,
        "Rankings with a completion longer than this, prompt included, are left out and counted.",
    )
    batch_rows: int = option(64, "Completions sampled together.")

    def validate(self) -> None:
        require_at_least_one(
            self,
            "completions_per_prompt",
            "max_prompts",
            "max_new_tokens",
            "max_prompt_tokens",
            "max_tokens",
            "batch_rows",
        )
        require_positive(self, "temperature")


METHOD = Method(
    name="evaluate",
    title="Evaluate",
    stage="evaluate",
    config=EvaluateConfig,
    queue="train",
    inputs=("policy", "reference", "reward_model"),
    data=("prompts", "rankings"),
)
