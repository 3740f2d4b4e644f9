"""PPO: sample, score, penalize by KL, estimate advantages, learn; repeated.

The policy starts as the reference, the value model as the reward model. Not here: a pretraining
loss (PPO-ptx), several GPUs, half precision.
"""

from typing import Any

from training.algorithms.checkpoint_io import (
    checkpoint_save,
    policy_load,
    reward_model_load,
    tokenizer_load,
)
from training.algorithms.encoder_decoder import require_decoder_only
from training.algorithms.encoding import (
    data_metrics,
    prompt_limit,
    prompts_encode,
    records_require,
)
from training.algorithms.kl import AdaptiveKLController
from training.algorithms.optimization import adamw, linear_rate
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.rollout import Models, rollout_collect, step_prompts
from training.algorithms.ppo.update import (
    rollout_learn,
    rollout_metrics,
    targets_compute,
    update_metrics,
)
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.state import State, state_load, step_finished

# A larger difference means that rollout and update disagree about tokens, masks or temperature.
TOLERANCE = 1e-3


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(PPOConfig)
    tokenizer = tokenizer_load(run_dir.input_path("reference"))
    models = _models_load(run_dir, tokenizer)
    require_decoder_only(models.policy, "PPO")
    prompts = prompts_encode(
        tokenizer,
        run_dir.records("prompts", "train"),
        prompt_limit(models.policy, config.max_new_tokens, config.max_prompt_tokens),
    )
    token_lists = [prompt.token_ids for prompt in prompts.records]
    records_require(prompts, "training prompts", config.min_prompts)
    run_dir.metrics_write(0, data_metrics(prompts))
    data = {"num_prompts": len(token_lists), "num_too_long": prompts.num_too_long}
    metrics, stopped = _train(run_dir, config, models, token_lists)
    run_dir.output_save(lambda folder: checkpoint_save(models.policy, tokenizer, folder))
    return Result(metrics, data | stopped)


def _models_load(run_dir: RunDir, tokenizer: Any) -> Models:
    reference = policy_load(run_dir.input_path("reference"), tokenizer)
    reward = reward_model_load(run_dir.input_path("reward_model"), tokenizer)
    return Models(
        policy=policy_load(run_dir.input_path("reference"), tokenizer),
        value=reward_model_load(run_dir.input_path("reward_model"), tokenizer),
        reference=reference.requires_grad_(False),
        reward=reward.requires_grad_(False),
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )


def _train(
    run_dir: RunDir, config: PPOConfig, models: Models, prompts: list[list[int]]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Returns the metrics of the last step, and why training stopped early if it did."""
    optimizers = adamw(models.policy.parameters()), adamw(models.value.parameters())
    controller = AdaptiveKLController(config.kl_coefficient, config.kl_target, config.kl_horizon)
    done, metrics = 0, dict[str, float]()
    if (state := state_load(run_dir)) is not None:
        models.policy.load_state_dict(state["policy"])
        models.value.load_state_dict(state["value"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        controller.coefficient = state["kl_coefficient"]
        done, metrics = state["done"], state["metrics"]

    def current_state() -> State:
        return {
            "policy": models.policy.state_dict(),
            "value": models.value.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "kl_coefficient": controller.coefficient,
            "done": done,
            "metrics": metrics,
        }

    while done < config.num_steps:
        step, seed = done, run_dir.seed
        chosen = step_prompts(prompts, seed, step, config.batch_size)
        rollout = rollout_collect(models, chosen, config, seed, step)
        targets = targets_compute(rollout, controller.coefficient, config)
        metrics = rollout_metrics(rollout, targets) | {"ppo/beta": controller.coefficient}
        kl = metrics["policy/kl_to_reference"]
        if kl > config.max_kl:
            run_dir.metrics_write(step, metrics)
            return metrics, _stopped(step, kl, config)
        rates = (
            linear_rate(step, config.num_steps, config.learning_rate),
            linear_rate(step, config.num_steps, config.value_learning_rate),
        )
        tally = rollout_learn(models, optimizers, rollout, targets, config, rates, seed, step)
        metrics |= update_metrics(tally) | {"ppo/learning_rate": rates[0]}
        _self_check(step, metrics)
        controller.update(kl, config.batch_size)
        done += 1
        run_dir.metrics_write(step, metrics)
        run_dir.progress_write(done, config.num_steps, f"KL {kl:.1f} nats")
        step_finished(run_dir, done, config.save_every_steps, current_state, config.num_steps)
    return metrics, {}


def _self_check(step: int, metrics: dict[str, float]) -> None:
    """Before its first update a policy has KL 0 to its start and ratio 1 to itself."""
    kl, ratio = metrics["policy/kl_to_reference_k3"], metrics["ppo/first_ratio"]
    if step == 0 and kl > TOLERANCE:
        raise RuntimeError(f"KL to the reference is {kl} nats before any update; expected 0")
    if abs(ratio - 1.0) > TOLERANCE:
        raise RuntimeError(f"mean ratio is {ratio} before the update of step {step}; expected 1")


def _stopped(step: int, kl: float, config: PPOConfig) -> dict[str, Any]:
    message = (
        f"Stopped before step {step}: the KL to the reference is {kl:.1f} nats, above max_kl = "
        f"{config.max_kl}. Raise kl_coefficient or lower learning_rate."
    )
    return {"stopped_early": message, "stopped_at_step": step}
