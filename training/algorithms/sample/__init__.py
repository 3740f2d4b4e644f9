"""Sampling completions for people to rank."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method
from training.algorithms.sampling.server_generator import server_fields_check


@dataclass(frozen=True, slots=True)
class SampleConfig:
    num_completions: int = option(4, "Completions per prompt.")
    num_candidates: int = option(
        0, "Completions drawn per prompt, of which `selection` shows some; 0: num_completions."
    )
    selection: Literal["none", "disagreement", "thompson", "top_two"] = option(
        "none",
        "What chooses prompts and completions from those drawn, by the reward model's ensemble "
        "(docs/asking.md); none: all are shown.",
    )
    num_prompts: int = option(0, "Prompts that `selection` chooses; 0: all.")
    random_share: float = option(
        0.0, "Share of the train prompts that chance chooses instead of `selection`."
    )
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
        require_not_negative(self, "max_resamples", "num_candidates", "num_prompts", "random_share")
        require(self.random_share <= 1, "random_share", self.random_share, "expected at most 1")
        require(
            self.num_drawn >= self.num_completions
            and (self.selection != "none" or self.num_drawn == self.num_completions),
            "num_candidates",
            self.num_candidates,
            f"expected 0 or num_completions = {self.num_completions}, more only with a selection",
        )
        require(
            self.selection == "none" or self.num_completions >= 2,
            "num_completions",
            self.num_completions,
            f"expected at least 2 to compare with selection = {self.selection!r}",
        )
        require_positive(self, "temperature")
        server_fields_check(self.server_url, self.server_model)

    @property
    def num_drawn(self) -> int:
        """Candidates per prompt."""
        return self.num_candidates or self.num_completions


# Besides the policy it reads the roles that its prompts name and, with a selection, a reward_model.
METHOD = Method(
    name="sample",
    title="Sample completions",
    stage="sample",
    config=SampleConfig,
    queue="sample",
    inputs=("policy",),
    data=("prompts",),
)
