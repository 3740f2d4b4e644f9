"""REINFORCE: every token is made likelier by the return that followed it, less a baseline.

The per-token reward is PPO's: the KL penalty at every token, the score at the last one. One
optimizer step per batch, so the samples are always the policy's own.
"""

from torch import Tensor

from training.algorithms.engine.optimization import linear_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.formulas.advantages import returns_to_go, token_rewards
from training.algorithms.formulas.masking import masked_sum, masked_whiten
from training.algorithms.formulas.policy_losses import reinforce_loss
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
from training.algorithms.reinforce import ReinforceConfig
from training.algorithms.run_dir import Result, RunDir


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(ReinforceConfig)
    reinforce = policy_run_open(run_dir, config, "REINFORCE")
    return policy_run_close(reinforce, _train(reinforce, config))


def _train(reinforce: PolicyRun, config: ReinforceConfig) -> TrainingLoop:
    actors, seed, policy = reinforce.actors, reinforce.run_dir.seed, reinforce.actors.policy
    loop = policy_loop(reinforce, config, baseline=None)
    for step in loop.steps():
        beta = loop.memory["kl_coefficient"]
        # 1. sample and score
        prompts = step_prompts(reinforce.prompts, seed, step, config.num_prompts, "reinforce")
        rollout = rollout_collect(actors, prompts, config, seed, step, loop.pause)
        # 2. returns that follow each token, less the baseline
        scores = penalized_scores(rollout, config)
        rewards = token_rewards(
            scores, rollout.logprobs, rollout.reference_logprobs, rollout.lengths, beta
        )
        totals = masked_sum(rewards, rollout.mask, dim=1)
        baseline = baseline_value(loop.memory["baseline"], float(totals.mean()), config)
        advantages = returns_to_go(rewards, rollout.mask, config.gamma) - baseline
        if config.whiten_advantages:
            advantages = masked_whiten(advantages, rollout.mask)
        metrics = rollout_metrics(rollout, totals)
        metrics |= {"reinforce/beta": beta, "reinforce/baseline": baseline}
        step_check(loop, step, metrics, float(scores.mean()), config)
        # 3. learn
        rate = linear_rate(step, config.num_steps, config.learning_rate)
        loss = _loss(rollout, advantages)
        tally = policy_learn(policy, rollout, loss, config, 1, rate, actors.pad_id)
        self_check(step, metrics, tally.first_ratio, config, reinforce.run_dir.hardware)
        # 4. steer the KL, remember the reward
        kl = metrics["policy/kl_to_reference"]
        kl_adapt(loop, kl, config)
        loop.memory["baseline"] = baseline_next(
            loop.memory["baseline"], float(totals.mean()), config.baseline_decay
        )
        learned = tally.metrics("reinforce", tally.num_tokens)
        # Nothing is clipped here.
        metrics |= {name: learned[name] for name in learned if not name.endswith("/clip_fraction")}
        metrics["reinforce/learning_rate"] = rate
        loop.log(step, metrics, f"KL {kl:.1f} nats")
    return loop


def baseline_value(running: float | None, batch_mean: float, config: ReinforceConfig) -> float:
    """What is subtracted from this step's returns; the first step has no past and uses its own."""
    if config.baseline == "none":
        return 0.0
    return batch_mean if config.baseline == "batch" or running is None else running


def baseline_next(running: float | None, batch_mean: float, decay: float) -> float:
    """The running mean after a step: decay * running + (1 - decay) * batch_mean."""
    return batch_mean if running is None else decay * running + (1 - decay) * batch_mean


def _loss(rollout: Rollout, advantages: Tensor) -> TokenLoss:
    def token_loss(logprobs: Tensor, batch: CompletionBatch) -> tuple[Tensor, int]:
        num_completions = len(rollout.prompts)
        return reinforce_loss(logprobs, batch.pick(advantages), batch.mask, num_completions), 0

    return token_loss
