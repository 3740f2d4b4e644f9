"""GRPO: a group of completions per prompt, their scores normalized within it, KL in the loss."""

from torch import Tensor

from training.algorithms.engine.optimization import linear_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.formulas.advantages import group_advantages
from training.algorithms.formulas.kl import k3
from training.algorithms.formulas.masking import masked_sum
from training.algorithms.formulas.policy_losses import grpo_loss
from training.algorithms.grpo import GRPOConfig
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
from training.algorithms.run_dir import Result, RunDir


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(GRPOConfig)
    grpo = policy_run_open(run_dir, config, "GRPO")
    return policy_run_close(grpo, _train(grpo, config))


def _train(grpo: PolicyRun, config: GRPOConfig) -> TrainingLoop:
    actors, seed, policy = grpo.actors, grpo.run_dir.seed, grpo.actors.policy
    loop = policy_loop(grpo, config)
    for step in loop.steps():
        beta = loop.memory["kl_coefficient"]
        # 1. sample and score
        prompts = step_prompts(grpo.prompts, seed, step, config.num_prompts, "grpo")
        rollout = rollout_collect(actors, prompts, config, seed, step, loop.pause)
        # 2. scores normalized within each prompt
        scores = penalized_scores(rollout, config)
        advantages = group_advantages(scores, rollout.group_size, config.advantage_scale)
        metrics = rollout_metrics(rollout, objectives(rollout, scores, beta)) | {
            "grpo/beta": beta,
            "grpo/group_std": float(scores.view(-1, rollout.group_size).std(1).mean()),
        }
        step_check(loop, step, metrics, float(scores.mean()), config)
        # 3. learn
        rate = linear_rate(step, config.num_steps, config.learning_rate)
        tally = policy_learn(
            policy, rollout, _loss(rollout, advantages, beta, config), config, config.num_epochs,
            rate, actors.pad_id,
        )  # fmt: skip
        self_check(step, metrics, tally.first_ratio, config, grpo.run_dir.hardware)
        # 4. steer the KL
        kl = metrics["policy/kl_to_reference"]
        kl_adapt(loop, kl, config)
        metrics |= tally.metrics("grpo", tally.num_tokens) | {"grpo/learning_rate": rate}
        loop.log(step, metrics, f"KL {kl:.1f} nats")
    return loop


def objectives(rollout: Rollout, scores: Tensor, kl_coefficient: float) -> Tensor:
    """What the loss trades off, [B]: score minus kl_coefficient times k3 per token."""
    kl = masked_sum(k3(rollout.logprobs, rollout.reference_logprobs), rollout.mask, dim=1)
    return scores - kl_coefficient * kl / rollout.lengths


def _loss(rollout: Rollout, advantages: Tensor, beta: float, config: GRPOConfig) -> TokenLoss:
    by_tokens = config.loss_mean == "tokens"
    count = int(rollout.lengths.sum()) if by_tokens else len(rollout.prompts)

    def token_loss(logprobs: Tensor, batch: CompletionBatch) -> tuple[Tensor, Tensor]:
        return grpo_loss(
            logprobs,
            batch.pick(rollout.logprobs),
            batch.pick(rollout.reference_logprobs),
            batch.pick(advantages),
            batch.mask,
            config.clip_range,
            beta,
            config.loss_mean,
            count,
        )

    return token_loss
