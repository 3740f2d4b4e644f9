"""SFT: cross-entropy of the completion tokens of demonstrations, prompt tokens left out.

Every epoch visits the train demonstrations in a new order and ends with the loss on the held-out
ones. The weights of the epoch with the lowest held-out loss are the output; without held-out
demonstrations, those of the last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.algorithms.checkpoint_io import (
    checkpoint_save,
    context_length,
    device_pick,
    policy_load,
    tokenizer_load,
)
from training.algorithms.collate import groups_by_length, sequences_collate
from training.algorithms.encoding import demonstrations_encode
from training.algorithms.errors import DataTooSmall
from training.algorithms.logprobs import completion_logprobs
from training.algorithms.losses import sft_loss
from training.algorithms.optimization import adamw, cosine_rate, optimizer_step
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.seeds import permutation
from training.algorithms.sft import SFTConfig
from training.algorithms.state import State, state_load, step_finished


@dataclass(slots=True)
class Best:
    """The epoch with the lowest held-out loss so far."""

    epoch: int
    loss: float
    weights: dict[str, torch.Tensor] | None


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(SFTConfig)
    tokenizer = tokenizer_load(run_dir.input_path("init"))
    model = policy_load(run_dir.input_path("init"), tokenizer)
    max_tokens = min(config.max_tokens, context_length(model) or config.max_tokens)
    train = demonstrations_encode(tokenizer, run_dir.records("demonstrations", "train"), max_tokens)
    held_out = demonstrations_encode(
        tokenizer, run_dir.records("demonstrations", "held_out"), max_tokens
    )
    num_too_long = train.num_too_long + held_out.num_too_long
    if len(train.records) < config.min_demonstrations:
        raise DataTooSmall(
            "demonstrations", len(train.records), config.min_demonstrations,
            f"{num_too_long} were left out as too long." if num_too_long else "",
        )  # fmt: skip
    run_dir.metrics_write(0, {"data/demonstrations_too_long": num_too_long})
    best, last_loss = _train(run_dir, config, model, tokenizer, train.records, held_out.records)
    if best.weights is not None:
        model.load_state_dict(best.weights)
    run_dir.output_save(lambda folder: checkpoint_save(model, tokenizer, folder))
    metrics = {"sft/train_loss": last_loss}
    if held_out.records:
        metrics["sft/held_out_loss"] = best.loss
    data = {
        "num_demonstrations": len(train.records),
        "num_held_out": len(held_out.records),
        "num_too_long": num_too_long,
        "kept_epoch": best.epoch,
    }
    return Result(metrics, data)


def _train(
    run_dir: RunDir,
    config: SFTConfig,
    model: Any,
    tokenizer: Any,
    train: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
) -> tuple[Best, float]:
    optimizer = adamw(model.parameters(), config.weight_decay)
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    num_steps = steps_per_epoch * config.num_epochs
    done, best, loss = 0, Best(0, math.inf, None), math.nan
    if (state := state_load(run_dir)) is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done, loss = state["done"], state["loss"]
        best = Best(state["best_epoch"], state["best_loss"], state["best_weights"])

    def current_state() -> State:
        return {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "done": done,
            "loss": loss,
            "best_epoch": best.epoch,
            "best_loss": best.loss,
            "best_weights": best.weights,
        }

    while done < num_steps:
        epoch, batch_index = divmod(done, steps_per_epoch)
        order = permutation(len(train), run_dir.seed, "sft", epoch)
        start = batch_index * config.batch_size
        batch = [train[row] for row in order[start : start + config.batch_size]]
        loss = batch_backward(model, batch, config.micro_batch_tokens, tokenizer.pad_token_id)
        rate = cosine_rate(done, num_steps, config.learning_rate)
        norm = optimizer_step(optimizer, rate, config.max_grad_norm)
        done += 1
        metrics = {"sft/loss": loss, "sft/learning_rate": rate, "sft/gradient_norm": norm}
        if done % steps_per_epoch == 0:
            metrics["sft/epoch"] = epoch + 1
            if held_out:
                held_out_loss = mean_loss(model, held_out, config, tokenizer.pad_token_id)
                metrics["sft/held_out_loss"] = held_out_loss
                if held_out_loss < best.loss:
                    weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
                    best = Best(epoch + 1, held_out_loss, weights)
            else:
                best.epoch = epoch + 1
        run_dir.metrics_write(done, metrics)
        run_dir.progress_write(done, num_steps, f"epoch {epoch + 1} of {config.num_epochs}")
        step_finished(run_dir, done, config.save_every_steps, current_state, num_steps)
    return best, loss


def batch_backward(
    model: Any, batch: Sequence[Demonstration], micro_batch_tokens: int, pad_id: int
) -> float:
    """Adds the gradient of the batch's mean loss per completion token; returns that loss, nats."""
    num_tokens = sum(len(record.completion_ids) for record in batch)
    return sum(
        _micro_batch_loss(model, group, num_tokens, pad_id, backward=True)
        for group in _groups(batch, micro_batch_tokens)
    )


@torch.no_grad()
def mean_loss(
    model: Any, records: Sequence[Demonstration], config: SFTConfig, pad_id: int
) -> float:
    """Mean loss per completion token over all records, nats."""
    num_tokens = sum(len(record.completion_ids) for record in records)
    return sum(
        _micro_batch_loss(model, group, num_tokens, pad_id, backward=False)
        for group in _groups(records, config.micro_batch_tokens)
    )


def _groups(records: Sequence[Demonstration], max_tokens: int) -> list[list[Demonstration]]:
    lengths = [len(record.prompt_ids) + len(record.completion_ids) for record in records]
    return [[records[row] for row in group] for group in groups_by_length(lengths, max_tokens)]


def _micro_batch_loss(
    model: Any, records: Sequence[Demonstration], num_tokens: int, pad_id: int, backward: bool
) -> float:
    sequences = sequences_collate(
        [record.prompt_ids for record in records],
        [record.completion_ids for record in records],
        pad_id,
        device_pick(),
    )
    logprobs = completion_logprobs(model, sequences, temperature=1.0)
    loss = sft_loss(logprobs, sequences.completion_mask, num_tokens)
    if backward:
        loss.backward()
    return float(loss.detach())
