"""Supervised fine-tuning on demonstrations: the first step of InstructGPT (arXiv 2203.02155)."""

from dataclasses import dataclass

from training.algorithms.configs import option, require_at_least_one
from training.algorithms.learner_config import LearnerConfig, learner_config_validate
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class SFTConfig(LearnerConfig):
    num_epochs: int = option(
        16, "Passes over the demonstrations; the best epoch by validation loss is kept."
    )
    learning_rate: float = option(1e-5, "Peak of the cosine schedule, which ends at a tenth.")
    batch_size: int = option(32, "Demonstrations per optimizer step.")
    max_tokens: int = option(
        1024, "Demonstrations longer than this, prompt included, are left out and counted."
    )
    micro_batch_tokens: int = option(
        8192, "Padded tokens per forward pass: memory only, no effect on the result."
    )
    min_demonstrations: int = option(1, "Fewer than this, and the run does not start.")

    def validate(self) -> None:
        learner_config_validate(self)
        require_at_least_one(self, "num_epochs", "batch_size", "max_tokens", "min_demonstrations")


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
