"""Which K of a prompt's C candidates people should compare, by an ensemble of M heads.

A rule gets scores [C, M] in log odds, of candidates whose texts differ, and 2 <= K <= C.
docs/asking.md compares the rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates to show and how much the rule wants to ask about them."""

    places: tuple[int, ...]
    """K different ones in 0..C-1, the first chosen first."""
    score: float | None
    """Higher is asked sooner; None where chance chose. Comparable within one rule only."""


def preference_variance(scores: Tensor) -> Tensor:
    """Variance over heads of P(i better than j) = sigmoid(s_i - s_j): [C, M] -> [C, C].

    At most 1/4, where one half of the heads is sure of i and the other half of j.
    """
    scores = scores.double()
    return torch.sigmoid(scores[:, None] - scores[None, :]).var(-1, correction=0)


def disagreement(scores: Tensor, num: int, generator: torch.Generator) -> Shown:
    """The pair whose predicted preference varies most over the heads, then greedily more.

    So Christiano et al. 2017 (arXiv 1706.03741), section 2.2.4, choose pairs. For K > 2 each
    further candidate is the one of largest summed variance to those chosen. Score: the mean
    variance of the chosen pairs. Equal values go to the candidate drawn first.
    """
    variance: list[list[float]] = preference_variance(scores).tolist()
    size = len(variance)
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    places = [*max(pairs, key=lambda pair: variance[pair[0]][pair[1]])]
    while len(places) < num:
        rest = [place for place in range(size) if place not in places]
        places.append(max(rest, key=lambda place: sum(variance[place][old] for old in places)))
    return Shown(tuple(places), mean_variance(variance, places))


def thompson(scores: Tensor, num: int, generator: torch.Generator) -> Shown:
    """Dueling Thompson sampling: each shown candidate is the favorite of a head drawn at random.

    A head whose favorite is shown already is drawn anew (Liu et al. 2024, SEA, arXiv 2411.01493).
    Going through the heads in a random order gives the same choice as drawing them with replacement
    until favorites differ. When the heads have no more favorites, the highest means follow. Score:
    the variance of the preference between the first two.
    """
    order = torch.randperm(scores.shape[1], generator=generator)
    favorites = scores[:, order].argmax(0).tolist()
    places = list(dict.fromkeys([*favorites, *_by_mean(scores)]))[:num]
    return Shown(tuple(places), float(preference_variance(scores[places[:2]])[0, 1]))


def top_two(scores: Tensor, num: int, generator: torch.Generator) -> Shown:
    """The K highest means over the heads; prompts whose first two are closest come first."""
    places = _by_mean(scores)[:num]
    first, second = scores.double().mean(1)[places[:2]].tolist()
    return Shown(tuple(places), second - first)


def at_random(num_candidates: int, num: int, generator: torch.Generator) -> Shown:
    """K candidates by chance, in the order drawn; no score."""
    chosen = torch.randperm(num_candidates, generator=generator)[:num]
    return Shown(tuple(sorted(chosen.tolist())), None)


Rule = Callable[[Tensor, int, torch.Generator], Shown]
RULES: dict[str, Rule] = {
    "disagreement": disagreement,
    "thompson": thompson,
    "top_two": top_two,
}


def mean_variance(variance: Sequence[Sequence[float]], places: Sequence[int]) -> float:
    """Mean of variance [C][C] over the pairs of places."""
    pairs = [(i, j) for position, i in enumerate(places) for j in places[position + 1 :]]
    return sum(variance[i][j] for i, j in pairs) / len(pairs)


def _by_mean(scores: Tensor) -> list[int]:
    """All candidates, highest mean first; equal ones in the order drawn."""
    return torch.argsort(scores.double().mean(1), descending=True, stable=True).tolist()
