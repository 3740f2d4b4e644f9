"""Held-out pair accuracy of the reward model; reward, KL and length of policy and reference.

Policy and reference answer the same prompts. The KL is k1 of the policy's samples, summed over
tokens. Both roles' answers go to samples.jsonl. Either part is left out when it has no data.
"""

from collections.abc import Sequence
from typing import Any

import torch

from training.algorithms.data.chat import completion_decode
from training.algorithms.data.encoding import (
    data_metrics,
    prompt_limit,
    prompts_encode,
    rankings_encode,
)
from training.algorithms.errors import DataTooSmall
from training.algorithms.evaluate import EvaluateConfig
from training.algorithms.formulas.kl import sequence_kl
from training.algorithms.formulas.ranking_losses import Ties
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.measuring.calibration import calibration_report, judged_pairs
from training.algorithms.measuring.intervals import mean_and_error
from training.algorithms.measuring.scoring import (
    closed_completions,
    ranking_report,
    ranking_scores,
    scores,
    tokenwise,
)
from training.algorithms.models.checkpoint_io import policy_load, reward_model_load, tokenizer_load
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.records import Completion, Prompt, RankedCompletions, Sequences
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sampling.generation import generate
from training.algorithms.seeds import seed_mix

ROLES = ("policy", "reference")


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(EvaluateConfig)
    tokenizer = tokenizer_load(run_dir.input_path("policy"))
    models = {role: policy_load(run_dir.input_path(role), tokenizer) for role in ROLES}
    require_decoder_only(models["policy"], "Evaluation")
    reward = reward_model_load(run_dir.input_path("reward_model"), tokenizer)
    rankings = rankings_encode(
        tokenizer, run_dir.records("rankings", "held_out"), config.max_tokens
    )
    limit = prompt_limit(models["policy"], config.max_new_tokens, config.max_prompt_tokens)
    records = run_dir.records("prompts", "held_out")[: config.max_prompts]
    prompts = prompts_encode(tokenizer, records, limit)
    if not rankings.records and not prompts.records:
        raise DataTooSmall("held-out rankings and prompts", 0, 1)
    metrics: dict[str, float] = {}
    calibration = None
    if rankings.records:
        metrics, calibration = rankings_measure(reward, rankings.records, tokenizer.pad_token_id)
    run_dir.progress_write(1, 4, "reward model measured")
    if prompts.records:
        metrics |= _policies_measure(run_dir, config, models, reward, tokenizer, prompts.records)
    run_dir.metrics_write(0, metrics | data_metrics(rankings, prompts))
    run_dir.progress_write(4, 4, "done")
    data: dict[str, Any] = {
        "num_rankings": len(rankings.records),
        "num_prompts": len(prompts.records),
        "accuracy_interval": "Wilson 95 % at the effective number of pairs, clustered by prompt",
    }
    if calibration is not None:
        data["calibration"] = calibration
    return Result(metrics, data)


def rankings_measure(
    reward: Any, rankings: Sequence[RankedCompletions], pad_id: int
) -> tuple[dict[str, float], dict[str, Any] | None]:
    """Metrics of the reward model on rankings, and its calibration report if any pair is no tie."""
    rows = ranking_scores(reward, rankings, pad_id)
    tie_log_nu = getattr(reward.config, "tie_log_nu", None)
    ties: Ties = "half" if tie_log_nu is None else "davidson"
    report = ranking_report(rows, rankings, ties, tie_log_nu or 0.0)
    metrics = {
        "evaluate/ranking_loss": report.loss,
        "evaluate/num_rankings": float(report.num_rankings),
        "evaluate/num_pairs": float(report.num_pairs),
    }
    pairs = judged_pairs(rows, rankings)
    if not pairs:
        return metrics, None
    calibration = calibration_report(pairs)
    return metrics | {
        "evaluate/pair_accuracy": calibration["accuracy"],
        "evaluate/pair_accuracy_low": calibration["low"],
        "evaluate/pair_accuracy_high": calibration["high"],
        "evaluate/effective_pairs": calibration["effective_pairs"],
        "evaluate/brier": calibration["brier"],
        "evaluate/calibration_error": calibration["calibration_error"],
    }, calibration


