"""Uncertainty of the numbers we report. Plain Python."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

Z95 = 1.959963984540054


def wilson_interval(share: float, num_trials: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share seen in num_trials (may be fractional) trials.

    Wilson 1927; stays inside [0, 1] and is not empty at share 0 or 1.
    """
    squared = z * z
    center = (share + squared / (2 * num_trials)) / (1 + squared / num_trials)
    spread = share * (1 - share) / num_trials + squared / (4 * num_trials**2)
    half = z * math.sqrt(spread) / (1 + squared / num_trials)
    return max(0.0, center - half), min(1.0, center + half)


def effective_trials(correct: Sequence[float], totals: Sequence[int]) -> float:
    """How many independent trials clustered ones are worth, at most sum(totals).

    correct[i] of totals[i] trials of cluster i succeeded. p(1-p) over the cluster-robust variance
    of the pooled share p (linearized ratio estimator); where that says nothing (one
    cluster, or p at 0 or 1) the number of clusters.
    """
    total, clusters = sum(totals), len(totals)
    share = sum(correct) / total
    if clusters < 2 or share in (0.0, 1.0):
        return float(clusters)
    residuals = sum((c - share * n) ** 2 for c, n in zip(correct, totals, strict=True))
    variance = residuals / total**2 * clusters / (clusters - 1)
    if variance == 0.0:
        return float(total)
    return min(float(total), share * (1 - share) / variance)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error (unbiased variance); error 0 for a single value."""
    if len(values) < 2:
        return fmean(values), 0.0
    return fmean(values), stdev(values) / math.sqrt(len(values))
