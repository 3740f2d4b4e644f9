"""Demonstrations to tensors, their loss, and its gradient.

Learned are the completion's tokens, and those in `loss_spans` where a demonstration has any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.learner import Learner
from training.algorithms.engine.processes import processes
from training.algorithms.kernel.collate import (
    groups_by_length,
    packed_collate,
    rows_packed,
    sequences_collate,
)
from training.algorithms.kernel.logprobs import completion_loss
from training.algorithms.records import Demonstration, Sequences


def batch_learn(
    learner: Learner,
    batch: Sequence[Demonstration],
    max_tokens: int,
    pad_id: int,
    pack_tokens: int | None = None,
) -> float:
    """Adds the gradient of the batch's mean loss per learned token; returns that loss, nats.

    pack_tokens: rows of about this many tokens hold several demonstrations; None: one to a row.
    """
    num_tokens = num_learned_tokens(batch)

    def loss_of(model: Any, sequences: Sequences) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        return completion_loss(model, sequences, num_tokens), {}

    groups = demonstration_sequences(batch, max_tokens, pad_id, pack_tokens)
    return learner.accumulate(groups, loss_of)["loss"]


def mean_loss(
    model: Any,
    records: Sequence[Demonstration],
    max_tokens: int,
    pad_id: int,
    pack_tokens: int | None = None,
) -> float:
    """Mean loss per learned token over all records, nats."""
    num_tokens = num_learned_tokens(records)
    groups = demonstration_sequences(records, max_tokens, pad_id, pack_tokens)
    return float(sum(completion_loss(model, group, num_tokens).double() for group in groups))


def num_learned_tokens(records: Sequence[Demonstration]) -> int:
    return sum(end - start for record in records for start, end in learned_spans(record))


def learned_spans(record: Demonstration) -> list[tuple[int, int]]:
    """(start, end) of the learned tokens within prompt and completion, end excluded, in order.

    Nothing predicts the very first token, so it is never learned.
    """
    prompt_length = len(record.prompt_ids)
    completion = (prompt_length, prompt_length + len(record.completion_ids))
    return [(max(start, 1), end) for start, end in [*record.loss_spans, completion]]


def demonstration_sequences(
    records: Sequence[Demonstration], max_tokens: int, pad_id: int, pack_tokens: int | None = None
) -> list[Sequences]:
    """Micro-batches of at most max_tokens once padded; completion_mask is True at learned tokens.

    With pack_tokens, as many packed rows as fit; without, demonstrations of similar length.
    """
    lengths = [len(record.prompt_ids) + len(record.completion_ids) for record in records]
    if pack_tokens is None:
        groups = groups_by_length(lengths, max_tokens)
        return [_collate([records[row] for row in group], None, pad_id) for group in groups]
    packs = rows_packed(lengths, pack_tokens)
    rows_per_group = max(1, max_tokens // max(pack_tokens, *lengths))
    sequences = []
    for first in range(0, len(packs), rows_per_group):
        part = packs[first : first + rows_per_group]
        places = iter(range(sum(map(len, part))))
        rows = [[next(places) for _ in pack] for pack in part]
        sequences.append(_collate([records[i] for pack in part for i in pack], rows, pad_id))
    return sequences


def _collate(
    records: Sequence[Demonstration], rows: Sequence[Sequence[int]] | None, pad_id: int
) -> Sequences:
    """rows: which records share a row; None: one to a row.

    To the model a record with loss_spans has a prompt that ends before the first of them; what
    follows is its completion, and the mask leaves out what the assistant did not say.
    """
    spans = [learned_spans(record) for record in records]
    prompts, completions = [], []
    for record, ((first, _), *_) in zip(records, spans, strict=True):
        prompts.append(record.prompt_ids[:first])
        completions.append(record.prompt_ids[first:] + record.completion_ids)
    device = processes().device
    if rows is None:
        sequences = sequences_collate(prompts, completions, pad_id, device)
    else:
        sequences = packed_collate(prompts, completions, rows, pad_id, device)
    if not any(record.loss_spans for record in records):
        return sequences
    mask = torch.zeros(sequences.completion_mask.shape, dtype=torch.bool)
    for row, learned in enumerate(spans):
        first = learned[0][0]
        for start, end in learned:
            mask[row, start - first : end - first] = True
    return replace(sequences, completion_mask=mask.to(device))
