"""Scoring many completions, and what a reward model's scores say about people's rankings."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.checkpoint_io import device_pick
from training.algorithms.collate import TokenLists, groups_by_length, sequences_collate
from training.algorithms.losses import ranking_loss
from training.algorithms.records import RankedCompletions, Sequences
from training.algorithms.scalar_model import sequence_scores

MICRO_BATCH_TOKENS = 16384


def scores_with_gradient(
    model: Any,
    prompts: TokenLists,
    completions: TokenLists,
    pad_id: int,
    max_tokens: int = MICRO_BATCH_TOKENS,
) -> Tensor:
    """Scores [N] in the order given, each sequence once, grouped by length."""
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    groups = groups_by_length(lengths, max_tokens)
    parts = []
    for group in groups:
        sequences = sequences_collate(
            [prompts[row] for row in group],
            [completions[row] for row in group],
            pad_id,
            device_pick(),
        )
        parts.append(sequence_scores(model, sequences))
    order = torch.tensor([row for group in groups for row in group])
    return torch.cat(parts)[torch.argsort(order).to(parts[0].device)]


@torch.no_grad()
def scores(model: Any, prompts: TokenLists, completions: TokenLists, pad_id: int) -> Tensor:
    """Scores [N] on the CPU, no gradient."""
    return scores_with_gradient(model, prompts, completions, pad_id).cpu()


def closed_completions(completions: TokenLists, eos_id: int) -> list[list[int]]:
    """The completions with EOS appended where sampling was cut off.

    The reward model only ever saw texts that end with EOS; one without is outside what it learned.
    """
    return [[*ids] if ids[-1] == eos_id else [*ids, eos_id] for ids in completions]


def tokenwise(
    measure: Callable[[Sequences], tuple[Tensor, ...]],
    prompts: TokenLists,
    completions: TokenLists,
    pad_id: int,
    max_tokens: int = MICRO_BATCH_TOKENS,
) -> list[Tensor]:
    """Applies `measure` (sequences -> tensors [b, t]) in groups of similar length.

    Returns its tensors as [B, T] on the CPU in the order of the prompts, zeros where padded.
    """
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    shape = (len(prompts), max(map(len, completions)))
    results: list[Tensor] = []
    for group in groups_by_length(lengths, max_tokens):
        sequences = sequences_collate(
            [prompts[row] for row in group],
            [completions[row] for row in group],
            pad_id,
            device_pick(),
        )
        parts = measure(sequences)
        results = results or [torch.zeros(shape) for _ in parts]
        for result, part in zip(results, parts, strict=True):
            result[group, : part.shape[1]] = part.float().cpu()
    return results


@torch.no_grad()
def ranking_scores(model: Any, rankings: Sequence[RankedCompletions], pad_id: int) -> list[Tensor]:
    """Scores [K] of each ranking's completions."""
    prompts = [ranking.prompt_ids for ranking in rankings for _ in ranking.completions]
    completions = [completion for ranking in rankings for completion in ranking.completions]
    flat = scores(model, prompts, completions, pad_id)
    return list(flat.split([len(ranking.completions) for ranking in rankings]))


@dataclass(frozen=True, slots=True)
class RankingReport:
    """How well scores predict rankings. Ties carry no right answer and are left out of pairs."""

    num_rankings: int
    num_pairs: int
    num_correct: float
    """Pairs where the better completion scores higher; equal scores count one half."""
    loss: float
    """Mean ranking_loss, ties included, nats."""
    brier: float
    """Mean over pairs of (1 - predicted probability of the better one)^2; 0.25 is a coin."""

    @property
    def accuracy(self) -> float:
        return self.num_correct / self.num_pairs


def ranking_report(
    scores_per_ranking: Sequence[Tensor], rankings: Sequence[RankedCompletions]
) -> RankingReport:
    """Of at least one ranking; accuracy and brier need at least one pair that is not a tie."""
    losses, margins = [], []
    for row, ranking in zip(scores_per_ranking, rankings, strict=True):
        ranks = torch.tensor(ranking.ranks)
        losses.append(float(ranking_loss(row, ranks)))
        better = ranks[:, None] < ranks[None, :]  # [K, K], True where row beats column
        margins.append((row[:, None] - row[None, :])[better])
    margin = torch.cat(margins).double()
    correct = (margin > 0).sum() + 0.5 * (margin == 0).sum()
    brier = float(((1 - torch.sigmoid(margin)) ** 2).mean()) if len(margin) else math.nan
    return RankingReport(
        len(rankings), len(margin), float(correct), sum(losses) / len(losses), brier
    )
