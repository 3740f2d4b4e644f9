"""The reward model: a scalar fitted to people's rankings (InstructGPT, arXiv 2203.02155, 3.5)."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class RewardModelConfig:
    num_epochs: int = option(1, "Passes over the rankings; InstructGPT overfits after one.")
    learning_rate: float = option(9e-6, "Peak of the cosine schedule, which ends at a tenth.")
    batch_size: int = option(64, "Rankings per optimizer step, each with all its pairs.")
    weight_decay: float = option(0.0, "AdamW weight decay.")
    max_grad_norm: float = option(1.0, "The gradient is clipped to this norm.")
    max_tokens: int = option(
        1024,
        "Rankings with a completion longer than this, prompt included, are left out and counted.",
    )
    micro_batch_tokens: int = option(
        16384, "Padded tokens per forward pass: memory only, no effect on the result."
    )
    min_train_rankings: int = option(8, "Fewer than this, and the run does not start.")
    save_every_steps: int = option(20, "Optimizer steps between saves of the resume state.")

    def validate(self) -> None:
        require_at_least_one(
            self,
            "num_epochs",
            "batch_size",
            "max_tokens",
            "micro_batch_tokens",
            "min_train_rankings",
            "save_every_steps",
        )
        require_positive(self, "learning_rate", "max_grad_norm")
        require_not_negative(self, "weight_decay")


METHOD = Method(
    name="reward_model",
    title="Reward model",
    stage="reward_model",
    config=RewardModelConfig,
    queue="train",
    inputs=("init",),
    data=("rankings", "demonstrations"),
    produces="reward_model",
)
