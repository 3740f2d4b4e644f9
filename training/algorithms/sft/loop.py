"""SFT: cross-entropy of the completion tokens of demonstrations, prompt tokens left out.

Every epoch visits the train demonstrations in a new order and ends with the loss on the held-out
ones. The weights of the epoch with the lowest held-out loss are the output; without held-out
demonstrations, those of the last.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from training.algorithms.checkpoint_io import (
    context_length,
    device_pick,
    policy_load,
    tokenizer_load,
)
from training.algorithms.collate import groups_by_length, sequences_collate
from training.algorithms.encoding import data_metrics, demonstrations_encode, records_require
from training.algorithms.learner import Learner
from training.algorithms.logprobs import completion_loss
from training.algorithms.optimization import cosine_rate
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation, seed_mix
from training.algorithms.sft import SFTConfig
from training.algorithms.training_loop import TrainingLoop


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SFTConfig)
    tokenizer = tokenizer_load(run_dir.input_path("init"))
    model = policy_load(run_dir.input_path("init"), tokenizer)
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train = demonstrations_encode(tokenizer, run_dir.records("demonstrations", "train"), max_tokens)
    held_out = demonstrations_encode(
        tokenizer, run_dir.records("demonstrations", "held_out"), max_tokens
    )
    records_require(train, "demonstrations", config.min_demonstrations)
    run_dir.metrics_write(0, data_metrics(train, held_out))
    learner = Learner(model, config, run_dir.hardware, seed_mix(run_dir.seed, "sft", "adapter"))
    pad_id = tokenizer.pad_token_id
    loop = _train(run_dir, config, learner, train.records, held_out.records, pad_id)
    if loop.memory["best_weights"] is not None:
        learner.weights_restore(loop.memory["best_weights"])
    learner.finish()
    run_dir.output_save(lambda folder: learner.save(tokenizer, folder))
    metrics = {"sft/train_loss": loop.metrics["sft/loss"]}
    if held_out.records:
        metrics["sft/held_out_loss"] = loop.memory["best_loss"]
    data = {
        "num_demonstrations": len(train.records),
        "num_held_out": len(held_out.records),
        "num_too_long": train.num_too_long + held_out.num_too_long,
        "kept_epoch": loop.memory["best_epoch"],
    }
    return Result(metrics, data)


def _train(
    run_dir: RunDir,
    config: SFTConfig,
    learner: Learner,
    train: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
    pad_id: int,
) -> TrainingLoop:
    """memory: best_epoch, best_loss and best_weights, those of the lowest held-out loss so far."""
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    best = {"best_epoch": config.num_epochs, "best_loss": math.inf, "best_weights": None}
    loop = TrainingLoop(run_dir, {"policy": learner}, num_steps, config.save_every_steps, best)
    for step in loop.steps():
        epoch, batch_index = divmod(step, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "sft", epoch)
        start = batch_index * config.batch_size
        batch = [train[row] for row in order[start : start + config.batch_size]]
        loss = batch_learn(learner, batch, config.micro_batch_tokens, pad_id)
        rate = cosine_rate(step, num_steps, config.learning_rate)
        norm = learner.step(rate)
        metrics = {"sft/loss": loss, "sft/learning_rate": rate, "sft/gradient_norm": norm}
        if (step + 1) % steps_per_epoch == 0:
            metrics["sft/epoch"] = epoch + 1
            if held_out:
                held_out_loss = learner.read(mean_loss, held_out, config.micro_batch_tokens, pad_id)
                metrics["sft/held_out_loss"] = held_out_loss
                if held_out_loss < loop.memory["best_loss"]:
                    loop.memory["best_epoch"] = epoch + 1
                    loop.memory["best_loss"] = held_out_loss
                    loop.memory["best_weights"] = learner.weights()
        loop.log(step + 1, metrics, f"epoch {epoch + 1} of {config.num_epochs}")
    return loop


def batch_learn(
    learner: Learner, batch: Sequence[Demonstration], max_tokens: int, pad_id: int
) -> float:
    """Adds the gradient of the batch's mean loss per completion token; returns that loss, nats."""
    num_tokens = sum(len(record.completion_ids) for record in batch)

    def loss_of(
        model: Any, group: Sequence[Demonstration]
    ) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        return group_loss(model, group, num_tokens, pad_id), {}

    return learner.accumulate(demonstration_groups(batch, max_tokens), loss_of)["loss"]


def mean_loss(model: Any, records: Sequence[Demonstration], max_tokens: int, pad_id: int) -> float:
    """Mean loss per completion token over all records, nats."""
    num_tokens = sum(len(record.completion_ids) for record in records)
    return sum(
        float(group_loss(model, group, num_tokens, pad_id))
        for group in demonstration_groups(records, max_tokens)
    )


def group_loss(model: Any, group: Sequence[Demonstration], num_tokens: int, pad_id: int) -> Tensor:
    """The group's part of the mean loss over num_tokens completion tokens."""
    sequences = sequences_collate(
        [record.prompt_ids for record in group],
        [record.completion_ids for record in group],
        pad_id,
        device_pick(),
    )
    return completion_loss(model, sequences, num_tokens)


def demonstration_groups(
    records: Sequence[Demonstration], max_tokens: int
) -> list[list[Demonstration]]:
    """Micro-batches of similar length, at most max_tokens once padded."""
    lengths = [len(record.prompt_ids) + len(record.completion_ids) for record in records]
    return [[records[row] for row in group] for group in groups_by_length(lengths, max_tokens)]
