"""Soft labels by arithmetic."""

import math

import pytest

from training.algorithms.formulas.ai_labels import (
    OrderedLabel,
    clamp,
    option_probability,
    principles_mean,
    swap_average,
)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (math.log(0.3), math.log(0.1), 0.75),  # 0.3 / (0.3 + 0.1)
        (math.log(0.1), math.log(0.3), 0.25),
        (-2.0, -2.0, 0.5),
        (-1.0, -2001.0, 1.0),
        (-2001.0, -1.0, 0.0),
    ],
)
def test_the_two_options_probabilities_are_normalized(first, second, expected):
    assert option_probability(first, second) == pytest.approx(expected, abs=1e-12)


def test_a_bias_to_a_place_cancels_in_the_mean_of_both_orders():
    # Shown first it gets 0.9, shown second 0.5: worth 0.7, and the place moves 0.4.
    label = swap_average(0.9, 0.5)
    assert label.probability == pytest.approx(0.7)
    assert label.order_gap == pytest.approx(0.4)
    # A judge who always says A: 1 shown first, 0 shown second. It knows nothing.
    assert swap_average(1.0, 0.0) == OrderedLabel(0.5, 1.0)


def test_principles_count_equally():
    mean = principles_mean([OrderedLabel(0.9, 0.2), OrderedLabel(0.6, -0.1), OrderedLabel(0.3, 0)])
    assert mean.probability == pytest.approx(0.6)
    assert mean.order_gap == pytest.approx(0.1 / 3)


def test_a_clamped_label_is_never_surer_than_asked():
    assert [clamp(p, 0.4, 0.6) for p in (0.02, 0.55, 0.98)] == [0.4, 0.55, 0.6]
