"""All pairs of several rankings in one line of tensors, and what DPO and IPO sum over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import hardshrink

from training.algorithms.formulas.preference_losses import ranking_pairs
from training.algorithms.records import RankedCompletions


@dataclass(frozen=True, slots=True)
class Objective:
    """What DPO and IPO do not share."""

    name: str
    """Of the method; its metrics begin with it."""
    losses: Callable[[Tensor], Tensor]
    """Margins [P] in nats to losses [P]."""
    beta: float
    is_mean: bool = False
    """Log-ratios are means over the tokens of a completion instead of sums."""


# Margins up to this are equal: policy and reference may be computed in other layouts, which round
# differently, and in the first step they are the same model.
EQUAL_NATS = 1e-4


def with_preference(rankings: Sequence[RankedCompletions]) -> list[RankedCompletions]:
    """Those that prefer something; a ranking of ties only makes no pair."""
    return [ranking for ranking in rankings if len(set(ranking.ranks)) > 1]


def pair_sums(
    rankings: Sequence[RankedCompletions], totals: Tensor, reference: Tensor, objective: Objective
) -> dict[str, Tensor]:
    """Sums over all pairs, each weighing ranking.weight / its number of pairs. Scalars.

    totals, reference [B]: log-probabilities of policy and reference, ranking after ranking.
    loss; accuracy (1 where the implicit reward prefers what the person did, 1/2 where equal);
    rewards; margin of the rewards; log-probabilities of the policy, nats per completion.
    """
    better: list[int] = []
    worse: list[int] = []
    weights: list[float] = []
    lengths: list[int] = []
    for ranking in rankings:
        pairs, start = ranking_pairs(ranking.ranks), len(lengths)
        better += [start + i for i, _ in pairs]
        worse += [start + j for _, j in pairs]
        weights += [ranking.weight / len(pairs)] * len(pairs)
        lengths += [len(completion) for completion in ranking.completions]
    device = totals.device
    weight = torch.tensor(weights, device=device)
    first, second = torch.tensor(better, device=device), torch.tensor(worse, device=device)
    log_ratios = totals - reference
    if objective.is_mean:
        log_ratios = log_ratios / torch.tensor(lengths, device=device)
    chosen, rejected = log_ratios[first], log_ratios[second]
    margins = chosen - rejected
    loss = weight @ objective.losses(margins)
    with torch.no_grad():
        return {
            "loss": loss,
            "accuracy": weight @ (0.5 + 0.5 * torch.sign(hardshrink(margins, EQUAL_NATS))),
            "reward_chosen": objective.beta * (weight @ chosen),
            "reward_rejected": objective.beta * (weight @ rejected),
            "margin": objective.beta * (weight @ margins),
            "logprob_chosen": weight @ totals[first],
            "logprob_rejected": weight @ totals[second],
        }


def pair_means(
    rankings: Sequence[RankedCompletions],
    totals: Sequence[Tensor],
    references: Sequence[Tensor],
    objective: Objective,
) -> dict[str, float]:
    """pair_sums over the summed weight of the rankings; totals and references [K] of each."""
    sums = pair_sums(rankings, torch.cat(list(totals)), torch.cat(list(references)), objective)
    total_weight = sum(ranking.weight for ranking in rankings)
    return {key: float(value) / total_weight for key, value in sums.items()}
