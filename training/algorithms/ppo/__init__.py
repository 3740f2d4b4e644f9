"""PPO against the reward model with a per-token KL penalty to the SFT policy.

Ziegler et al. 2019 (arXiv 1909.08593) for the algorithm and its defaults; InstructGPT (arXiv
2203.02155) for the value model's start. Where both are silent the field says so.
"""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import (
    option,
    require,
    require_at_least_one,
    require_not_negative,
    require_positive,
)
from training.algorithms.methods import Method


@dataclass(frozen=True, slots=True)
class PPOConfig:
    num_steps: int = option(100, "PPO steps; each samples batch_size completions and learns.")
    batch_size: int = option(64, "Completions per step (the paper: 512).")
    num_epochs: int = option(4, "Passes over each batch of completions.")
    minibatch_size: int = option(32, "Completions per optimizer step.")
    learning_rate: float = option(1e-5, "Policy; falls linearly to 0.")
    value_learning_rate: float = option(1e-5, "Value model; falls linearly to 0.")
    max_grad_norm: float = option(1.0, "Each model's gradient is clipped to this norm.")
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
    kl_horizon: int = option(
        10_000, "Episodes over which the coefficient adapts; smaller is faster."
    )
    max_kl: float = option(
        100.0, "Stop when the mean KL to the reference exceeds this many nats (not in the paper)."
    )
    temperature: float = option(1.0, "Sampling temperature, also used for every log-probability.")
    max_new_tokens: int = option(256, "Longest completion; a prompt must leave room for it.")
    missing_eos: Literal["subtract", "replace"] = option(
        "subtract",
        "For a completion cut at max_new_tokens: subtract missing_eos_penalty from its score, or "
        "replace the score by -missing_eos_penalty.",
    )
    missing_eos_penalty: float = option(1.0, "In units of the reward model's score.")
    max_prompt_tokens: int = option(512, "Longer prompts are left out and counted.")
    micro_batch_tokens: int = option(
        16384, "Padded tokens per forward pass: memory only, no effect on the result."
    )
    min_prompts: int = option(1, "Fewer training prompts than this, and the run does not start.")
    save_every_steps: int = option(10, "PPO steps between saves of the resume state.")

    def validate(self) -> None:
        require_at_least_one(
            self,
            "num_steps",
            "batch_size",
            "num_epochs",
            "minibatch_size",
            "kl_horizon",
            "max_new_tokens",
            "max_prompt_tokens",
            "micro_batch_tokens",
            "min_prompts",
            "save_every_steps",
        )
        require_positive(
            self,
            "learning_rate",
            "value_learning_rate",
            "max_grad_norm",
            "clip_range",
            "value_clip_range",
            "temperature",
            "max_kl",
        )
        for name in ("gamma", "lam"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "expected 0 to 1")
        require_not_negative(self, "kl_coefficient", "missing_eos_penalty")
        target = self.kl_target
        require(target is None or target > 0, "kl_target", target, "expected > 0, or none")
        require(
            self.minibatch_size <= self.batch_size,
            "minibatch_size",
            self.minibatch_size,
            f"expected at most batch_size = {self.batch_size}",
        )


METHOD = Method(
    name="ppo",
    title="PPO",
    stage="policy",
    config=PPOConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    data=("prompts",),
    produces="policy",
)
