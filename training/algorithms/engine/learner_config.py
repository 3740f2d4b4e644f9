"""Hyperparameters that every training method has. Torch-free."""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require_at_least_one,
    require_not_negative,
    require_positive,
)


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """Fields that every training method has; methods add theirs and set their own defaults."""

    learning_rate: float = option(1e-5, "Peak of the schedule.")
    weight_decay: float = option(0.0, "AdamW weight decay.")
    max_grad_norm: float = option(1.0, "The gradient is clipped to this norm.")
    micro_batch_tokens: int = option(
        16384, "Padded tokens per forward pass: memory only, no effect on the result."
    )
    gradient_checkpointing: bool = option(
        False, "Recompute activations in the backward pass: less memory, about a third slower."
    )
    lora_rank: int = option(0, "Rank of a LoRA adapter on every linear layer; 0 trains all.")
    lora_alpha: float = option(16.0, "The adapter's output is scaled by lora_alpha / lora_rank.")
    save_every_steps: int = option(20, "Optimizer steps between saves of the resume state.")


def learner_config_validate(config: LearnerConfig) -> None:
    """Raises ConfigError for an impossible value of the common fields."""
    require_positive(config, "learning_rate", "max_grad_norm", "lora_alpha")
    require_not_negative(config, "weight_decay", "lora_rank")
    require_at_least_one(config, "micro_batch_tokens", "save_every_steps")


@dataclass(frozen=True, slots=True)
class PolicyLearnerConfig(LearnerConfig):
    """Fields of every method that trains a policy on preferences, with a reward model or not."""

    num_candidates: int = option(
        1,
        "Checkpoints kept along the run, evenly spaced over its steps, the last one included; an "
        "evaluation can choose among them.",
    )


def policy_learner_config_validate(config: PolicyLearnerConfig) -> None:
    """Raises ConfigError for an impossible value of the fields of PolicyLearnerConfig."""
    learner_config_validate(config)
    require_at_least_one(config, "num_candidates")
