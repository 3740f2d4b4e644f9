"""Supervised fine-tuning on demonstrations: the first step of InstructGPT (arXiv 2203.02155)."""

from dataclasses import dataclass

from training.algorithms.configs import option, require
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
        for name in (
            "num_epochs",
            "batch_size",
            "max_tokens",
            "micro_batch_tokens",
            "min_demonstrations",
            "save_every_steps",
        ):
            require(getattr(self, name) >= 1, name, getattr(self, name), "expected at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "expected > 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "expected >= 0")
        require(self.max_grad_norm > 0, "max_grad_norm", self.max_grad_norm, "expected > 0")


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
