"""Supervised fine-tuning on demonstrations: the first step of InstructGPT (arXiv 2203.02155)."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class SFTConfig:
    num_epochs: int = option(
        16, "Passes over the demonstrations; the best epoch by validation loss is kept."
    )
    learning_rate: float = option(1e-5, "Peak of the cosine schedule, which ends at a tenth.")
    batch_size: int = option(32, "Demonstrations per optimizer step.")
    weight_decay: float = option(0.0, "AdamW weight decay.")
    max_grad_norm: float = option(1.0, "The gradient is clipped to this norm.")
    max_tokens: int = option(
        1024, "Demonstrations longer than this, prompt included, are left out and counted."
    )
    micro_batch_tokens: int = option(
        8192, "Padded tokens per forward pass: memory only, no effect on the result."
    )
    min_demonstrations: int = option(1, "Fewer than this, and the run does not start.")
    save_every_steps: int = option(20, "Optimizer steps between saves of the resume state.")

    def validate(self) -> None:
        require_at_least_one(
            self,
            "num_epochs",
            "batch_size",
            "max_tokens",
            "micro_batch_tokens",
            "min_demonstrations",
            "save_every_steps",
        )
        require_positive(self, "learning_rate", "max_grad_norm")
        require_not_negative(self, "weight_decay")


METHOD = Method(
    name="sft",
    title="Supervised fine-tuning",
    stage="sft",
    config=SFTConfig,
    queue="train",
    inputs=("init",),
    data=("demonstrations",),
    produces="policy",
)
