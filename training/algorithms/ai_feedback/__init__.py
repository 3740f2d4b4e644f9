"""An AI labeler compares two completions by written principles: soft labels, order swapped."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
)
from training.algorithms.methods import Method
from training.algorithms.sampling.server_generator import server_fields_check


@dataclass(frozen=True, slots=True)
class AIFeedbackConfig:
    principles_per_pair: int = option(
        0, "Principles drawn for each pair by the seed; 0 asks all of them."
    )
    clamp_low: float = option(0.0, "Least probability a label may have.")
    clamp_high: float = option(
        1.0, "Greatest probability a label may have; CAI uses 0.4 to 0.6 for labelers that reason."
    )
    max_tokens: int = option(2048, "Longest question; pairs that make a longer one are left out.")
    batch_pairs: int = option(16, "Pairs judged between two saves.")
    micro_batch_tokens: int = option(8192, "Tokens in one forward pass of a local judge.")
    server_url: str | None = option(
        None,
        "Address without /v1 of an OpenAI-compatible server that judges instead of a checkpoint; "
        "the machine's owner must have listed it in PREFERENDUM_GENERATOR_URLS.",
    )
    server_model: str | None = option(
        None, "The server's name for the judge; may be left out when it serves one model."
    )

    def validate(self) -> None:
        require_not_negative(self, "principles_per_pair")
        require_at_least_one(self, "max_tokens", "batch_pairs", "micro_batch_tokens")
        low, high = self.clamp_low, self.clamp_high
        require(0 <= low <= 0.5, "clamp_low", low, "expected 0 to 0.5")
        require(0.5 <= high <= 1, "clamp_high", high, "expected 0.5 to 1")
        server_fields_check(self.server_url, self.server_model)


METHOD = Method(
    name="ai_feedback",
    title="AI feedback",
    stage="feedback",
    config=AIFeedbackConfig,
    queue="sample",
    optional_inputs={"judge": ("server_url", None)},
    data=("pairs", "principles"),
)