def _policies_measure(
    run_dir: RunDir,
    config: EvaluateConfig,
    models: dict[str, Any],
    reward: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
) -> dict[str, float]:
    """Samples both roles, writes samples.jsonl, returns the metrics."""
    samples: list[dict[str, Any]] = []
    completions: dict[str, list[Completion]] = {}
    asked = [prompt for prompt in prompts for _ in range(config.completions_per_prompt)]
    for position, role in enumerate(ROLES):
        completions[role] = generate(
            models[role],
            [prompt.token_ids for prompt in asked],
            [seed_mix(run_dir.seed, "evaluate", role, index) for index in range(len(asked))],
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            batch_rows=config.batch_rows,
            on_batch=run_dir.leave_if_asked,  # an evaluation starts over
        )
        for prompt, completion in zip(asked, completions[role], strict=True):
            samples.append(
                {
                    "index": len(samples),
                    "prompt_id": prompt.prompt_id,
                    "role": role,
                    "text": completion_decode(tokenizer, completion.token_ids),
                    "num_tokens": len(completion.token_ids),
                    "finished": completion.finished,
                    "seed": completion.seed,
                }
            )
        run_dir.progress_write(2 + position, 4, f"{role} sampled")
    run_dir.samples_write(samples)
    prompt_ids = [prompt.token_ids for prompt in asked]
    return policy_metrics(
        models, reward, prompt_ids, completions, tokenizer, config.completions_per_prompt,
        config.temperature,
    )  # fmt: skip


def policy_metrics(
    models: dict[str, Any],
    reward: Any,
    prompts: Sequence[list[int]],
    completions: dict[str, list[Completion]],
    tokenizer: Any,
    per_prompt: int,
    temperature: float,
) -> dict[str, float]:
    """Means over prompts with standard errors; a prompt's completions are averaged first.

    prompts and completions[role] are aligned, per_prompt consecutive ones belong to one prompt.
    """
    pad_id = tokenizer.pad_token_id
    metrics: dict[str, float] = {}
    rewards: dict[str, list[float]] = {}
    for role in ROLES:
        token_lists = [completion.token_ids for completion in completions[role]]
        closed = closed_completions(token_lists, tokenizer.eos_token_id)
        rewards[role] = _per_prompt(scores(reward, prompts, closed, pad_id).tolist(), per_prompt)
        mean, error = mean_and_error(rewards[role])
        metrics[f"evaluate/reward_{role}"] = mean
        metrics[f"evaluate/reward_{role}_error"] = error
        lengths = [float(len(ids)) for ids in token_lists]
        metrics[f"evaluate/length_tokens_{role}"] = sum(lengths) / len(lengths)
        finished = [completion.finished for completion in completions[role]]
        metrics[f"evaluate/finished_share_{role}"] = sum(finished) / len(finished)
    gains = [p - r for p, r in zip(rewards["policy"], rewards["reference"], strict=True)]
    gain, gain_error = mean_and_error(gains)
    kl = _per_prompt(
        _policy_kl(models, prompts, completions["policy"], pad_id, temperature), per_prompt
    )
    kl_mean, kl_error = mean_and_error(kl)
    return metrics | {
        "evaluate/reward_gain": gain,
        "evaluate/reward_gain_error": gain_error,
        "evaluate/reward_win_share": sum((g > 0) + 0.5 * (g == 0) for g in gains) / len(gains),
        "evaluate/kl_to_reference": kl_mean,
        "evaluate/kl_to_reference_error": kl_error,
        "evaluate/num_prompts": float(len(gains)),
    }


@torch.no_grad()
def _policy_kl(
    models: dict[str, Any],
    prompts: Sequence[list[int]],
    completions: Sequence[Completion],
    pad_id: int,
    temperature: float,
) -> list[float]:
    """k1 summed over the tokens of each completion of the policy, nats."""

    def both(sequences: Sequences) -> tuple[torch.Tensor, ...]:
        return tuple(completion_logprobs(models[r], sequences, temperature) for r in ROLES)

    token_lists = [completion.token_ids for completion in completions]
    logprobs, reference_logprobs = tokenwise(both, prompts, token_lists, pad_id)
    # Zeros outside the completions cancel, so every position may count.
    mask = torch.ones_like(logprobs, dtype=torch.bool)
    return sequence_kl(logprobs, reference_logprobs, mask).tolist()


def _per_prompt(values: Sequence[float], size: int) -> list[float]:
    """Means of consecutive groups of `size` values."""
    return [sum(values[i : i + size]) / size for i in range(0, len(values), size)]
