"""Rejection-sampling fine-tuning: the completions of a prompt compete, the winner is a lesson.

Supervised fine-tuning does the rest; there is no KL penalty, and the number of steps and n decide
how far the policy goes.
"""

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import linear_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.errors import TrainingHalted
from training.algorithms.formulas.selection import best_index, best_of_n_kl
from training.algorithms.policy.policy_run import (
    PolicyRun,
    policy_loop,
    policy_run_close,
    policy_run_open,
    step_check,
)
from training.algorithms.policy.policy_update import self_check
from training.algorithms.policy.rollouts import (
    penalized_scores,
    rollout_collect,
    rollout_metrics,
    step_prompts,
)
from training.algorithms.records import Demonstration, Rollout
from training.algorithms.rejection_sampling import RejectionSamplingConfig
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation
from training.algorithms.sft.batches import batch_learn


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(RejectionSamplingConfig)
    sampling = policy_run_open(run_dir, config, "Rejection sampling")
    sampling.data["best_of_n_kl"] = best_of_n_kl(config.completions_per_prompt)
    return policy_run_close(sampling, _train(sampling, config))


def _train(sampling: PolicyRun, config: RejectionSamplingConfig) -> TrainingLoop:
    actors, seed, policy = sampling.actors, sampling.run_dir.seed, sampling.actors.policy
    loop = policy_loop(sampling, config)
    for step in loop.steps():
        # 1. sample and score
        prompts = step_prompts(
            sampling.prompts, seed, step, config.num_prompts, "rejection_sampling"
        )
        rollout = rollout_collect(actors, prompts, config, seed, step, loop.pause)
        scores = penalized_scores(rollout, config)
        metrics = rollout_metrics(rollout, scores)
        step_check(loop, step, metrics, float(scores.mean()), config)
        self_check(step, metrics, 1.0, config, sampling.run_dir.hardware)
        # 2. keep each prompt's best
        rows = best_rows(rollout)
        if not rows:
            raise TrainingHalted(
                f"None of the {config.batch_size} completions of step {step} ended within "
                f"max_new_tokens = {config.max_new_tokens}, so none can be learned from. Raise it, "
                "or fine-tune on shorter demonstrations first.",
                guard="nothing_kept",
            )
        kept = [Demonstration(rollout.prompts[row], rollout.completions[row]) for row in rows]
        # 3. fine-tune on them
        rate = linear_rate(step, config.num_steps, config.learning_rate)
        loss, norm = kept_learn(policy, kept, config, rate, seed, step, actors.pad_id)
        metrics |= {
            "rejection_sampling/kept_score": float(rollout.scores[rows].mean()),
            "rejection_sampling/kept_share": len(kept) / config.num_prompts,
            "rejection_sampling/loss": loss,
            "rejection_sampling/gradient_norm": norm,
            "rejection_sampling/learning_rate": rate,
        }
        kl = metrics["policy/kl_to_reference"]
        loop.log(step, metrics, f"KL {kl:.1f} nats")
    return loop


def best_rows(rollout: Rollout) -> list[int]:
    """The row of the best-scored finished completion of every prompt that has one.

    A completion that was cut off is no example of a whole answer, whatever its score.
    """
    rows = []
    for start in range(0, len(rollout.prompts), rollout.group_size):
        group = range(start, start + rollout.group_size)
        finished = [row for row in group if rollout.finished[row]]
        if finished:
            rows.append(finished[best_index([float(rollout.scores[row]) for row in finished])])
    return rows


def kept_learn(
    policy: Learner,
    kept: list[Demonstration],
    config: RejectionSamplingConfig,
    rate: float,
    seed: int,
    step: int,
    pad_id: int,
) -> tuple[float, float]:
    """The epochs of a step; returns the means of loss and gradient norm over optimizer steps."""
    losses, norms = [], []
    for epoch in range(config.num_epochs):
        order = permutation(len(kept), seed, "rejection_sampling", step, epoch)
        for start in range(0, len(order), config.learn_batch_size):
            batch = [kept[row] for row in order[start : start + config.learn_batch_size]]
            losses.append(batch_learn(policy, batch, config.micro_batch_tokens, pad_id))
            norms.append(policy.step(rate))
    return sum(losses) / len(losses), sum(norms) / len(norms)
