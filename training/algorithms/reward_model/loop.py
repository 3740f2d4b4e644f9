"""Reward model: all completions of a ranking scored once, all its pairs in one loss term.

One optimizer step takes batch_size rankings; every ranking weighs the same whatever its K. After
training the mean score of the demonstrations becomes reward_bias, so that they average 0.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from training.algorithms.checkpoint_io import (
    checkpoint_save,
    context_length,
    reward_model_from_policy,
    tokenizer_load,
)
from training.algorithms.encoding import demonstrations_encode, rankings_encode
from training.algorithms.errors import DataTooSmall
from training.algorithms.losses import ranking_loss
from training.algorithms.optimization import adamw, cosine_rate, optimizer_step
from training.algorithms.records import Demonstration, RankedCompletions
from training.algorithms.reward_model import RewardModelConfig
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.scalar_model import head_initialize
from training.algorithms.scoring import (
    ranking_report,
    ranking_scores,
    scores,
    scores_with_gradient,
)
from training.algorithms.seeds import generator_for, permutation
from training.algorithms.state import State, state_load, step_finished


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(RewardModelConfig)
    tokenizer = tokenizer_load(run_dir.input_path("init"))
    model = reward_model_from_policy(run_dir.input_path("init"), tokenizer)
    head_initialize(model, generator_for(run_dir.seed, "reward_head"))
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train = rankings_encode(tokenizer, run_dir.records("rankings", "train"), max_tokens)
    held_out = rankings_encode(tokenizer, run_dir.records("rankings", "held_out"), max_tokens)
    demonstrations = demonstrations_encode(
        tokenizer, run_dir.records("demonstrations", "train"), max_tokens
    )
    num_too_long = train.num_too_long + held_out.num_too_long
    if len(train.records) < config.min_train_rankings:
        raise DataTooSmall(
            "training rankings", len(train.records), config.min_train_rankings,
            f"{num_too_long} were left out as too long." if num_too_long else "",
        )  # fmt: skip
    run_dir.metrics_write(
        0,
        {
            "data/rankings_too_long": num_too_long,
            "data/demonstrations_too_long": demonstrations.num_too_long,
        },
    )
    pad_id = tokenizer.pad_token_id
    _train(run_dir, config, model, train.records, pad_id)
    bias_from = bias_set(model, demonstrations.records, train.records, pad_id)
    run_dir.output_save(lambda folder: checkpoint_save(model, tokenizer, folder))
    metrics = _metrics_of(model, train.records, pad_id, "train")
    if held_out.records:
        metrics |= _metrics_of(model, held_out.records, pad_id, "held_out")
    run_dir.metrics_write(
        _num_steps(config, len(train.records)),
        {name: value for name, value in metrics.items() if "/num_" not in name},
    )
    data = {
        "num_train_rankings": len(train.records),
        "num_held_out_rankings": len(held_out.records),
        "num_too_long": num_too_long,
        "reward_bias": model.config.reward_bias,
        "reward_bias_from": bias_from,
    }
    return Result(metrics, data)


def _num_steps(config: RewardModelConfig, num_rankings: int) -> int:
    return math.ceil(num_rankings / config.batch_size) * config.num_epochs


def _train(
    run_dir: RunDir,
    config: RewardModelConfig,
    model: Any,
    train: Sequence[RankedCompletions],
    pad_id: int,
) -> None:
    optimizer = adamw(model.parameters(), config.weight_decay)
    num_steps = _num_steps(config, len(train))
    steps_per_epoch = num_steps // config.num_epochs
    done = 0
    if (state := state_load(run_dir)) is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]

    def current_state() -> State:
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}

    while done < num_steps:
        epoch, batch_index = divmod(done, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "reward_model", epoch)
        start = batch_index * config.batch_size
        batch = [train[row] for row in order[start : start + config.batch_size]]
        loss, accuracy = batch_backward(model, batch, config.micro_batch_tokens, pad_id)
        rate = cosine_rate(done, num_steps, config.learning_rate)
        norm = optimizer_step(optimizer, rate, config.max_grad_norm)
        done += 1
        metrics = {
            "reward_model/loss": loss,
            "reward_model/learning_rate": rate,
            "reward_model/gradient_norm": norm,
        }
        if accuracy is not None:
            metrics["reward_model/batch_accuracy"] = accuracy
        run_dir.metrics_write(done, metrics)
        run_dir.progress_write(done, num_steps, f"epoch {epoch + 1} of {config.num_epochs}")
        step_finished(run_dir, done, config.save_every_steps, current_state, num_steps)


def batch_backward(
    model: Any, batch: Sequence[RankedCompletions], max_tokens: int, pad_id: int
) -> tuple[float, float | None]:
    """Adds the gradient of the mean ranking_loss of the batch.

    Returns that loss, and the pair accuracy before the step (None when every pair is a tie). A
    ranking is never split between forward passes, as its pairs need all its scores.
    """
    loss = 0.0
    all_scores, seen = [], []
    for group in ranking_groups(batch, max_tokens):
        prompts = [ranking.prompt_ids for ranking in group for _ in ranking.completions]
        completions = [completion for ranking in group for completion in ranking.completions]
        flat = scores_with_gradient(model, prompts, completions, pad_id)
        rows = flat.split([len(ranking.completions) for ranking in group])
        terms = [
            ranking_loss(row, torch.tensor(ranking.ranks, device=row.device))
            for row, ranking in zip(rows, group, strict=True)
        ]
        group_loss = torch.stack(terms).sum() / len(batch)
        group_loss.backward()
        loss += float(group_loss.detach())
        all_scores += [row.detach().cpu() for row in rows]
        seen += group
    report = ranking_report(all_scores, seen)
    return loss, report.accuracy if report.num_pairs else None


def ranking_groups(
    rankings: Sequence[RankedCompletions], max_tokens: int
) -> list[list[RankedCompletions]]:
    """Rankings in groups of at most max_tokens tokens, in order; at least one in each."""
    groups: list[list[RankedCompletions]] = []
    used = 0
    for ranking in rankings:
        size = sum(len(ranking.prompt_ids) + len(ids) for ids in ranking.completions)
        if not groups or used + size > max_tokens:
            groups.append([])
            used = 0
        groups[-1].append(ranking)
        used += size
    return groups


def bias_set(
    model: Any,
    demonstrations: Sequence[Demonstration],
    rankings: Sequence[RankedCompletions],
    pad_id: int,
) -> str:
    """Sets reward_bias so that demonstrations average 0, and says what it averaged.

    Stiennon et al. 2020 (arXiv 2009.01325) section 3.4. Without demonstrations the completions of
    the training rankings stand in.
    """
    model.config.reward_bias = 0.0
    if demonstrations:
        prompts = [record.prompt_ids for record in demonstrations]
        completions = [record.completion_ids for record in demonstrations]
    else:
        prompts = [ranking.prompt_ids for ranking in rankings for _ in ranking.completions]
        completions = [completion for ranking in rankings for completion in ranking.completions]
    mean = scores(model, prompts, completions, pad_id).double().mean()
    model.config.reward_bias = float(mean)
    return "demonstrations" if demonstrations else "training_completions"


def _metrics_of(
    model: Any, rankings: Sequence[RankedCompletions], pad_id: int, split: str
) -> dict[str, float]:
    report = ranking_report(ranking_scores(model, rankings, pad_id), rankings)
    metrics = {
        f"reward_model/{split}_loss": report.loss,
        f"reward_model/{split}_num_rankings": report.num_rankings,
        f"reward_model/{split}_num_pairs": report.num_pairs,
    }
    if report.num_pairs:
        metrics[f"reward_model/{split}_accuracy"] = report.accuracy
        metrics[f"reward_model/{split}_brier"] = report.brier
    return metrics
