"""RLOO: REINFORCE with the other completions of the prompt as the baseline.

Ahmadian et al. 2024 (arXiv 2402.14740). No value model: the policy alone is trained.
"""

from dataclasses import dataclass

from training.algorithms.configs import option, require_at_least_one, require_positive
from training.algorithms.methods import Method
from training.algorithms.policy.policy_config import (
    PolicyConfig,
    group_config_validate,
    policy_config_validate,
)


@dataclass(frozen=True, slots=True)
class RLOOConfig(PolicyConfig):
    learning_rate: float = option(1e-6, "Falls linearly to 0.")
    batch_size: int = option(
        64, "Completions per step, a multiple of completions_per_prompt (the paper: 512)."
    )
    completions_per_prompt: int = option(4, "k; the baseline is the mean of the k - 1 others.")
    num_epochs: int = option(
        1, "Optimizer steps on each batch; from the second on probability ratios are clipped."
    )
    clip_range: float = option(
        0.2, "How far the probability ratio of a whole completion may move from 1."
    )
    whiten_advantages: bool = option(
        False, "Scale the advantages of the batch to variance 1 (not in the paper)."
    )

    def validate(self) -> None:
        policy_config_validate(self)
        group_config_validate(self)
        require_at_least_one(self, "num_epochs")
        require_positive(self, "clip_range")


METHOD = Method(
    name="rloo",
    title="RLOO",
    stage="policy",
    config=RLOOConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    optional_inputs={"start": ("start", "policy")},
    data=("prompts",),
    produces="policy",
)
