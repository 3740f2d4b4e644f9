"""What the loops of policy optimization have in common before, around and after their steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from training.algorithms.data.encoding import (
    data_metrics,
    prompt_limit,
    prompts_encode,
    records_require,
)
from training.algorithms.engine.learner import Frozen, Learner
from training.algorithms.engine.training_loop import Candidates, TrainingLoop
from training.algorithms.errors import TrainingHalted
from training.algorithms.formulas.kl import kl_coefficient_next
from training.algorithms.models.checkpoint_io import policy_load, reward_model_load, tokenizer_load
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.policy.completion_batches import Call
from training.algorithms.policy.guards import history_add, run_check
from training.algorithms.policy.policy_config import PolicyConfig, RolloutConfig
from training.algorithms.policy.rollouts import Actors
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import seed_mix


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """A run with its models loaded and its prompts encoded."""

    run_dir: RunDir
    tokenizer: Any
    actors: Actors
    prompts: list[list[int]]
    data: dict[str, Any]
    """For the result."""


def policy_run_open(
    run_dir: RunDir, config: RolloutConfig, title: str, reward: Call | None = None
) -> PolicyRun:
    """Raises DataTooSmall, CheckpointInvalid. Without `reward` the reward model is loaded here."""
    location = run_dir.input_path("reference")
    tokenizer = tokenizer_load(location)
    is_new = config.start == "reference"
    model = policy_load(location if is_new else run_dir.input_path("start"), tokenizer)
    require_decoder_only(model, title)
    limit = prompt_limit(model, config.max_new_tokens, config.max_prompt_tokens)
    prompts = prompts_encode(tokenizer, run_dir.records("prompts", "train"), limit)
    records_require(prompts, "training prompts", config.min_prompts)
    run_dir.metrics_write(0, data_metrics(prompts))
    policy = Learner(model, config, run_dir.hardware, seed_mix(run_dir.seed, "policy", "adapter"))

    def reference_load() -> Any:
        return policy_load(location, tokenizer)

    if is_new:
        reference = policy.frozen_start(reference_load)
    else:
        reference = Frozen(reference_load(), run_dir.hardware)
    actors = Actors(
        policy=policy,
        reference=reference,
        reward=reward or Frozen(reward_load(run_dir, tokenizer), run_dir.hardware),
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    data = {"num_prompts": len(prompts.records), "num_too_long": prompts.num_too_long}
    token_lists = [prompt.token_ids for prompt in prompts.records]
    return PolicyRun(run_dir, tokenizer, actors, token_lists, data)


def reward_load(run_dir: RunDir, tokenizer: Any) -> Any:
    return reward_model_load(run_dir.input_path("reward_model"), tokenizer)


def policy_loop(
    run: PolicyRun,
    config: RolloutConfig,
    others: Mapping[str, Learner] | None = None,
    **memory: Any,
) -> TrainingLoop:
    """The loop that trains the policy; `others` train beside it, `memory` is remembered besides."""
    policy = run.actors.policy
    memory = {"history": []} | memory
    if isinstance(config, PolicyConfig):
        memory["kl_coefficient"] = config.kl_coefficient
    return TrainingLoop(
        run.run_dir,
        {"policy": policy, **(others or {})},
        config.num_steps,
        config.save_every_steps,
        memory,
        Candidates(config.num_candidates, partial(policy.save, run.tokenizer)),
    )


def step_check(
    loop: TrainingLoop,
    step: int,
    metrics: Mapping[str, float],
    penalized_score: float,
    config: RolloutConfig,
) -> None:
    """Halts the run when this step's rollout shows that it should (guards), its metrics on file.

    Called before the step learns from it.
    """
    kl, objective = metrics["policy/kl_to_reference"], metrics["policy/reward_mean"]
    loop.memory["history"] = history_add(loop.memory["history"], kl, penalized_score, objective)
    try:
        run_check(loop.memory["history"], config.max_kl, config.max_score)
    except TrainingHalted as halted:
        loop.log(step, metrics)
        halted.message = f"Halted at step {step}. {halted.message}"
        raise


def kl_adapt(loop: TrainingLoop, kl: float, config: PolicyConfig) -> None:
    """Moves the coefficient in the loop's memory towards kl_target; see kl_coefficient_next."""
    loop.memory["kl_coefficient"] = kl_coefficient_next(
        loop.memory["kl_coefficient"],
        kl,
        config.kl_target,
        config.kl_horizon,
        config.batch_size,
    )


def policy_run_close(run: PolicyRun, loop: TrainingLoop) -> Result:
    """Saves the policy; the result repeats the last step's metrics."""
    policy = run.actors.policy
    policy.finish()
    run.run_dir.output_save(partial(policy.save, run.tokenizer))
    return Result(loop.metrics, run.data | {"candidates": loop.candidates})
