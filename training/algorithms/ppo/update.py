"""Learning from one rollout: advantages, then epochs of minibatches on policy and value model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from training.algorithms.engine.learner import Learner
from training.algorithms.formulas.advantages import gae, token_rewards
from training.algorithms.formulas.masking import masked_mean, masked_variance, masked_whiten
from training.algorithms.formulas.policy_losses import ppo_policy_loss, ppo_value_loss
from training.algorithms.models.scalar_model import token_values
from training.algorithms.policy.completion_batches import CompletionBatch, batches_measure
from training.algorithms.policy.policy_update import UpdateTally, policy_accumulate, rollout_batches
from training.algorithms.policy.rollouts import penalized_scores
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.pretraining import texts_accumulate, texts_pick
from training.algorithms.records import Demonstration, Rollout, Sequences
from training.algorithms.seeds import permutation


@dataclass(frozen=True, slots=True)
class Targets:
    """What the update fits. All [B, T], zeros outside the mask, no gradient."""

    rewards: Tensor
    """per-token reward after the KL penalty"""
    values: Tensor
    """V before each completion token was chosen, of the value model before the update"""
    advantages: Tensor
    """whitened over the real tokens of the whole batch"""
    returns: Tensor
    """before whitening of the advantages"""


def values_measure(value: Learner, rollout: Rollout, config: PPOConfig, pad_id: int) -> Tensor:
    """The value model's values [B, T] of a rollout."""

    def measure(model: Any, sequences: Sequences) -> tuple[Tensor, ...]:
        return (token_values(model, sequences),)

    batches = rollout_batches(value.read, rollout, range(len(rollout.prompts)), config, pad_id)
    (values,) = batches_measure(value.read, measure, batches, value.is_sharded)
    return values


def targets_compute(
    rollout: Rollout, values: Tensor, kl_coefficient: float, config: PPOConfig
) -> Targets:
    """Rewards, advantages and returns of a rollout."""
    scores = penalized_scores(rollout, config)
    rewards = token_rewards(
        scores, rollout.logprobs, rollout.reference_logprobs, rollout.lengths, kl_coefficient
    )
    learned = rewards
    if config.whiten_rewards:
        learned = masked_whiten(rewards, rollout.mask, shift_mean=False)
    advantages, returns = gae(learned, values, rollout.mask, config.gamma, config.lam)
    return Targets(rewards, values, masked_whiten(advantages, rollout.mask), returns)


def value_metrics(rollout: Rollout, targets: Targets) -> dict[str, float]:
    """How well the value model knew the returns, before any update."""
    error = masked_variance(targets.returns - targets.values, rollout.mask)
    spread = masked_variance(targets.returns, rollout.mask)
    return {
        "ppo/value_mean": float(masked_mean(targets.values, rollout.mask)),
        "ppo/explained_variance": float(1 - error / spread) if float(spread) > 0 else 0.0,
    }


def rollout_learn(
    policy: Learner,
    value: Learner,
    rollout: Rollout,
    targets: Targets,
    texts: Sequence[Demonstration],
    config: PPOConfig,
    rates: tuple[float, float],
    seed: int,
    step: int,
    pad_id: int,
) -> UpdateTally:
    """Runs the epochs of minibatches; raises LossNotFinite before weights could be spoilt.

    rates: of the policy and of the value model. Minibatches are random, of whole prompts; within
    one, rows are grouped by length only for the forward passes, and the loss is a mean over all its
    tokens, so grouping does not change the gradient.
    """
    tally = UpdateTally()
    minibatches = minibatches_draw(len(rollout.prompts), rollout.group_size, config, seed, step)
    for index, rows in enumerate(minibatches):
        sums = policy_minibatch(policy, rollout, targets, rows, config, pad_id)
        others = {"value_loss": value_minibatch(value, rollout, targets, rows, config, pad_id)}
        if texts:
            batch = texts_pick(texts, step * len(minibatches) + index, config, seed)
            others["ptx_loss"] = texts_accumulate(policy, batch, config, pad_id)
        others["policy_norm"] = policy.step(rates[0])
        others["value_norm"] = value.step(rates[1])
        tally.add(sums, int(rollout.lengths[rows].sum()), **others)
    return tally


def minibatches_draw(
    num_rows: int, group_size: int, config: PPOConfig, seed: int, step: int
) -> list[list[int]]:
    """The rows of every optimizer step of one PPO step: epochs of random whole groups."""
    size = config.minibatch_size // group_size
    minibatches = []
    for epoch in range(config.num_epochs):
        order = permutation(num_rows // group_size, seed, "ppo_minibatches", step, epoch)
        for start in range(0, len(order), size):
            groups = order[start : start + size]
            minibatches.append(
                [group * group_size + k for group in groups for k in range(group_size)]
            )
    return minibatches


def policy_minibatch(
    policy: Learner,
    rollout: Rollout,
    targets: Targets,
    rows: list[int],
    config: PPOConfig,
    pad_id: int,
) -> dict[str, float]:
    """Adds the policy's gradient of one minibatch; see policy_accumulate."""
    num_tokens = int(rollout.lengths[rows].sum())

    def token_loss(logprobs: Tensor, batch: CompletionBatch) -> tuple[Tensor, Tensor]:
        old, advantages = batch.pick(rollout.logprobs), batch.pick(targets.advantages)
        return ppo_policy_loss(logprobs, old, advantages, batch.mask, config.clip_range, num_tokens)

    return policy_accumulate(policy, rollout, rows, token_loss, config, pad_id)


def value_minibatch(
    value: Learner,
    rollout: Rollout,
    targets: Targets,
    rows: list[int],
    config: PPOConfig,
    pad_id: int,
) -> float:
    """Adds the value model's gradient of one minibatch; returns its loss."""
    num_tokens = int(rollout.lengths[rows].sum())

    def loss_of(model: Any, batch: CompletionBatch) -> tuple[Tensor, dict[str, Tensor | float]]:
        values = token_values(model, batch.sequences)
        old, returns = batch.pick(targets.values), batch.pick(targets.returns)
        loss = ppo_value_loss(values, old, returns, batch.mask, config.value_clip_range, num_tokens)
        return loss, {}

    return value.accumulate(rollout_batches(value.read, rollout, rows, config, pad_id), loss_of)[
        "loss"
    ]


def update_metrics(tally: UpdateTally) -> dict[str, float]:
    """Means over the optimizer steps of one PPO step."""
    metrics = tally.metrics("ppo", tally.num_tokens) | {
        "ppo/value_loss": tally.mean("value_loss"),
        "ppo/value_gradient_norm": tally.mean("value_norm"),
    }
    if "ptx_loss" in tally.sums:
        metrics["ppo/ptx_loss"] = tally.mean("ptx_loss")
    return metrics
