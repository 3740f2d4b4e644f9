"""Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290)."""

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
class PairConfig(PolicyLearnerConfig):
    """Fields of the methods that learn from all pairs of a ranking: DPO and IPO."""

    num_epochs: int = option(1, "Passes over the rankings.")
    learning_rate: float = option(1e-6, "Reached after the warm-up, then constant.")
    warmup_share: float = option(
        0.1, "Share of the steps over which the learning rate rises from 0 (the paper: 150 steps)."
    )
    batch_size: int = option(64, "Rankings per optimizer step, each with all its pairs.")
    beta: float = option(0.1, "Strength of the KL penalty: smaller allows larger changes.")
    max_chosen_drop: float | None = option(
        None,
        "Halt when the preferred completions of a batch are this many nats less likely on average "
        "than under the reference; none never halts (not in the paper).",
    )
    micro_batch_tokens: int = option(
        4096,
        "Padded tokens per forward pass: memory and speed, no effect on the result; raise it on a "
        "GPU.",
    )
    max_tokens: int = option(
        1024,
        "Rankings with a completion longer than this, prompt included, are left out and counted.",
    )
    min_train_rankings: int = option(8, "Fewer than this, and the run does not start.")


def pair_config_validate(config: PairConfig) -> None:
    """Raises ConfigError for an impossible value."""
    policy_learner_config_validate(config)
    require_at_least_one(config, "num_epochs", "batch_size", "max_tokens", "min_train_rankings")
    require_positive(config, "beta")
    share, drop = config.warmup_share, config.max_chosen_drop
    require(0 <= share <= 1, "warmup_share", share, "expected 0 to 1")
    require(drop is None or drop > 0, "max_chosen_drop", drop, "expected > 0, or none")


@dataclass(frozen=True, slots=True)
class DPOConfig(PairConfig):
    label_smoothing: float = option(
        0.0,
        "Share of preferences taken to be mistaken, below 0.5; a measured disagreement between "
        "people fits (conservative DPO).",
    )

    def validate(self) -> None:
        pair_config_validate(self)
        smoothing = self.label_smoothing
        require(0 <= smoothing < 0.5, "label_smoothing", smoothing, "expected 0 to below 0.5")


METHOD = Method(
    name="dpo",
    title="Direct preference optimization",
    stage="policy",
    config=DPOConfig,
    queue="train",
    inputs=("reference",),
    data=("rankings",),
    produces="policy",
)
