"""Ragged token lists into tensors, and into groups that waste little on padding."""

from bisect import bisect_left, insort
from collections.abc import Sequence

import torch

from training.algorithms.formulas.masking import lengths_to_mask
from training.algorithms.records import Sequences, SharedPrompts

TokenLists = Sequence[Sequence[int]]


def sequences_collate(
    prompts: TokenLists, completions: TokenLists, pad_id: int, device: torch.device | str = "cpu"
) -> Sequences:
    """Right-pads prompt + completion. Every prompt and completion has at least one token."""
    rows = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
    input_ids, _ = _padded(rows, pad_id, device)
    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    lengths = torch.tensor([len(completion) for completion in completions], device=device)
    return Sequences(input_ids, prompt_lengths, lengths, _mask(lengths))


def shared_collate(
    prompts: TokenLists,
    completions: Sequence[TokenLists],
    pad_id: int,
    device: torch.device | str = "cpu",
) -> Sequences:
    """Each prompt once and its completions after it; B counts completions, order preserved.

    completions[g] belong to prompts[g], at least one each. Only for models and shapes that
    `prompt_sharing.groups_collate` would choose it for.
    """
    counts = torch.tensor([len(group) for group in completions], device=device)
    prompt_ids, prompt_lengths = _padded(prompts, pad_id, device)
    index = torch.arange(len(prompts), device=device).repeat_interleave(counts)
    input_ids, lengths = _padded([row for group in completions for row in group], pad_id, device)
    return Sequences(
        input_ids,
        prompt_lengths[index],
        lengths,
        _mask(lengths),
        shared=SharedPrompts(prompt_ids, prompt_lengths, index),
    )


def packed_collate(
    prompts: TokenLists,
    completions: TokenLists,
    rows: Sequence[Sequence[int]],
    pad_id: int,
    device: torch.device | str = "cpu",
) -> Sequences:
    """Several sequences to a row, as rows (of rows_packed) say; none of them sees another.

    rows holds each index of prompts once. B and its order are those of prompts, not of rows.
    """
    sequences = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    sizes = [sum(len(sequences[index]) for index in row) for row in rows]
    width = max(sizes)
    starts = [0] * len(sequences)
    input_ids: list[int] = []
    position_ids: list[int] = []
    for number, (row, size) in enumerate(zip(rows, sizes, strict=True)):
        place = number * width
        for index in row:
            starts[index] = place
            place += len(sequences[index])
            input_ids.extend(sequences[index])
            position_ids.extend(range(len(sequences[index])))
        input_ids.extend([pad_id] * (width - size))
        position_ids.extend(range(width - size))
    lengths = torch.tensor([len(completion) for completion in completions], device=device)
    return Sequences(
        torch.tensor(input_ids, device=device).view(len(rows), width),
        torch.tensor([len(prompt) for prompt in prompts], device=device),
        lengths,
        _mask(lengths),
        starts=torch.tensor(starts, device=device),
        position_ids=torch.tensor(position_ids, device=device).view(len(rows), width),
    )


def _padded(
    rows: TokenLists, pad_id: int, device: torch.device | str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids [R, L] and lengths [R]."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row] + [pad_id] * (width - len(row)) for row in rows], device=device)
    return ids, torch.tensor([len(row) for row in rows], device=device)


def _mask(lengths: torch.Tensor) -> torch.Tensor:
    return lengths_to_mask(lengths, int(lengths.max()))


def rows_packed(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Indices of sequences, row by row, each row at most row_tokens: best fit, longest first.

    A sequence goes to the fullest row that still has room for it. One longer than row_tokens is
    its own row. The result is a function of the lengths alone.
    """
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, row), ascending
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(room, (lengths[index], 0))
        if place < len(room):
            free, row = room.pop(place)
            rows[row].append(index)
        else:
            free, row = row_tokens, len(rows)
            rows.append([index])
        if (left := free - lengths[index]) > 0:
            insort(room, (left, row))
    return rows


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
