"""PPO against the reward model with a per-token KL penalty to the SFT policy.

Ziegler et al. 2019 (arXiv 1909.08593) for the algorithm and its defaults; InstructGPT (arXiv
2203.02155) for the value model's start and PPO-ptx. Where both are silent the field says so.
"""

from dataclasses import dataclass

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method
from training.algorithms.policy.policy_config import PolicyConfig, policy_config_validate


@dataclass(frozen=True, slots=True)
class PPOConfig(PolicyConfig):
    batch_size: int = option(64, "Completions per step (the paper: 512).")
    num_epochs: int = option(4, "Passes over each batch of completions.")
    minibatch_size: int = option(32, "Completions per optimizer step.")
    learning_rate: float = option(1e-5, "Policy; falls linearly to 0.")
    value_learning_rate: float = option(1e-5, "Value model; falls linearly to 0.")
    clip_range: float = option(0.2, "How far the probability ratio may move from 1 in one step.")
    value_clip_range: float = option(0.2, "How far a value may move from its old one in one step.")
    gamma: float = option(1.0, "Discount per token.")
    lam: float = option(0.95, "Lambda of generalized advantage estimation.")
    whiten_rewards: bool = option(
        False, "Scale per-token rewards to variance 1 over the batch before estimating advantages."
    )
    kl_coefficient: float = option(0.15, "Weight of the KL penalty at the start (beta).")
    kl_target: float | None = option(
        6.0, "KL to steer to: nats summed over a completion. None keeps kl_coefficient fixed."
    )
    ptx_coefficient: float = option(
        0.0,
        "PPO-ptx: weight of the mean next-token loss on `texts`, or on the demonstrations where "
        "there are none (InstructGPT: 27.8). 0 leaves it out.",
    )
    ptx_batch_size: int = option(
        256,
        "Texts per optimizer step of the policy (InstructGPT: 8 for every completion of it).",
    )
    ptx_max_tokens: int = option(1024, "Longer texts are left out and counted.")

    def validate(self) -> None:
        policy_config_validate(self)
        require_at_least_one(
            self, "num_epochs", "minibatch_size", "ptx_batch_size", "ptx_max_tokens"
        )
        require_positive(self, "value_learning_rate", "clip_range", "value_clip_range")
        require_not_negative(self, "ptx_coefficient")
        for name in ("gamma", "lam"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "expected 0 to 1")
        require(
            self.minibatch_size <= self.batch_size,
            "minibatch_size",
            self.minibatch_size,
            f"expected at most batch_size = {self.batch_size}",
        )
        require(
            self.minibatch_size % self.completions_per_prompt == 0,
            "minibatch_size",
            self.minibatch_size,
            f"expected a multiple of completions_per_prompt = {self.completions_per_prompt}",
        )


METHOD = Method(
    name="ppo",
    title="PPO",
    stage="policy",
    config=PPOConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    optional_inputs={"start": ("start", "policy")},
    data=("prompts", "demonstrations", "texts"),
    produces="policy",
)
