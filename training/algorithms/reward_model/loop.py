"""Reward model: all completions of a ranking scored once, all its pairs in one loss term.

One optimizer step takes batch_size rankings; every ranking weighs the same whatever its K. What
the loss makes of ties, strength and wrong judgements is settled before the first step (objective),
where scores are 0 after the last (gauge).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.data.encoding import (
    data_metrics,
    demonstrations_encode,
    rankings_encode,
    records_require,
)
from training.algorithms.data.record_checks import AI, PERSON, labeler_get
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import cosine_rate
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.errors import DataTooSmall
from training.algorithms.formulas.ranking_losses import (
    counted_pairs,
    davidson_gradient,
    num_correct,
    pair_losses,
    rank_table,
    ranking_losses,
    ranking_pairs,
)
from training.algorithms.kernel.prompt_sharing import can_share_prompts
from training.algorithms.measuring.scoring import batch_scores, ranking_batches
from training.algorithms.models.checkpoint_io import (
    context_length,
    reward_model_from_policy,
    reward_model_load,
    tokenizer_load,
)
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.models.scalar_model import head_initialize
from training.algorithms.records import Demonstration, RankedCompletions
from training.algorithms.reward_model import RewardModelConfig
from training.algorithms.reward_model.gauge import anchors_make
from training.algorithms.reward_model.objective import (
    Objective,
    adam_scalar,
    judgements_compare,
    objective_make,
    tie_log_nu_start,
)
from training.algorithms.reward_model.report import gauge_set, report_make
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import generator_for, permutation, seed_mix

# What is missing when there is too little of it, by learn_from.
_LEARNED = {"train": "training rankings", "held_out": "held-out rankings"}


@dataclass(frozen=True, slots=True)
class _Data:
    train: list[RankedCompletions]
    """What is learned from, of whichever split."""
    held_out: list[RankedCompletions]
    """People's rankings of the other split."""
    demonstrations: list[Demonstration]
    """Of the split that is learned from, or all where it has none."""


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(RewardModelConfig)
    tokenizer = tokenizer_load(run_dir.input_path("init"))
    model = _model_start(run_dir, config, tokenizer)
    if config.gauge == "reference":
        require_decoder_only(model, "The gauge 'reference'")
    data = _data_read(run_dir, config, tokenizer, context_length(model))
    anchors = anchors_make(run_dir, config, tokenizer, data.demonstrations, data.train)
    repeated = judgements_compare([r for r in data.train if r.labeler == PERSON])
    objective = objective_make(config, data.train, repeated)
    adapter_seed = seed_mix(run_dir.seed, "reward_model", "adapter")
    learner = Learner(model, config, run_dir.hardware, adapter_seed)
    pad_id = tokenizer.pad_token_id
    loop, num_steps = _train(run_dir, config, objective, learner, data.train, pad_id)
    learner.finish()
    if config.ties == "davidson":
        learner.config.tie_log_nu = loop.memory["tie"]["value"]
    gauge_set(learner, anchors, pad_id)
    report = report_make(run_dir, learner, config, data.train, data.held_out, pad_id)
    run_dir.output_save(lambda folder: report.save(learner, tokenizer, folder))
    curves = {name: value for name, value in report.metrics.items() if "_num_" not in name}
    run_dir.metrics_write(num_steps, curves)
    return Result(
        report.metrics,
        {
            "learn_from": config.learn_from,
            "num_train_rankings": len(data.train),
            "num_train_rankings_ai": sum(r.labeler == AI for r in data.train),
            "num_held_out_rankings": len(data.held_out),
            "reward_bias": learner.config.reward_bias,
            "reward_bias_from": anchors.name,
            "reward_scale": learner.config.reward_scale,
            "label_smoothing": objective.label_smoothing,
            "flip_rate": repeated.flip_rate,
            "num_repeated_judgements": repeated.num_judgement_pairs,
            "num_disagreements": repeated.num_disagreements,
            **report.data,
        },
    )


def _model_start(run_dir: RunDir, config: RewardModelConfig, tokenizer: Any) -> Any:
    """A reward model to be trained, whose score is its logit."""
    if config.start == "policy":
        model = reward_model_from_policy(run_dir.input_path("init"), tokenizer)
        head_initialize(model, generator_for(run_dir.seed, "reward_head"))
        return model
    model = reward_model_load(run_dir.input_path("warm_start"), tokenizer)
    # What was measured on the earlier model holds no longer.
    for name in ("reward_bias", "reward_scale", "tie_log_nu"):
        vars(model.config).pop(name, None)
    return model


