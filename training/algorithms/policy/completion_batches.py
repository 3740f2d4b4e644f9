"""Many completions as micro-batches for one model: prompts shared where that is exact and pays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.processes import processes
from training.algorithms.kernel.collate import (
    TokenLists,
    groups_by_length,
    sequences_collate,
    shared_collate,
)
from training.algorithms.kernel.prompt_sharing import can_share_prompts, prompt_groups, shares_pay
from training.algorithms.records import Sequences

Call = Callable[..., Any]
"""`learner.read` or a Frozen: call(function, *args) gives function(model, *args)."""


@dataclass(frozen=True, slots=True)
class CompletionBatch:
    """Some of many completions, ready for one forward pass. b of B rows, t of T tokens."""

    rows: list[int]
    """[b] their places among all completions"""
    sequences: Sequences
    """b completions on the device, in the order of rows"""

    @property
    def mask(self) -> Tensor:
        """[b, t] True at completion tokens."""
        return self.sequences.completion_mask

    def pick(self, values: Tensor) -> Tensor:
        """The part of values [B, T] that belongs here, [b, t] on the device; of [B], [b]."""
        picked = values[self.rows] if values.dim() == 1 else values[self.rows, : self.mask.shape[1]]
        return picked.to(self.mask.device)


def batches_make(
    call: Call,
    prompts: TokenLists,
    completions: TokenLists,
    rows: Sequence[int],
    group_size: int,
    pad_id: int,
    max_tokens: int,
) -> list[CompletionBatch]:
    """The completions `rows` in batches of at most max_tokens padded tokens, similar lengths.

    With group_size > 1 rows are whole groups: group_size neighbors that continue one prompt. The
    batches are a function of the lengths alone; which one a row is in changes nothing but rounding.
    """
    device = processes().device
    groups = [rows[start : start + group_size] for start in range(0, len(rows), group_size)]
    prompt_lengths = [len(prompts[group[0]]) for group in groups]
    lengths = [[len(completions[row]) for row in group] for group in groups]
    if group_size > 1 and shares_pay(prompt_lengths, lengths) and call(can_share_prompts):
        return [
            CompletionBatch(
                [row for index in chosen for row in groups[index]],
                shared_collate(
                    [prompts[groups[index][0]] for index in chosen],
                    [[completions[row] for row in groups[index]] for index in chosen],
                    pad_id,
                    device,
                ),
            )
            for chosen in prompt_groups(prompt_lengths, lengths, max_tokens, is_shared=True)
        ]
    totals = [len(prompts[row]) + len(completions[row]) for row in rows]
    batches = [[rows[index] for index in group] for group in groups_by_length(totals, max_tokens)]
    return [
        CompletionBatch(
            batch,
            sequences_collate(
                [prompts[row] for row in batch], [completions[row] for row in batch], pad_id, device
            ),
        )
        for batch in batches
    ]


def batches_measure(
    call: Call,
    measure: Callable[[Any, Sequences], tuple[Tensor, ...]],
    batches: Sequence[CompletionBatch],
    everywhere: bool = False,
) -> list[Tensor]:
    """measure(model, sequences) -> tensors [b] or [b, t], put together as [B] or [B, T].

    On the CPU, fp32, zeros where padded; every completion is in one batch. The processes share the
    batches, unless `everywhere` (a sharded model); all get all results.
    """
    mine = batches if everywhere else processes().share(batches)
    parts = [[part.float().cpu() for part in call(measure, batch.sequences)] for batch in mine]
    if not everywhere:
        parts = processes().gather(parts)
    num_rows = sum(len(batch.rows) for batch in batches)
    width = max(batch.mask.shape[1] for batch in batches)
    results = [torch.zeros((num_rows, width)[: part.dim()]) for part in parts[0]]
    for batch, tensors in zip(batches, parts, strict=True):
        for result, part in zip(results, tensors, strict=True):
            if part.dim() == 1:
                result[batch.rows] = part
            else:
                result[batch.rows, : part.shape[1]] = part
    return results
