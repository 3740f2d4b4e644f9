"""The best of n samples by a reward model: what optimizing could gain, without training."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method
from training.algorithms.sampling.server_generator import server_fields_check


@dataclass(frozen=True, slots=True)
class BestOfNConfig:
    num_samples: int = option(16, "Completions drawn for each one kept (n): the best of them.")
    completions_per_prompt: int = option(
        1, "Completions kept per prompt, each the best of its own n; people can rank several."
    )
    max_resamples: int = option(
        4,
        "Of several completions per prompt: how often one that is empty or repeats another of its "
        "prompt is chosen anew, among n new samples.",
    )
    split: Literal["all", "train", "held_out"] = option("all", "Which prompts are answered.")
    temperature: float = option(1.0, "Sampling temperature.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    batch_rows: int = option(64, "Completions sampled together.")
    server_url: str | None = option(
        None, "Address of a server that samples instead of this process, as in `sample`."
    )
    server_model: str | None = option(
        None, "The server's name for the checkpoint; may be left out when it serves one model."
    )

    def validate(self) -> None:
        require_at_least_one(
            self,
            "num_samples",
            "completions_per_prompt",
            "max_new_tokens",
            "max_prompt_tokens",
            "batch_rows",
        )
        require_not_negative(self, "max_resamples")
        require_positive(self, "temperature")
        server_fields_check(self.server_url, self.server_model)


METHOD = Method(
    name="best_of_n",
    title="Best of n samples",
    stage="select",
    config=BestOfNConfig,
    queue="sample",
    inputs=("policy", "reward_model"),
    data=("prompts",),
)
