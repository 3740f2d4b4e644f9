"""Hyperparameters of the methods that sample, score and learn. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.engine.learner_config import (
    PolicyLearnerConfig,
    policy_learner_config_validate,
)


@dataclass(frozen=True, slots=True)
class RolloutConfig(PolicyLearnerConfig):
    """Fields of every method that draws completions and scores them."""

    start: Literal["reference", "policy"] = option(
        "reference", "What the policy begins as: the reference, or an earlier policy (start)."
    )
    save_every_steps: int = option(10, "Steps between saves of the resume state.")
    num_steps: int = option(100, "Steps; each samples batch_size completions and learns.")
    batch_size: int = option(64, "Completions per step.")
    completions_per_prompt: int = option(
        1, "Completions sampled of each prompt in a step; batch_size must be a multiple of it."
    )
    temperature: float = option(1.0, "Sampling temperature, also used for every log-probability.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    missing_eos: Literal["subtract", "replace"] = option(
        "subtract",
        "For a completion cut at max_new_tokens: subtract missing_eos_penalty from its score, or "
        "replace the score by -missing_eos_penalty.",
    )
    missing_eos_penalty: float = option(1.0, "In units of the reward model's score.")
    min_prompts: int = option(1, "Fewer training prompts than this, and the run does not start.")
    max_kl: float = option(
        100.0, "The run halts when the mean KL to the reference exceeds this many nats."
    )
    max_score: float | None = option(
        20.0,
        "The run halts when the mean score exceeds this: demonstrations score 0, and 20 nats above "
        "them no reward model has seen anything. None: never.",
    )

    @property
    def num_prompts(self) -> int:
        """Prompts per step."""
        return self.batch_size // self.completions_per_prompt


@dataclass(frozen=True, slots=True)
class PolicyConfig(RolloutConfig):
    """Fields of the methods that hold the policy to a reference by a KL penalty."""

    kl_coefficient: float = option(0.05, "Weight of the KL penalty at the start (beta).")
    kl_target: float | None = option(
        None, "KL to steer to: nats summed over a completion. None keeps kl_coefficient fixed."
    )
    kl_horizon: int = option(
        10_000, "Episodes over which the coefficient adapts; smaller is faster."
    )


def rollout_config_validate(config: RolloutConfig) -> None:
    """Raises ConfigError for an impossible value of the fields of RolloutConfig."""
    policy_learner_config_validate(config)
    require_at_least_one(
        config,
        "num_steps",
        "batch_size",
        "completions_per_prompt",
        "max_new_tokens",
        "max_prompt_tokens",
        "min_prompts",
    )
    require_positive(config, "temperature", "max_kl")
    require_not_negative(config, "missing_eos_penalty")
    require(
        config.batch_size % config.completions_per_prompt == 0,
        "batch_size",
        config.batch_size,
        f"expected a multiple of completions_per_prompt = {config.completions_per_prompt}",
    )


def policy_config_validate(config: PolicyConfig) -> None:
    """Raises ConfigError for an impossible value of the fields of PolicyConfig."""
    rollout_config_validate(config)
    require_at_least_one(config, "kl_horizon")
    require_not_negative(config, "kl_coefficient")
    target = config.kl_target
    require(target is None or target > 0, "kl_target", target, "expected > 0, or none")


def group_config_validate(config: RolloutConfig) -> None:
    """Raises ConfigError when the completions of a prompt cannot be compared with each other."""
    count = config.completions_per_prompt
    require(count >= 2, "completions_per_prompt", count, "expected at least 2 to compare")
