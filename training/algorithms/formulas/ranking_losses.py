"""What rankings say about scores: every pair of a batch of rankings in one tensor, and its loss.

R rankings of up to K completions, right-padded; P = K(K-1)/2 pairs (i, j), i < j. Scores are log
odds: the logistic function of a difference is the probability that the first completion wins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from training.algorithms.formulas.masking import masked_sum

Ties = Literal["half", "drop", "davidson"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of R rankings."""

    difference: Tensor
    """[R, P] score of the first minus score of the second"""
    sign: Tensor
    """[R, P] +1 where the first is ranked better, -1 worse, 0 tied"""
    mask: Tensor
    """[R, P] True where both completions exist"""
    probability: Tensor
    """[R, P] that the first is better, where a judge said so; NaN where the sign says it all"""

    @property
    def soft(self) -> Tensor:
        """[R, P] True at pairs with a probability; such a pair is no tie, whatever its sign."""
        return ~self.probability.isnan()

    @property
    def decided(self) -> Tensor:
        """[R, P] True at pairs that are no ties."""
        return self.mask & (self.sign != 0)

    @property
    def margin(self) -> Tensor:
        """[M] score of the better minus score of the worse completion, decided pairs only."""
        return (self.sign * self.difference)[self.decided]


def rank_table(ranks: Sequence[Sequence[int]]) -> Tensor:
    """[R, K] ranks, 1 best, equal = tie; 0 where a ranking has fewer completions."""
    width = max(map(len, ranks))
    return torch.tensor([[*row] + [0] * (width - len(row)) for row in ranks])


def ranking_pairs(
    scores: Tensor, table: Tensor, probabilities: Sequence[float | None] | None = None
) -> Pairs:
    """Of scores [N], the completions of ranking 0 first, then those of ranking 1, and so on.

    table: rank_table of these rankings; probabilities [R]: that the first of two completions is
    better, None where ranks say it.
    """
    table = table.to(scores.device)
    exists = table > 0
    values = torch.zeros(table.shape, device=scores.device, dtype=scores.dtype)
    values = values.masked_scatter(exists, scores)
    num_completions = table.shape[1]
    first, second = torch.triu_indices(num_completions, num_completions, 1, device=scores.device)
    difference = values[:, first] - values[:, second]
    probability = torch.full_like(difference, math.nan)
    if probabilities is not None:
        known = [math.nan if each is None else each for each in probabilities]
        probability[:, 0] = torch.tensor(known)
    return Pairs(
        difference,
        torch.sign(table[:, second] - table[:, first]).to(scores.dtype),
        exists[:, second],
        probability,
    )


def pair_losses(
    pairs: Pairs,
    ties: Ties = "half",
    margins: Tensor | None = None,
    label_smoothing: float = 0.0,
    tie_log_nu: float = 0.0,
) -> Tensor:
    """Negative log-likelihood [R, P] of every pair, nats; arbitrary outside the mask.

    With d the difference and s the logistic function: -log s(d) when the first is better,
    -log s(-d) when worse; a tie is half of each. "davidson" makes it an outcome of its own
    (Davidson 1970): with p = exp(score), P(tie) = nu sqrt(p_i p_j) / (p_i + p_j + nu sqrt(p_i p_j))
    and P(i wins) = p_i over the same. margins [R] must be exceeded by the better completion's lead
    (Llama 2, arXiv 2307.09288, eq. 2). label_smoothing is the share of judgements taken to be the
    wrong way round: the loss mixes both outcomes of a decided pair (Christiano et al. 2017, 2.2.3).
    A pair with a probability p mixes them by it: -p log s(d) - (1 - p) log s(-d), whose minimum is
    at s(d) = p; label_smoothing leaves it alone.
    """
    difference = pairs.difference
    if margins is not None:
        difference = difference - pairs.sign * margins[:, None]
    hard = 0.5 + (0.5 - label_smoothing) * pairs.sign
    first_wins = torch.where(pairs.soft, pairs.probability, hard)  # its share of the likelihood
    if ties != "davidson":
        wins, loses = F.logsigmoid(difference), F.logsigmoid(-difference)
        return -(first_wins * wins + (1 - first_wins) * loses)
    # All three probabilities divided by sqrt(p_i p_j).
    tie = torch.full_like(difference, tie_log_nu)
    normalizer = torch.stack([difference / 2, -difference / 2, tie]).logsumexp(0)
    decided = (first_wins - 0.5) * difference
    return normalizer - torch.where(_tied(pairs), tie, decided)


def counted_pairs(pairs: Pairs, ties: Ties) -> Tensor:
    """[R, P] True at pairs that the loss averages over."""
    return pairs.mask & ~_tied(pairs) if ties == "drop" else pairs.mask


def ranking_losses(losses: Tensor, counted: Tensor) -> Tensor:
    """Mean [R] of losses [R, P] over each ranking's counted pairs; 0 where it has none.

    InstructGPT (arXiv 2203.02155) eq. 1: all pairs of a ranking stay together and weigh 1/C(K,2),
    so that every ranking weighs the same whatever its K.
    """
    return masked_sum(losses, counted, dim=1) / counted.sum(1).clamp(min=1)


def davidson_gradient(pairs: Pairs, tie_log_nu: float) -> Tensor:
    """d pair_losses / d tie_log_nu, [R, P]: P(tie) minus 1 where the pair is a tie. No gradient."""
    half = pairs.difference.detach() / 2
    tie = torch.full_like(half, tie_log_nu)
    probability = torch.exp(tie - torch.stack([half, -half, tie]).logsumexp(0))
    return probability - _tied(pairs).float()


def num_correct(margin: Tensor) -> Tensor:
    """Of margins [M], better minus worse score: how many are positive; 0 counts one half."""
    return (margin > 0).sum() + 0.5 * (margin == 0).sum()


def _tied(pairs: Pairs) -> Tensor:
    return (pairs.sign == 0) & ~pairs.soft
