"""Rejection-sampling fine-tuning: sample, keep each prompt's best completion, fine-tune on those.

RAFT: Dong et al. 2023 (arXiv 2304.06767); Llama 2: Touvron et al. 2023 (arXiv 2307.09288), 3.2.3.
"""

from dataclasses import dataclass

from training.algorithms.configs import option, require_at_least_one
from training.algorithms.methods import Method
from training.algorithms.policy.policy_config import (
    RolloutConfig,
    group_config_validate,
    rollout_config_validate,
)


@dataclass(frozen=True, slots=True)
class RejectionSamplingConfig(RolloutConfig):
    learning_rate: float = option(2e-5, "Falls linearly to 0 over the steps.")
    num_steps: int = option(10, "Iterations; each samples, selects and fine-tunes.")
    batch_size: int = option(
        512, "Completions sampled per step, a multiple of completions_per_prompt."
    )
    completions_per_prompt: int = option(8, "n; the best of them is kept (RAFT: 8 to 32).")
    num_epochs: int = option(1, "Passes over the kept completions of a step.")
    learn_batch_size: int = option(32, "Kept completions per optimizer step.")
    save_every_steps: int = option(1, "Steps between saves of the resume state.")

    def validate(self) -> None:
        rollout_config_validate(self)
        group_config_validate(self)
        require_at_least_one(self, "num_epochs", "learn_batch_size")


METHOD = Method(
    name="rejection_sampling",
    title="Rejection sampling",
    stage="policy",
    config=RejectionSamplingConfig,
    queue="train",
    inputs=("reference", "reward_model"),
    optional_inputs={"start": ("start", "policy")},
    data=("prompts",),
    produces="policy",
)
