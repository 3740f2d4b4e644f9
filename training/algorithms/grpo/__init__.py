"""GRPO: advantages normalized within the completions of a prompt, KL in the loss.

Shao et al. 2024, DeepSeekMath (arXiv 2402.03300). No value model: the policy alone is trained.
"""

from dataclasses import dataclass
from typing import Literal

from training.algorithms.configs import option, require_at_least_one, require_positive
from training.algorithms.methods import Method
from training.algorithms.policy.policy_config import (
    PolicyConfig,
    group_config_validate,
    policy_config_validate,
)


@dataclass(frozen=True, slots=True)
class GRPOConfig(PolicyConfig):
    learning_rate: float = option(1e-6, "Falls linearly to 0.")
    batch_size: int = option(
        64, "Completions per step, a multiple of completions_per_prompt (the paper: 1024)."
    )
    completions_per_prompt: int = option(8, "G, the size of the group (the paper: 64).")
    num_epochs: int = option(
        1, "Optimizer steps on each batch; from the second on probability ratios are clipped."
    )
    clip_range: float = option(0.2, "How far the probability ratio of a token may move from 1.")
    kl_coefficient: float = option(
        0.04, "Weight of the k3 estimate of the KL in each token's loss (beta)."
    )
    advantage_scale: Literal["group", "batch", "none"] = option(
        "group",
        "What scores minus their prompt's mean are divided by: the standard deviation of the "
        "prompt's own scores (the paper), one for the whole batch (gentler where the reward model "
        "hardly separates a prompt's completions), or nothing.",
    )
    loss_mean: Literal["completions", "tokens"] = option(
        "completions",
        "Mean over the tokens of each completion, then over completions (the paper); or over all "
        "tokens of the batch alike.",
    )

    def validate(self) -> None:
        policy_config_validate(self)
        group_config_validate(self)
        require_at_least_one(self, "num_epochs")
        require_positive(self, "clip_range")


METHOD = Method(
    name="grpo",
    title="GRPO",
    stage="policy",
    config=GRPOConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    optional_inputs={"start": ("start", "policy")},
    data=("prompts",),
    produces="policy",
)
