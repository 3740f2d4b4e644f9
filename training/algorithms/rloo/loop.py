"""RLOO: k completions per prompt, each measured against the mean of the others.

The KL penalty is part of the reward of the whole completion, and one completion is one action.
"""

from torch import Tensor

from training.algorithms.engine.optimization import linear_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.formulas.advantages import rloo_advantages
from training.algorithms.formulas.kl import sequence_kl
from training.algorithms.formulas.masking import whiten
from training.algorithms.formulas.policy_losses import sequence_policy_loss
from training.algorithms.policy.completion_batches import CompletionBatch
from training.algorithms.policy.policy_run import (
    PolicyRun,
    kl_adapt,
    policy_loop,
    policy_run_close,
    policy_run_open,
    step_check,
)
from training.algorithms.policy.policy_update import TokenLoss, policy_learn, self_check
from training.algorithms.policy.rollouts import (
    penalized_scores,
    rollout_collect,
    rollout_metrics,
    step_prompts,
)
from training.algorithms.records import Rollout
from training.algorithms.rloo import RLOOConfig
from training.algorithms.run_dir import Result, RunDir


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(RLOOConfig)
    rloo = policy_run_open(run_dir, config, "RLOO")
    return policy_run_close(rloo, _train(rloo, config))


def _train(rloo: PolicyRun, config: RLOOConfig) -> TrainingLoop:
    actors, seed, policy = rloo.actors, rloo.run_dir.seed, rloo.actors.policy
    loop = policy_loop(rloo, config)
    for step in loop.steps():
        beta = loop.memory["kl_coefficient"]
        # 1. sample and score
        prompts = step_prompts(rloo.prompts, seed, step, config.num_prompts, "rloo")
        rollout = rollout_collect(actors, prompts, config, seed, step, loop.pause)
        # 2. R = score - beta * KL of the completion; A = R - mean of the others
        scores = penalized_scores(rollout, config)
        rewards = completion_rewards(rollout, scores, beta)
        advantages = rloo_advantages(rewards, rollout.group_size)
        metrics = rollout_metrics(rollout, rewards) | {
            "rloo/beta": beta,
            "rloo/advantage_std": float(advantages.std(unbiased=False)),
        }
        step_check(loop, step, metrics, float(scores.mean()), config)
        if config.whiten_advantages:
            advantages = whiten(advantages)
        # 3. learn
        rate = linear_rate(step, config.num_steps, config.learning_rate)
        tally = policy_learn(
            policy, rollout, _loss(rollout, advantages, config), config, config.num_epochs, rate,
            actors.pad_id,
        )  # fmt: skip
        self_check(step, metrics, tally.first_ratio, config, rloo.run_dir.hardware)
        # 4. steer the KL
        kl = metrics["policy/kl_to_reference"]
        kl_adapt(loop, kl, config)
        num_terms = tally.num_updates * len(rollout.prompts)
        metrics |= tally.metrics("rloo", num_terms) | {"rloo/learning_rate": rate}
        loop.log(step, metrics, f"KL {kl:.1f} nats")
    return loop


def completion_rewards(rollout: Rollout, scores: Tensor, kl_coefficient: float) -> Tensor:
    """R_i = score - kl_coefficient * k1 summed over the completion, [B]."""
    kl = sequence_kl(rollout.logprobs, rollout.reference_logprobs, rollout.mask)
    return scores - kl_coefficient * kl


def _loss(rollout: Rollout, advantages: Tensor, config: RLOOConfig) -> TokenLoss:
    def token_loss(logprobs: Tensor, batch: CompletionBatch) -> tuple[Tensor, Tensor]:
        old, picked = batch.pick(rollout.logprobs), batch.pick(advantages)
        num_completions = len(rollout.prompts)
        return sequence_policy_loss(
            logprobs, old, picked, batch.mask, config.clip_range, num_completions
        )

    return token_loss
