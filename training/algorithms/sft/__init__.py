"""Supervised fine-tuning on demonstrations: the first step of InstructGPT (arXiv 2203.02155)."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import option, require_at_least_one
from training.algorithms.engine.learner_config import LearnerConfig, learner_config_validate
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class SFTConfig(LearnerConfig):
    num_epochs: int = option(16, "Passes over the demonstrations; see keep.")
    learning_rate: float = option(1e-5, "Peak of the cosine schedule, which ends at a tenth.")
    batch_size: int = option(32, "Demonstrations per optimizer step.")
    loss_on: Literal["completion", "assistant_turns"] = option(
        "completion",
        "Learn the demonstrated completion alone, or the assistant's earlier turns in its prompt "
        "as well.",
    )
    keep: Literal["validation_loss", "reward", "last"] = option(
        "validation_loss",
        "Which epoch is the output: the lowest held-out loss; the highest mean score that the "
        "input reward_model gives to samples for held-out prompts (InstructGPT); or the last.",
    )
    keep_samples: int = option(1, "With keep = reward: samples per held-out prompt, each epoch.")
    max_new_tokens: int = option(256, "With keep = reward: longest sample.")
    max_tokens: int = option(
        1024, "Demonstrations longer than this, prompt included, are left out and counted."
    )
    micro_batch_tokens: int = option(
        2048,
        "Padded tokens per forward pass: memory and speed, no effect on the result. A CPU is "
        "fastest at about 2000; raise it on a GPU.",
    )
    packing: bool = option(
        False,
        "Several demonstrations to a row, none of which sees another: fewer pads, no effect on the "
        "result.",
    )
    pack_tokens: int = option(1024, "With packing: tokens of a row.")
    min_demonstrations: int = option(1, "Fewer than this, and the run does not start.")

    def validate(self) -> None:
        learner_config_validate(self)
        require_at_least_one(
            self,
            "num_epochs",
            "batch_size",
            "keep_samples",
            "max_new_tokens",
            "max_tokens",
            "pack_tokens",
            "min_demonstrations",
        )


METHOD = Method(
    name="sft",
    title="Supervised fine-tuning",
    stage="sft",
    config=SFTConfig,
    queue="train",
    inputs=("init",),
    optional_inputs={"reward_model": ("keep", "reward")},
    data=("demonstrations",),
    produces="policy",
)
