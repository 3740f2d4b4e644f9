"""DPO and IPO: every pair of a ranking, through log-ratios of policy and reference.

A completion is run once per ranking, whatever the number of its pairs; the reference's
log-probabilities are computed once, before the first step. One optimizer step takes batch_size
rankings. A ranking counts with its `weight`, spread evenly over its pairs; ties make no pair.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from training.algorithms.data.encoding import data_metrics, rankings_encode, records_require
from training.algorithms.dpo import DPOConfig, PairConfig
from training.algorithms.dpo.pairs import Objective, pair_means, pair_sums, with_preference
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import warmup_rate
from training.algorithms.engine.training_loop import Candidates, TrainingLoop
from training.algorithms.errors import TrainingHalted
from training.algorithms.formulas.preference_losses import dpo_losses, ranking_pairs
from training.algorithms.kernel.completion_totals import (
    all_totals,
    completion_totals,
    token_batches,
)
from training.algorithms.models.checkpoint_io import context_length, policy_load, tokenizer_load
from training.algorithms.records import RankedCompletions
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation, seed_mix


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(DPOConfig)
    losses = partial(dpo_losses, beta=config.beta, label_smoothing=config.label_smoothing)
    return pairs_run(run_dir, config, Objective("dpo", losses, config.beta))


def pairs_run(run_dir: RunDir, config: PairConfig, objective: Objective) -> Result:
    tokenizer = tokenizer_load(run_dir.input_path("reference"))
    pad_id = tokenizer.pad_token_id
    load = partial(policy_load, run_dir.input_path("reference"), tokenizer)
    model = load()
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train = rankings_encode(tokenizer, run_dir.records("rankings", "train"), max_tokens)
    held_out = rankings_encode(tokenizer, run_dir.records("rankings", "held_out"), max_tokens)
    records_require(train, "training rankings", config.min_train_rankings)
    run_dir.metrics_write(0, data_metrics(train, held_out))
    seed = seed_mix(run_dir.seed, objective.name, "adapter")
    learner = Learner(model, config, run_dir.hardware, seed)
    sides = with_preference(train.records), with_preference(held_out.records)
    save = partial(learner.save, tokenizer)
    candidates = Candidates(config.num_candidates, save)
    loop = _train(run_dir, config, objective, learner, *sides, load, pad_id, candidates)
    learner.finish()
    run_dir.output_save(save)
    data = {
        "num_rankings": len(sides[0]),
        "num_pairs": sum(len(ranking_pairs(ranking.ranks)) for ranking in sides[0]),
        "num_held_out": len(sides[1]),
        "candidates": loop.candidates,
    }
    return Result(loop.metrics, data)


def _train(
    run_dir: RunDir,
    config: PairConfig,
    objective: Objective,
    learner: Learner,
    train: Sequence[RankedCompletions],
    held_out: Sequence[RankedCompletions],
    load: Callable[[], Any],
    pad_id: int,
    candidates: Candidates,
) -> TrainingLoop:
    """Returns the finished loop. memory: the reference's totals, flat."""
    name = objective.name
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    memory: dict[str, Any] = {"reference_totals": None}
    loop = TrainingLoop(
        run_dir, {"policy": learner}, num_steps, config.save_every_steps, memory, candidates
    )
    references: list[Tensor] = []
    for step in loop.steps():
        if loop.memory["reference_totals"] is None:
            start = learner.frozen_start(load)
            totals = ranking_totals(
                start, [*train, *held_out], config.micro_batch_tokens, pad_id, learner.is_sharded
            )
            loop.memory["reference_totals"] = torch.cat(totals)
            del start  # a second model in memory, unless there is an adapter
        if not references:
            sizes = [len(ranking.completions) for ranking in [*train, *held_out]]
            references = list(loop.memory["reference_totals"].split(sizes))
        epoch, batch_index = divmod(step, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, name, epoch)
        rows = order[batch_index * config.batch_size :][: config.batch_size]
        sums = batch_learn(
            learner,
            [train[row] for row in rows],
            [references[row] for row in rows],
            objective,
            config.micro_batch_tokens,
            pad_id,
        )
        _guard(sums, objective, config.max_chosen_drop, step)
        rate = warmup_rate(step, num_steps, config.learning_rate, config.warmup_share)
        norm = learner.step(rate)
        metrics = {f"{name}/{key}": value for key, value in sums.items()}
        metrics |= {f"{name}/learning_rate": rate, f"{name}/gradient_norm": norm}
        if (step + 1) % steps_per_epoch == 0:
            metrics[f"{name}/epoch"] = epoch + 1
            if held_out:
                totals = ranking_totals(
                    learner.read, held_out, config.micro_batch_tokens, pad_id, learner.is_sharded
                )
                measured = pair_means(held_out, totals, references[len(train) :], objective)
                metrics |= {f"{name}/held_out_{key}": value for key, value in measured.items()}
        loop.log(step + 1, metrics, f"epoch {epoch + 1} of {config.num_epochs}")
    return loop


def batch_learn(
    learner: Learner,
    batch: Sequence[RankedCompletions],
    references: Sequence[Tensor],
    objective: Objective,
    max_tokens: int,
    pad_id: int,
) -> dict[str, float]:
    """Adds the gradient of the batch's mean loss; returns the means named in pair_sums.

    references[i]: the reference's totals [K] of batch[i].
    """
    total_weight = sum(ranking.weight for ranking in batch)

    def loss_of(model: Any, group: Sequence[int]) -> tuple[Tensor, Mapping[str, Tensor]]:
        rankings = [batch[index] for index in group]
        totals = completion_totals(
            model,
            [ranking.prompt_ids for ranking in rankings],
            [ranking.completions for ranking in rankings],
            pad_id,
        )
        reference = torch.cat([references[index] for index in group]).to(totals.device)
        sums = pair_sums(rankings, totals, reference, objective)
        means = {key: value / total_weight for key, value in sums.items()}
        return means.pop("loss"), means

    groups = token_batches(
        learner.read,
        [ranking.prompt_ids for ranking in batch],
        [ranking.completions for ranking in batch],
        max_tokens,
    )
    return learner.accumulate(groups, loss_of)


def ranking_totals(
    call: Callable[..., Any],
    rankings: Sequence[RankedCompletions],
    max_tokens: int,
    pad_id: int,
    everywhere: bool = False,
) -> list[Tensor]:
    """Summed log-probabilities [K] of each ranking's completions; see all_totals."""
    prompts = [ranking.prompt_ids for ranking in rankings]
    completions = [ranking.completions for ranking in rankings]
    return all_totals(call, prompts, completions, max_tokens, pad_id, everywhere)


def _guard(
    sums: Mapping[str, float], objective: Objective, max_drop: float | None, step: int
) -> None:
    """Raises TrainingHalted before the optimizer step when max_chosen_drop is passed."""
    drop = -sums["reward_chosen"] / objective.beta
    if max_drop is not None and drop > max_drop:
        raise TrainingHalted(
            f"At step {step} the preferred completions are {drop:.1f} nats less likely than under "
            f"the reference, more than max_chosen_drop = {max_drop}. Lower learning_rate, raise "
            "beta, or train on the preferred completions (sft) first.",
            step=step,
            drop=drop,
        )
