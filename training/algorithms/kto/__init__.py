"""Kahneman-Tversky optimization (Ethayarajh et al. 2024, arXiv 2402.01306)."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_positive,
)
from training.algorithms.engine.learner_config import (
    PolicyLearnerConfig,
    policy_learner_config_validate,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class KTOConfig(PolicyLearnerConfig):
    num_epochs: int = option(1, "Passes over the ratings.")
    learning_rate: float = option(5e-6, "Reached after the warm-up, then constant.")
    warmup_share: float = option(
        0.1, "Share of the steps over which the learning rate rises from 0."
    )
    batch_size: int = option(
        32, "Ratings per optimizer step, at least 2: the baseline is estimated on the batch."
    )
    beta: float = option(0.1, "Strength of the KL penalty: smaller allows larger changes.")
    desirable_weight: float = option(1.0, "Weight of the losses of approved completions.")
    undesirable_weight: float = option(1.0, "Weight of the losses of disapproved completions.")
    micro_batch_tokens: int = option(
        4096,
        "Padded tokens per forward pass: memory and speed, no effect on the result; raise it on a "
        "GPU.",
    )
    max_tokens: int = option(
        1024, "Ratings longer than this, prompt included, are left out and counted."
    )
    min_train_ratings: int = option(8, "Fewer than this, and the run does not start.")

    def validate(self) -> None:
        policy_learner_config_validate(self)
        require_at_least_one(self, "num_epochs", "max_tokens")
        require_positive(self, "beta", "desirable_weight", "undesirable_weight")
        require(0 <= self.warmup_share <= 1, "warmup_share", self.warmup_share, "expected 0 to 1")
        for name in ("batch_size", "min_train_ratings"):
            value = getattr(self, name)
            require(value >= 2, name, value, "expected at least 2: a mismatched pair needs two")


METHOD = Method(
    name="kto",
    title="Kahneman-Tversky optimization",
    stage="policy",
    config=KTOConfig,
    queue="train",
    inputs=("reference",),
    data=("ratings",),
    produces="policy",
)
