"""REINFORCE with a baseline: the plain policy gradient on the KL-penalized reward.

Williams 1992 (Machine Learning 8, 229-256). No value model, no clipping: the yardstick for the
methods that add them.
"""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import option, require
from training.algorithms.methods import Method
from training.algorithms.policy.policy_config import PolicyConfig, policy_config_validate


@dataclass(frozen=True, slots=True)
class ReinforceConfig(PolicyConfig):
    learning_rate: float = option(1e-6, "Falls linearly to 0.")
    gamma: float = option(1.0, "Discount per token of the return that follows a token.")
    baseline: Literal["running", "batch", "none"] = option(
        "running",
        "Subtracted from every return: the running mean of the rewards of earlier steps "
        "(unbiased), the mean of this step's (scales the gradient by (B - 1) / B), or nothing.",
    )
    baseline_decay: float = option(
        0.9, "How much of the running mean is kept when a step's mean is added."
    )
    whiten_advantages: bool = option(
        False, "Shift and scale the advantages to mean 0 and variance 1 over the batch's tokens."
    )

    def validate(self) -> None:
        policy_config_validate(self)
        for name in ("gamma", "baseline_decay"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "expected 0 to 1")


METHOD = Method(
    name="reinforce",
    title="REINFORCE",
    stage="policy",
    config=ReinforceConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    optional_inputs={"start": ("start", "policy")},
    data=("prompts",),
    produces="policy",
)
