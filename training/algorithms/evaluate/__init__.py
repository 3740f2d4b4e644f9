"""Measuring the reward model on held-out rankings, and policies on held-out prompts and texts."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    completions_per_prompt: int = option(1, "Completions of each policy for each held-out prompt.")
    best_of_n: int = option(
        0,
        "Completions of the reference per prompt for the best-of-n curve; 0, or fewer than "
        "completions_per_prompt: that many.",
    )
    max_prompts: int = option(256, "The first this many held-out prompts are used.")
    temperature: float = option(1.0, "Sampling temperature, also used for the KL.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    max_tokens: int = option(
        1024,
        "Texts, and rankings with a completion, longer than this, prompt included, are left out "
        "and counted.",
    )
    max_retention_tokens: int = option(
        16384, "Tokens of `texts` on which each policy's loss is measured: the first this many."
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
            "max_retention_tokens",
            "batch_rows",
        )
        require_not_negative(self, "best_of_n")
        require_positive(self, "temperature")


METHOD = Method(
    name="evaluate",
    title="Evaluate",
    stage="evaluate",
    config=EvaluateConfig,
    queue="train",
    # reward_model, test_reward_model, previous and candidate_<step> may be there, too.
    inputs=("policy", "reference"),
    data=("prompts", "rankings", "texts"),
)
