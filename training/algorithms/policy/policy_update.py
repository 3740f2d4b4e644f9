"""Learning from a rollout: the gradient of a policy loss, and what the optimizer steps tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.learner import Learner
from training.algorithms.formulas.kl import k1, k3
from training.algorithms.formulas.masking import masked_sum
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.policy.completion_batches import Call, CompletionBatch, batches_make
from training.algorithms.policy.policy_config import RolloutConfig
from training.algorithms.records import Rollout
from training.algorithms.run_dir import Hardware

# A larger difference means that rollout and update disagree about tokens, masks or temperature.
# Eight bits of bfloat16 leave more room for what differs between two layouts of the same batch.
TOLERANCES = {"fp32": 1e-3, "bf16": 5e-2}

TokenLoss = Callable[[Tensor, CompletionBatch], tuple[Tensor, Tensor | int]]
"""(logprobs [b, t], batch) -> the batch's part of the loss, and how many of its terms clipped."""


@dataclass(slots=True)
class UpdateTally:
    """Sums over the optimizer steps made from one rollout."""

    num_updates: int = 0
    num_tokens: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    first_ratio: float = 1.0

    def add(self, sums: Mapping[str, float], num_tokens: int, **others: float) -> None:
        """Of one optimizer step: the sums of policy_accumulate, and further numbers by name."""
        if self.num_updates == 0:
            self.first_ratio = sums["ratio"] / num_tokens
        self.num_updates += 1
        self.num_tokens += num_tokens
        for name, value in {**sums, **others}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def mean(self, name: str) -> float:
        """Over the optimizer steps."""
        return self.sums[name] / self.num_updates

    def metrics(self, method: str, clip_terms: int) -> dict[str, float]:
        """clip_terms: how many terms could have been clipped in all updates together."""
        return {
            f"{method}/policy_loss": self.mean("loss"),
            f"{method}/clip_fraction": self.sums["clipped"] / clip_terms,
            f"{method}/approx_kl": self.sums["approx_kl"] / self.num_tokens,
            f"{method}/first_ratio": self.first_ratio,
            f"{method}/policy_gradient_norm": self.mean("policy_norm"),
        }


def rollout_batches(
    call: Call, rollout: Rollout, rows: Sequence[int], config: RolloutConfig, pad_id: int
) -> list[CompletionBatch]:
    """Micro-batches of some rows of a rollout, for the model behind `call`."""
    return batches_make(
        call, rollout.prompts, rollout.completions, rows, rollout.group_size, pad_id,
        config.micro_batch_tokens,
    )  # fmt: skip


def policy_accumulate(
    policy: Learner,
    rollout: Rollout,
    rows: Sequence[int],
    token_loss: TokenLoss,
    config: RolloutConfig,
    pad_id: int,
) -> dict[str, float]:
    """Adds the gradient of token_loss over rows; returns sums over them.

    "loss"; "clipped", as token_loss counts; "ratio" and "approx_kl", the probability ratios to the
    behavior policy and k3 of KL(behavior || trained), over tokens.
    """

    def loss_of(model: Any, batch: CompletionBatch) -> tuple[Tensor, dict[str, Tensor | float]]:
        logprobs = completion_logprobs(model, batch.sequences, config.temperature)
        loss, num_clipped = token_loss(logprobs, batch)
        with torch.no_grad():
            old = batch.pick(rollout.logprobs)
            ratio = masked_sum(torch.exp(k1(logprobs, old)), batch.mask)
            # The samples are the behavior policy's, so it comes first.
            approx_kl = masked_sum(k3(old, logprobs), batch.mask)
        return loss, {"clipped": num_clipped, "ratio": ratio, "approx_kl": approx_kl}

    return policy.accumulate(rollout_batches(policy.read, rollout, rows, config, pad_id), loss_of)


def policy_learn(
    policy: Learner,
    rollout: Rollout,
    token_loss: TokenLoss,
    config: RolloutConfig,
    num_epochs: int,
    rate: float,
    pad_id: int,
) -> UpdateTally:
    """num_epochs optimizer steps, each on the whole rollout.

    Raises LossNotFinite before weights could be spoilt.
    """
    tally = UpdateTally()
    rows = range(len(rollout.prompts))
    for _ in range(num_epochs):
        sums = policy_accumulate(policy, rollout, rows, token_loss, config, pad_id)
        tally.add(sums, int(rollout.lengths.sum()), policy_norm=policy.step(rate))
    return tally


def self_check(
    step: int,
    metrics: Mapping[str, float],
    first_ratio: float,
    config: RolloutConfig,
    hardware: Hardware,
) -> None:
    """Before its first update a policy has ratio 1 to itself, KL 0 to a reference it began as."""
    kl, tolerance = metrics["policy/kl_to_reference_k3"], TOLERANCES[hardware.precision]
    if step == 0 and config.start == "reference" and kl > tolerance:
        raise RuntimeError(f"KL to the reference is {kl} nats before any update; expected 0")
    if abs(first_ratio - 1.0) > tolerance:
        raise RuntimeError(f"mean ratio is {first_ratio} before the update of step {step}, not 1")
