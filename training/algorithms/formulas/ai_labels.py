"""From an AI labeler's answers to a soft label. Plain Python."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def option_probability(logprob_first: float, logprob_second: float) -> float:
    """P(first option) of a model that must say one of the two, from their log-probabilities, nats.

    Bai et al. 2022 (arXiv 2212.08073), section 4.1: the two options' probabilities, normalized.
    """
    margin = logprob_first - logprob_second
    if margin >= 0:
        return 1 / (1 + math.exp(-margin))
    return math.exp(margin) / (1 + math.exp(margin))


@dataclass(frozen=True, slots=True)
class OrderedLabel:
    """What was said about one pair in both orders."""

    probability: float
    """P(first completion is better), the mean of both orders: a bias to a place cancels."""
    order_gap: float
    """What the place alone moves: > 0 where the completion shown first gains by it."""


def swap_average(first_shown_first: float, first_shown_second: float) -> OrderedLabel:
    """Of P(first is better) when it was shown first (as A), and when it was shown second (as B)."""
    return OrderedLabel(
        (first_shown_first + first_shown_second) / 2, first_shown_first - first_shown_second
    )


def clamp(probability: float, low: float, high: float) -> float:
    """Keeps a soft label from claiming more than it can know; CAI clamps to 0.4 to 0.6 where the
    labeler reasons first and is nearly always sure (arXiv 2212.08073, section 4.1)."""
    return min(max(probability, low), high)


def principles_mean(labels: Sequence[OrderedLabel]) -> OrderedLabel:
    """The mean over principles of at least one label."""
    return OrderedLabel(
        math.fsum(label.probability for label in labels) / len(labels),
        math.fsum(label.order_gap for label in labels) / len(labels),
    )
