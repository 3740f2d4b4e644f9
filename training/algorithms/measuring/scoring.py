"""Scoring many completions, and what a reward model's scores say about people's rankings."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.algorithms.engine.processes import processes
from training.algorithms.formulas.ranking_losses import (
    Ties,
    counted_pairs,
    num_correct,
    pair_losses,
    rank_table,
    ranking_losses,
    ranking_pairs,
)
from training.algorithms.kernel.collate import TokenLists, groups_by_length, sequences_collate
from training.algorithms.kernel.hidden import last_hidden
from training.algorithms.kernel.prompt_sharing import (
    can_share_prompts,
    groups_collate,
    prompt_groups,
)
from training.algorithms.models.scalar_model import reward_scale, sequence_scores
from training.algorithms.records import RankedCompletions, Sequences

MICRO_BATCH_TOKENS = 16384


@torch.no_grad()
def scores(
    model: Any,
    prompts: TokenLists,
    completions: TokenLists,
    pad_id: int,
    max_tokens: int = MICRO_BATCH_TOKENS,
) -> Tensor:
    """Scores [N] on the CPU in the order given, each sequence once, grouped by length."""
    return _by_length(lambda s: sequence_scores(model, s), prompts, completions, pad_id, max_tokens)


@torch.no_grad()
def features(
    model: Any,
    prompts: TokenLists,
    completions: TokenLists,
    pad_id: int,
    max_tokens: int = MICRO_BATCH_TOKENS,
) -> Tensor:
    """Hidden rows [N, D] at the completions' last tokens, fp32 on the CPU: what a head reads."""
    return _by_length(lambda s: last_hidden(model, s), prompts, completions, pad_id, max_tokens)


def _by_length(
    measure: Callable[[Sequences], Tensor],
    prompts: TokenLists,
    completions: TokenLists,
    pad_id: int,
    max_tokens: int,
) -> Tensor:
    """measure (sequences -> [b, ...]) of all sequences [N, ...], in groups of similar length."""
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    groups = groups_by_length(lengths, max_tokens)
    parts = []
    for group in groups:
        sequences = sequences_collate(
            [prompts[row] for row in group],
            [completions[row] for row in group],
            pad_id,
            processes().device,
        )
        parts.append(measure(sequences).float().cpu())
    order = torch.tensor([row for group in groups for row in group])
    return torch.cat(parts)[torch.argsort(order)]


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
            processes().device,
        )
        parts = measure(sequences)
        results = results or [torch.zeros(shape) for _ in parts]
        for result, part in zip(results, parts, strict=True):
            result[group, : part.shape[1]] = part.float().cpu()
    return results


def ranking_batches(
    rankings: Sequence[RankedCompletions], max_tokens: int, is_shared: bool
) -> list[list[int]]:
    """Indices of rankings per forward pass; is_shared: the model can share prompts."""
    return prompt_groups(
        [len(ranking.prompt_ids) for ranking in rankings],
        [[len(ids) for ids in ranking.completions] for ranking in rankings],
        max_tokens,
        is_shared,
    )


def batch_scores(model: Any, rankings: Sequence[RankedCompletions], pad_id: int) -> Tensor:
    """Scores [N] of all completions of a batch, ranking by ranking; differentiable.

    Each completion is scored once; each prompt too, where that is exact and pays.
    """
    prompts = [ranking.prompt_ids for ranking in rankings]
    completions = [ranking.completions for ranking in rankings]
    sequences = groups_collate(model, prompts, completions, pad_id, processes().device)
    return sequence_scores(model, sequences)


@torch.no_grad()
def ranking_scores(
    model: Any,
    rankings: Sequence[RankedCompletions],
    pad_id: int,
    max_tokens: int = MICRO_BATCH_TOKENS,
) -> list[Tensor]:
    """Scores [K] of each ranking's completions on the CPU, in log odds (reward_scale undone)."""
    rows: list[Tensor] = [torch.empty(0)] * len(rankings)
    for batch in ranking_batches(rankings, max_tokens, can_share_prompts(model)):
        members = [rankings[index] for index in batch]
        flat = (batch_scores(model, members, pad_id) / reward_scale(model)).cpu()
        parts = flat.split([len(ranking.completions) for ranking in members])
        for index, part in zip(batch, parts, strict=True):
            rows[index] = part
    return rows


@dataclass(frozen=True, slots=True)
class RankingReport:
    """How well scores predict rankings. Ties carry no right answer and are left out of pairs."""

    num_rankings: int
    num_pairs: int
    num_correct: float
    """Pairs where the better completion scores higher; equal scores count one half."""
    loss: float
    """Mean over rankings of the mean pair_losses, nats; NaN when no pair counts."""
    brier: float
    """Mean over pairs of (1 - predicted probability of the better one)^2; 0.25 is a coin."""

    @property
    def accuracy(self) -> float:
        return self.num_correct / self.num_pairs


def ranking_report(
    scores_per_ranking: Sequence[Tensor],
    rankings: Sequence[RankedCompletions],
    ties: Ties = "half",
    tie_log_nu: float = 0.0,
) -> RankingReport:
    """Of at least one ranking; accuracy and brier need at least one pair that is not a tie."""
    pairs = ranking_pairs(
        torch.cat(list(scores_per_ranking)),
        rank_table([r.ranks for r in rankings]),
        [r.probability for r in rankings],
    )
    losses = pair_losses(pairs, ties, tie_log_nu=tie_log_nu)
    counted = counted_pairs(pairs, ties)
    says_something = counted.any(1)
    loss = ranking_losses(losses, counted)[says_something].double().mean()
    margin = pairs.margin.double()
    brier = float(((1 - torch.sigmoid(margin)) ** 2).mean()) if len(margin) else math.nan
    return RankingReport(len(rankings), len(margin), float(num_correct(margin)), float(loss), brier)
