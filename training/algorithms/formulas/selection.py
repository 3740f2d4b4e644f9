"""Choosing among the samples of one prompt by their scores: what it gains and what it costs."""

import math
from collections.abc import Sequence


def best_of_n_kl(n: int) -> float:
    """KL of best-of-n sampling from its policy, in nats: log n - (n - 1) / n.

    Stiennon et al. 2020 (arXiv 2009.01325, appendix G.3). Exact when no two samples score alike;
    with ties or repeated samples an upper bound (Beirami et al. 2024, arXiv 2401.01879).
    """
    if n < 1:
        raise ValueError(f"n = {n}: expected at least 1")
    return math.log(n) - (n - 1) / n


def expected_best_of(scores: Sequence[float], m: int) -> float:
    """Unbiased estimate of the expected best score of m samples, from N >= m scores of one prompt.

    The mean of the best over all subsets of size m (Nakano et al. 2021, WebGPT, arXiv 2112.09332,
    appendix). The i-th smallest score, i from 1, is the best of C(i - 1, m - 1) of the C(N, m)
    subsets.
    """
    return expected_value_of_best(scores, scores, m)


def expected_value_of_best(scores: Sequence[float], values: Sequence[float], m: int) -> float:
    """The same for another value of the sample that scores best, e.g. by a second reward model.

    values are aligned with scores; of equal scores the last one counts as the better.
    """
    if not 1 <= m <= len(scores):
        raise ValueError(f"m = {m}: expected 1 to {len(scores)}, the number of scores")
    num_subsets = math.comb(len(scores), m)
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    return math.fsum(
        math.comb(below, m - 1) / num_subsets * values[index] for below, index in enumerate(order)
    )


def best_index(scores: Sequence[float]) -> int:
    """The place of the highest score, the first of equals."""
    return max(range(len(scores)), key=lambda index: (scores[index], -index))
