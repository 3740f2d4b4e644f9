"""Learning from one rollout: advantages, then epochs of minibatches on policy and value model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from training.algorithms.advantages import gae, token_rewards
from training.algorithms.checkpoint_io import device_pick
from training.algorithms.collate import groups_by_length, sequences_collate
from training.algorithms.kl import k1, k3, sequence_kl
from training.algorithms.logprobs import completion_logprobs
from training.algorithms.losses import ppo_policy_loss, ppo_value_loss
from training.algorithms.masking import (
    masked_mean,
    masked_sum,
    masked_variance,
    masked_whiten,
)
from training.algorithms.optimization import optimizer_step
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.rollout import Models, missing_eos_apply
from training.algorithms.records import Rollout
from training.algorithms.scalar_model import token_values
from training.algorithms.seeds import permutation


@dataclass(frozen=True, slots=True)
class Targets:
    """What the update fits. All [B, T], zeros outside the mask, no gradient."""

    rewards: Tensor
    """per-token reward after the KL penalty"""
    advantages: Tensor
    """whitened over the real tokens of the whole batch"""
    returns: Tensor
    """before whitening of the advantages"""


@dataclass(slots=True)
class UpdateTally:
    """Sums over the optimizer steps of one PPO step."""

    num_minibatches: int = 0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    num_tokens: int = 0
    num_clipped: int = 0
    approx_kl: float = 0.0
    first_ratio: float | None = None
    policy_norms: list[float] = field(default_factory=list)
    value_norms: list[float] = field(default_factory=list)


def targets_compute(rollout: Rollout, kl_coefficient: float, config: PPOConfig) -> Targets:
    """Rewards, advantages and returns of a rollout."""
    scores = missing_eos_apply(rollout.scores, rollout.finished, config)
    rewards = token_rewards(
        scores, rollout.logprobs, rollout.reference_logprobs, rollout.lengths, kl_coefficient
    )
    learned = rewards
    if config.whiten_rewards:
        learned = masked_whiten(rewards, rollout.mask, shift_mean=False)
    advantages, returns = gae(learned, rollout.values, rollout.mask, config.gamma, config.lam)
    return Targets(rewards, masked_whiten(advantages, rollout.mask), returns)


def rollout_metrics(rollout: Rollout, targets: Targets) -> dict[str, float]:
    """What the rollout says about the policy that sampled it, before any update."""
    mask = rollout.mask
    kl = sequence_kl(rollout.logprobs, rollout.reference_logprobs, mask)
    kl_k3 = masked_sum(k3(rollout.logprobs, rollout.reference_logprobs), mask, dim=1)
    error = masked_variance(targets.returns - rollout.values, mask)
    spread = masked_variance(targets.returns, mask)
    return {
        "policy/kl_to_reference": float(kl.mean()),
        "policy/kl_to_reference_k3": float(kl_k3.mean()),
        "policy/score": float(rollout.scores.mean()),
        "policy/reward_mean": float(masked_sum(targets.rewards, mask, dim=1).mean()),
        "policy/length_tokens": float(rollout.lengths.float().mean()),
        "policy/missing_eos_share": float((~rollout.finished).float().mean()),
        "policy/entropy": float(masked_mean(rollout.entropies, mask)),
        "ppo/value_mean": float(masked_mean(rollout.values, mask)),
        "ppo/explained_variance": float(1 - error / spread) if float(spread) > 0 else 0.0,
    }


def rollout_learn(
    models: Models,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    rollout: Rollout,
    targets: Targets,
    config: PPOConfig,
    rates: tuple[float, float],
    seed: int,
    step: int,
) -> UpdateTally:
    """Runs the epochs of minibatches; raises LossNotFinite before weights could be spoilt.

    optimizers and rates: of the policy and of the value model. Minibatches are random; within one,
    rows are grouped by length only for the forward passes, and the loss is a mean over all its
    tokens, so grouping does not change the gradient.
    """
    tally = UpdateTally()
    for epoch in range(config.num_epochs):
        order = permutation(len(rollout.prompts), seed, "ppo_minibatches", step, epoch)
        for start in range(0, len(order), config.minibatch_size):
            rows = order[start : start + config.minibatch_size]
            _minibatch_backward(models, rollout, targets, rows, config, tally)
            policy_optimizer, value_optimizer = optimizers
            tally.policy_norms.append(
                optimizer_step(policy_optimizer, rates[0], config.max_grad_norm)
            )
            tally.value_norms.append(
                optimizer_step(value_optimizer, rates[1], config.max_grad_norm)
            )
            tally.num_minibatches += 1
    return tally


def _minibatch_backward(
    models: Models,
    rollout: Rollout,
    targets: Targets,
    rows: Sequence[int],
    config: PPOConfig,
    tally: UpdateTally,
) -> None:
    lengths = [len(rollout.prompts[row]) + len(rollout.completions[row]) for row in rows]
    num_tokens = int(rollout.lengths[list(rows)].sum())
    ratio_sum = 0.0
    for group in groups_by_length(lengths, config.micro_batch_tokens):
        ratio_sum += _group_backward(
            models, rollout, targets, [rows[index] for index in group], num_tokens, config, tally
        )
    if tally.first_ratio is None:
        tally.first_ratio = ratio_sum / num_tokens
    tally.num_tokens += num_tokens


def _group_backward(
    models: Models,
    rollout: Rollout,
    targets: Targets,
    rows: list[int],
    num_tokens: int,
    config: PPOConfig,
    tally: UpdateTally,
) -> float:
    """Adds both gradients of some rows of a minibatch; returns the sum of their token ratios."""
    device = device_pick()
    sequences = sequences_collate(
        [rollout.prompts[row] for row in rows],
        [rollout.completions[row] for row in rows],
        models.pad_id,
        device,
    )
    mask = sequences.completion_mask

    def pick(tensor: Tensor) -> Tensor:
        return tensor[rows, : mask.shape[1]].to(device)

    old_logprobs = pick(rollout.logprobs)
    logprobs = completion_logprobs(models.policy, sequences, config.temperature)
    policy_loss, num_clipped = ppo_policy_loss(
        logprobs, old_logprobs, pick(targets.advantages), mask, config.clip_range, num_tokens
    )
    policy_loss.backward()
    values = token_values(models.value, sequences)
    value_loss = ppo_value_loss(
        values,
        pick(rollout.values),
        pick(targets.returns),
        mask,
        config.value_clip_range,
        num_tokens,
    )
    value_loss.backward()
    tally.policy_loss += float(policy_loss.detach())
    tally.value_loss += float(value_loss.detach())
    tally.num_clipped += int(num_clipped)
    with torch.no_grad():
        # KL of the sampling policy to the one being trained, from samples of the former
        tally.approx_kl += float(masked_sum(k3(old_logprobs, logprobs), mask))
        return float(masked_sum(torch.exp(k1(logprobs, old_logprobs)), mask))


def update_metrics(tally: UpdateTally) -> dict[str, float]:
    """Means over the optimizer steps of one PPO step."""
    count = tally.num_minibatches
    return {
        "ppo/policy_loss": tally.policy_loss / count,
        "ppo/value_loss": tally.value_loss / count,
        "ppo/clip_fraction": tally.num_clipped / tally.num_tokens,
        "ppo/approx_kl": tally.approx_kl / tally.num_tokens,
        "ppo/first_ratio": tally.first_ratio if tally.first_ratio is not None else 1.0,
        "ppo/policy_gradient_norm": sum(tally.policy_norms) / count,
        "ppo/value_gradient_norm": sum(tally.value_norms) / count,
    }
