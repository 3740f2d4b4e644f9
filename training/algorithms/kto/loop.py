"""KTO: completions that a person approved or disapproved, each on its own.

The baseline z0 of a batch comes from its prompts with the completions of their neighbours
(mismatched pairs), without gradient. The order of every epoch is a function of the seed, so the
reference's log-probabilities of all these pairs are computed before the first step, too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from training.algorithms.data.encoding import data_metrics, ratings_encode, records_require
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.optimization import warmup_rate
from training.algorithms.engine.training_loop import Candidates, TrainingLoop
from training.algorithms.formulas.preference_losses import kto_baseline
from training.algorithms.kernel.completion_totals import completion_totals, token_batches
from training.algorithms.kto import KTOConfig
from training.algorithms.kto.ratings import (
    Measure,
    balance_check,
    both_classes_require,
    class_means,
    rating_sums,
)
from training.algorithms.models.checkpoint_io import context_length, policy_load, tokenizer_load
from training.algorithms.records import Rating
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation, seed_mix


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(KTOConfig)
    tokenizer = tokenizer_load(run_dir.input_path("reference"))
    load = partial(policy_load, run_dir.input_path("reference"), tokenizer)
    model = load()
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train = ratings_encode(tokenizer, run_dir.records("ratings", "train"), max_tokens)
    held_out = ratings_encode(tokenizer, run_dir.records("ratings", "held_out"), max_tokens)
    records_require(train, "training ratings", config.min_train_ratings)
    both_classes_require(train.records)
    balance, advice = balance_check(train.records, config)
    run_dir.metrics_write(0, data_metrics(train, held_out) | {"kto/balance": balance})
    seed = seed_mix(run_dir.seed, "kto", "adapter")
    learner = Learner(model, config, run_dir.hardware, seed)
    measure = Measure(config.micro_batch_tokens, tokenizer.pad_token_id, max_tokens)
    save = partial(learner.save, tokenizer)
    candidates = Candidates(config.num_candidates, save)
    loop = _train(
        run_dir, config, learner, train.records, held_out.records, load, measure, candidates
    )
    learner.finish()
    run_dir.output_save(save)
    data = {
        "num_ratings": len(train.records),
        "num_desirable": sum(rating.desirable for rating in train.records),
        "num_held_out": len(held_out.records),
        "balance_advice": advice,
        "candidates": loop.candidates,
    }
    return Result(loop.metrics, data)


def _train(
    run_dir: RunDir,
    config: KTOConfig,
    learner: Learner,
    train: Sequence[Rating],
    held_out: Sequence[Rating],
    load: Callable[[], Any],
    measure: Measure,
    candidates: Candidates,
) -> TrainingLoop:
    """Returns the finished loop.

    memory: the reference's totals of the train and held-out ratings, and of the mismatched pairs
    of every step (of the held-out ratings last).
    """
    sharded = learner.is_sharded
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    memory: dict[str, Any] = {"reference": None, "reference_mismatched": None}
    loop = TrainingLoop(
        run_dir, {"policy": learner}, num_steps, config.save_every_steps, memory, candidates
    )

    def batch_rows(step: int) -> list[int]:
        epoch, batch_index = divmod(step, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "kto", epoch)
        return order[batch_index * config.batch_size :][: config.batch_size]

    for step in loop.steps():
        if loop.memory["reference"] is None:
            start = learner.frozen_start(load)
            batches = [[train[row] for row in batch_rows(s)] for s in range(num_steps)]
            loop.memory["reference"] = measure.matched(start, [*train, *held_out], sharded)
            loop.memory["reference_mismatched"] = [
                measure.mismatched(start, batch, sharded).tolist() for batch in [*batches, held_out]
            ]
            del start  # a second model in memory, unless there is an adapter
        reference: Tensor = loop.memory["reference"]
        rows = batch_rows(step)
        batch = [train[row] for row in rows]
        mismatched = measure.mismatched(learner.read, batch, sharded)
        of_reference = torch.tensor(loop.memory["reference_mismatched"][step])
        baseline = float(kto_baseline(mismatched - of_reference))
        sums = batch_learn(learner, batch, reference[rows], baseline, config, measure)
        rate = warmup_rate(step, num_steps, config.learning_rate, config.warmup_share)
        norm = learner.step(rate)
        metrics = {f"kto/{key}": value for key, value in class_means(sums, batch).items()}
        metrics |= {"kto/learning_rate": rate, "kto/gradient_norm": norm, "kto/baseline": baseline}
        if (step + 1) % steps_per_epoch == 0:
            metrics["kto/epoch"] = step // steps_per_epoch + 1
            if held_out:
                measured = held_out_means(
                    learner,
                    held_out,
                    reference[len(train) :],
                    torch.tensor(loop.memory["reference_mismatched"][-1]),
                    config,
                    measure,
                )
                metrics |= {f"kto/held_out_{key}": value for key, value in measured.items()}
        loop.log(step + 1, metrics, f"step {step + 1} of {num_steps}")
    return loop


def batch_learn(
    learner: Learner,
    batch: Sequence[Rating],
    reference: Tensor,
    baseline: float,
    config: KTOConfig,
    measure: Measure,
) -> dict[str, float]:
    """Adds the gradient of the batch's mean loss; returns the sums named in rating_sums.

    reference [N]: the reference's totals; baseline: z0 of the whole batch, nats.
    """

    def loss_of(model: Any, group: Sequence[int]) -> tuple[Tensor, Mapping[str, Tensor]]:
        ratings = [batch[index] for index in group]
        totals = completion_totals(
            model,
            [rating.prompt_ids for rating in ratings],
            [[rating.completion_ids] for rating in ratings],
            measure.pad_id,
        )
        sums = rating_sums(ratings, totals, reference[list(group)], baseline, config)
        return sums.pop("loss") / len(batch), sums

    groups = token_batches(
        learner.read,
        [rating.prompt_ids for rating in batch],
        [[rating.completion_ids] for rating in batch],
        measure.micro_batch_tokens,
    )
    return learner.accumulate(groups, loss_of)


def held_out_means(
    learner: Learner,
    ratings: Sequence[Rating],
    reference: Tensor,
    reference_mismatched: Tensor,
    config: KTOConfig,
    measure: Measure,
) -> dict[str, float]:
    """class_means of the held-out ratings taken as one batch, its baseline included.

    "accuracy": share of ratings whose log-ratio is above the baseline exactly when a person
    approved.
    """
    mismatched = measure.mismatched(learner.read, ratings, learner.is_sharded)
    baseline = float(kto_baseline(mismatched - reference_mismatched))
    totals = measure.matched(learner.read, ratings, learner.is_sharded)
    sums = {
        name: float(value)
        for name, value in rating_sums(ratings, totals, reference, baseline, config).items()
    }
    sums["loss"] /= len(ratings)
    desirable = torch.tensor([rating.desirable for rating in ratings])
    is_right = (totals - reference > baseline) == desirable
    return class_means(sums, ratings) | {"accuracy": float(is_right.float().mean())}