def _data_read(
    run_dir: RunDir, config: RewardModelConfig, tokenizer: Any, context: int | None
) -> _Data:
    """What is left out is counted; raises DataTooSmall when too little is left."""
    max_tokens = min(config.max_tokens, context or config.max_tokens)
    learned = config.learn_from
    measured = "held_out" if learned == "train" else "train"
    train = rankings_encode(tokenizer, _rankings_read(run_dir, learned), max_tokens)
    held_out = rankings_encode(tokenizer, run_dir.records("rankings", measured), max_tokens)
    shown = run_dir.records("demonstrations", learned)
    shown = shown or run_dir.records("demonstrations", measured)
    demonstrations = demonstrations_encode(tokenizer, shown, max_tokens)
    run_dir.metrics_write(0, data_metrics(train, held_out, demonstrations))
    records_require(train, _LEARNED[learned], config.min_train_rankings)
    rankings = train.records
    if config.ties == "drop":  # a ranking of ties only has no pair left
        rankings = [ranking for ranking in rankings if ranking.prefers]
        if len(rankings) < config.min_train_rankings:
            raise DataTooSmall(
                f"{_LEARNED[learned]} with a preference", len(rankings), config.min_train_rankings
            )
    by_people = [ranking for ranking in held_out.records if ranking.labeler == PERSON]
    return _Data(rankings, by_people, demonstrations.records)


def _rankings_read(run_dir: RunDir, split: str) -> list[dict[str, Any]]:
    """Of the held-out ones people's alone: what learns from them speaks for people."""
    records = run_dir.records("rankings", split)
    return [r for r in records if split == "train" or labeler_get(r) == PERSON]


def _train(
    run_dir: RunDir,
    config: RewardModelConfig,
    objective: Objective,
    learner: Learner,
    train: Sequence[RankedCompletions],
    pad_id: int,
) -> tuple[TrainingLoop, int]:
    """memory: "tie", the tie parameter log nu and the state of its optimizer."""
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    memory = {"tie": {"value": tie_log_nu_start(train)}} if config.ties == "davidson" else {}
    loop = TrainingLoop(
        run_dir, {"reward_model": learner}, num_steps, config.save_every_steps, memory
    )
    for step in loop.steps():
        epoch, batch_index = divmod(step, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "reward_model", epoch)
        start = batch_index * config.batch_size
        batch = [train[row] for row in order[start : start + config.batch_size]]
        tie_log_nu = loop.memory["tie"]["value"] if config.ties == "davidson" else 0.0
        sums = batch_learn(learner, batch, objective, pad_id, tie_log_nu)
        rate = cosine_rate(step, num_steps, config.learning_rate)
        metrics = {
            "reward_model/loss": sums["loss"],
            "reward_model/learning_rate": rate,
            "reward_model/gradient_norm": learner.step(rate),
        }
        if sums["num_pairs"]:
            metrics["reward_model/batch_accuracy"] = sums["num_correct"] / sums["num_pairs"]
        if config.ties == "davidson":
            metrics["reward_model/tie_log_nu"] = tie_log_nu
            loop.memory["tie"] = adam_scalar(
                loop.memory["tie"], sums["tie_gradient"], config.tie_learning_rate
            )
        loop.log(step + 1, metrics, f"epoch {epoch + 1} of {config.num_epochs}")
    return loop, num_steps


def batch_learn(
    learner: Learner,
    batch: Sequence[RankedCompletions],
    objective: Objective,
    pad_id: int,
    tie_log_nu: float = 0.0,
) -> dict[str, float]:
    """Adds the gradient of the batch's loss: the weighted mean over its rankings.

    Returns that "loss"; "num_correct" of "num_pairs" decided pairs before the step; with Davidson's
    ties also the loss's "tie_gradient" for tie_log_nu. A ranking is never split between forward
    passes, as its pairs need all its scores.
    """
    total_weight = sum(map(objective.weight, batch)) or 1.0  # 0: all of strength 0, no gradient
    is_shared = learner.read(can_share_prompts)

    def loss_of(
        model: Any, group: Sequence[RankedCompletions]
    ) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        scores = batch_scores(model, group, pad_id)
        return group_loss(scores, group, objective, total_weight, tie_log_nu)

    max_tokens = objective.config.micro_batch_tokens
    groups = [
        [batch[index] for index in group] for group in ranking_batches(batch, max_tokens, is_shared)
    ]
    return learner.accumulate(groups, loss_of)


def group_loss(
    scores: Tensor,
    group: Sequence[RankedCompletions],
    objective: Objective,
    total_weight: float,
    tie_log_nu: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The group's part of the batch's loss and of what batch_learn returns besides it.

    scores [N], ranking by ranking; total_weight: of the rankings of the whole batch.
    """
    ties = objective.config.ties
    pairs = ranking_pairs(
        scores,
        rank_table([ranking.ranks for ranking in group]),
        [ranking.probability for ranking in group],
    )
    margins = torch.tensor([objective.margin(r) for r in group], device=scores.device)
    weights = torch.tensor([objective.weight(r) for r in group], device=scores.device)
    weights = weights / total_weight
    losses = pair_losses(pairs, ties, margins, objective.label_smoothing, tie_log_nu)
    counted = counted_pairs(pairs, ties)
    margin = pairs.margin.detach()
    sums = {
        "num_pairs": torch.tensor(float(len(margin))),
        "num_correct": num_correct(margin),
    }
    if ties == "davidson":
        slopes = ranking_losses(davidson_gradient(pairs, tie_log_nu), counted)
        sums["tie_gradient"] = (weights * slopes).sum()
    return (weights * ranking_losses(losses, counted)).sum(), sums
