"""Ragged token lists into tensors, and into groups that waste little on padding."""

from collections.abc import Sequence

import torch

from training.algorithms.masking import lengths_to_mask
from training.algorithms.records import Sequences

TokenLists = Sequence[Sequence[int]]


def sequences_collate(
    prompts: TokenLists, completions: TokenLists, pad_id: int, device: torch.device | str = "cpu"
) -> Sequences:
    """Right-pads prompt + completion. Every prompt and completion has at least one token."""
    rows = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
    width = max(map(len, rows))
    input_ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts])
    lengths = torch.tensor([len(completion) for completion in completions])
    mask = lengths_to_mask(lengths, int(lengths.max()))
    return Sequences(
        input_ids.to(device), prompt_lengths.to(device), lengths.to(device), mask.to(device)
    )


def groups_by_length(
    lengths: Sequence[int], max_tokens: int, max_padding: float = 0.1, min_rows: int = 8
) -> list[list[int]]:
    """Row indices in groups of similar length, each at most max_tokens once padded.

    Rows are taken longest first. A group also ends when pads would exceed the share max_padding of
    it, unless it has fewer than min_rows: small groups cost more than their pads. A single row
    longer than max_tokens forms its own group. The order is a function of the lengths alone.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    groups: list[list[int]] = []
    real = width = 0
    for row in order:
        size = len(groups[-1]) + 1 if groups else 1
        fits = bool(groups) and size * width <= max_tokens
        padding = 1 - (real + lengths[row]) / (size * width) if fits else 0.0
        if fits and (size <= min_rows or padding <= max_padding):
            groups[-1].append(row)
            real += lengths[row]
        else:
            groups.append([row])
            real = width = lengths[row]
    return groups
