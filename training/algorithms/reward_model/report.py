"""After training: the gauge is set, what the model learned is measured, an ensemble is fitted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.processes import processes
from training.algorithms.formulas.ranking_losses import num_correct, rank_table, ranking_pairs
from training.algorithms.measuring.calibration import calibration_report, judged_pairs
from training.algorithms.measuring.ensemble import (
    Ensemble,
    EnsembleConfig,
    ensemble_fit,
    ensemble_save,
    ensemble_scores,
)
from training.algorithms.measuring.scoring import features, ranking_report, ranking_scores, scores
from training.algorithms.records import RankedCompletions
from training.algorithms.reward_model import RewardModelConfig
from training.algorithms.reward_model.gauge import Anchors, gauge_of
from training.algorithms.run_dir import RunDir
from training.algorithms.seeds import seed_mix

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Report:
    metrics: dict[str, float]
    data: dict[str, Any]
    ensemble: Ensemble | None

    def save(self, learner: Learner, tokenizer: Any, folder: Path) -> None:
        """The reward model, with its ensemble beside it."""
        learner.save(tokenizer, folder)
        if self.ensemble is not None and processes().is_main:
            ensemble_save(self.ensemble, folder)


def gauge_set(learner: Learner, anchors: Anchors, pad_id: int) -> None:
    """Sets reward_bias and reward_scale in the model's config."""
    learner.config.reward_bias, learner.config.reward_scale = 0.0, 1.0

    def measure(model: Any, rows: Sequence[int]) -> list[float]:
        prompts = [anchors.prompts[row] for row in rows]
        completions = [anchors.completions[row] for row in rows]
        return scores(model, prompts, completions, pad_id).tolist()

    logits = torch.tensor(_measured(learner, range(len(anchors.prompts)), measure))
    bias, scale = gauge_of(logits, unit_variance=anchors.name == "reference")
    learner.config.reward_bias, learner.config.reward_scale = bias, scale


def report_make(
    run_dir: RunDir,
    learner: Learner,
    config: RewardModelConfig,
    train: Sequence[RankedCompletions],
    held_out: Sequence[RankedCompletions],
    pad_id: int,
) -> Report:
    metrics: dict[str, float] = {}
    data: dict[str, Any] = {}
    for split, rankings in (("train", train), ("held_out", held_out)):
        if not rankings:
            continue
        rows = _measured(learner, rankings, lambda m, part: ranking_scores(m, part, pad_id))
        metrics |= _metrics(learner, config, rows, rankings, split)
        pairs = judged_pairs(rows, rankings)
        if split == "held_out" and pairs:
            data["calibration"] = report = calibration_report(pairs)
            metrics["reward_model/held_out_accuracy_low"] = report["low"]
            metrics["reward_model/held_out_accuracy_high"] = report["high"]
            metrics["reward_model/held_out_calibration_error"] = report["calibration_error"]
    ensemble = None
    if config.num_heads:
        ensemble, told = _ensemble_make(run_dir, learner, config, train, held_out, pad_id)
        if told:
            data["ensemble"] = told
    return Report(metrics, data, ensemble)


def uncertainty_terciles(
    values: Tensor, rankings: Sequence[RankedCompletions]
) -> list[dict[str, float]]:
    """Accuracy of the heads' mean by how far the heads differ, least uncertain pairs first.

    values [N, M] of the completions, ranking by ranking, in log odds.
    """
    table = rank_table([ranking.ranks for ranking in rankings])
    heads = torch.stack([ranking_pairs(head, table).margin for head in values.T])  # [M, pairs]
    mean, spread = heads.mean(0), heads.std(0, correction=0)
    order = torch.argsort(spread, stable=True)
    return [
        {
            "num_pairs": float(len(part)),
            "mean_uncertainty": float(spread[part].mean()),
            "accuracy": float(num_correct(mean[part])) / len(part),
        }
        for part in order.tensor_split(3)
        if len(part)
    ]


def _metrics(
    learner: Learner,
    config: RewardModelConfig,
    rows: Sequence[Tensor],
    rankings: Sequence[RankedCompletions],
    split: str,
) -> dict[str, float]:
    tie_log_nu = getattr(learner.config, "tie_log_nu", 0.0)
    report = ranking_report(rows, rankings, config.ties, tie_log_nu)
    metrics = {
        f"reward_model/{split}_num_rankings": float(report.num_rankings),
        f"reward_model/{split}_num_pairs": float(report.num_pairs),
    }
    if not math.isnan(report.loss):
        metrics[f"reward_model/{split}_loss"] = report.loss
    if report.num_pairs:
        metrics[f"reward_model/{split}_accuracy"] = report.accuracy
        metrics[f"reward_model/{split}_brier"] = report.brier
    return metrics


def _ensemble_make(
    run_dir: RunDir,
    learner: Learner,
    config: RewardModelConfig,
    train: Sequence[RankedCompletions],
    held_out: Sequence[RankedCompletions],
    pad_id: int,
) -> tuple[Ensemble, list[dict[str, float]]]:
    """The ensemble, and its accuracy by uncertainty on held-out pairs, if there are any."""
    options = EnsembleConfig(config.num_heads, config.head_hidden_size, config.head_prior_scale)
    seed = seed_mix(run_dir.seed, "reward_model", "ensemble")
    rows = _features(learner, train, pad_id)
    ensemble = ensemble_fit(rows, [ranking.ranks for ranking in train], options, seed)
    if not any(len(set(ranking.ranks)) > 1 for ranking in held_out):
        return ensemble, []
    values = ensemble_scores(ensemble, _features(learner, held_out, pad_id))
    return ensemble, uncertainty_terciles(values, held_out)


def _features(learner: Learner, rankings: Sequence[RankedCompletions], pad_id: int) -> Tensor:
    """[N, D] of all completions, ranking by ranking."""

    def measure(model: Any, part: Sequence[RankedCompletions]) -> list[Tensor]:
        prompts = [ranking.prompt_ids for ranking in part for _ in ranking.completions]
        completions = [completion for ranking in part for completion in ranking.completions]
        sizes = [len(ranking.completions) for ranking in part]
        return list(features(model, prompts, completions, pad_id).split(sizes))

    return torch.cat(_measured(learner, rankings, measure))


def _measured(
    learner: Learner,
    items: Sequence[ItemT],
    measure: Callable[[Any, Sequence[ItemT]], Sequence[Any]],
) -> list[Any]:
    """One result per item, in order; each process measures its share, unless the model is sharded.

    A sharded model needs the same calls in every process.
    """
    if not items:
        return []
    if learner.is_sharded:
        return list(learner.read(measure, items))
    mine = processes().share(items)
    return processes().gather(learner.read(measure, mine) if mine else [])
