"""PPO: sample, score, penalize by KL, estimate advantages, learn; repeated.

The policy starts as the reference, the value model as the reward model. With ptx_coefficient the
policy's gradient includes a pretraining loss (PPO-ptx).
"""

from collections.abc import Sequence

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import linear_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.formulas.masking import masked_sum
from training.algorithms.models.checkpoint_io import tokenizer_load
from training.algorithms.policy.policy_run import (
    PolicyRun,
    kl_adapt,
    policy_loop,
    policy_run_close,
    policy_run_open,
    reward_load,
    step_check,
)
from training.algorithms.policy.policy_update import self_check
from training.algorithms.policy.rollouts import (
    penalized_scores,
    rollout_collect,
    rollout_metrics,
    step_prompts,
)
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.pretraining import texts_load
from training.algorithms.ppo.update import (
    rollout_learn,
    targets_compute,
    update_metrics,
    value_metrics,
    values_measure,
)
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import seed_mix


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(PPOConfig)
    tokenizer = tokenizer_load(run_dir.input_path("reference"))
    value = Learner(
        reward_load(run_dir, tokenizer),
        config,
        run_dir.hardware,
        seed_mix(run_dir.seed, "value", "adapter"),
    )
    reward = value.frozen_start(lambda: reward_load(run_dir, tokenizer))
    ppo = policy_run_open(run_dir, config, "PPO", reward)
    texts = texts_load(run_dir, tokenizer, ppo.actors.policy, config)
    return policy_run_close(ppo, _train(ppo, value, texts, config))


def _train(
    ppo: PolicyRun, value: Learner, texts: Sequence[Demonstration], config: PPOConfig
) -> TrainingLoop:
    actors, seed, policy = ppo.actors, ppo.run_dir.seed, ppo.actors.policy
    loop = policy_loop(ppo, config, {"value": value})
    for step in loop.steps():
        beta = loop.memory["kl_coefficient"]
        # 1. sample and score
        prompts = step_prompts(ppo.prompts, seed, step, config.num_prompts, "ppo")
        rollout = rollout_collect(actors, prompts, config, seed, step, loop.pause)
        # 2. rewards, values, advantages
        values = values_measure(value, rollout, config, actors.pad_id)
        targets = targets_compute(rollout, values, beta, config)
        objectives = masked_sum(targets.rewards, rollout.mask, dim=1)
        metrics = rollout_metrics(rollout, objectives) | value_metrics(rollout, targets)
        metrics["ppo/beta"] = beta
        score = float(penalized_scores(rollout, config).mean())
        step_check(loop, step, metrics, score, config)
        # 3. learn
        rates = (
            linear_rate(step, config.num_steps, config.learning_rate),
            linear_rate(step, config.num_steps, config.value_learning_rate),
        )
        tally = rollout_learn(
            policy, value, rollout, targets, texts, config, rates, seed, step, actors.pad_id
        )
        self_check(step, metrics, tally.first_ratio, config, ppo.run_dir.hardware)
        # 4. steer the KL
        kl = metrics["policy/kl_to_reference"]
        kl_adapt(loop, kl, config)
        metrics |= update_metrics(tally) | {"ppo/learning_rate": rates[0]}
        loop.log(step, metrics, f"KL {kl:.1f} nats")
    return loop
