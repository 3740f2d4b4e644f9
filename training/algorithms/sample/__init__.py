"""Sampling completions for people to rank."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method
from training.algorithms.sampling.server_generator import server_fields_check


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
    server_url: str | None = option(
        None,
        "Address without /v1 of an OpenAI-compatible server that samples instead of this process; "
        "it must serve exactly the policy's checkpoint, and the machine's owner must have listed "
        "it in PREFERENDUM_GENERATOR_URLS.",
    )
    server_model: str | None = option(
        None, "The server's name for the checkpoint; may be left out when it serves one model."
    )

    def validate(self) -> None:
        require_at_least_one(
            self, "num_completions", "max_new_tokens", "max_prompt_tokens", "batch_rows"
        )
        require_not_negative(self, "max_resamples")
        require_positive(self, "temperature")
        server_fields_check(self.server_url, self.server_model)


METHOD = Method(
    name="sample",
    title="Sample completions",
    stage="sample",
    config=SampleConfig,
    queue="sample",
    inputs=("policy",),
    data=("prompts",),
)
