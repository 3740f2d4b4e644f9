"""Intervals against published and hand-computed numbers."""

import math

import pytest

from training.algorithms.measuring.intervals import (
    effective_trials,
    mean_and_error,
    wilson_interval,
)


def test_wilson_interval_of_a_known_case():
    # 81 of 263: Newcombe 1998 (Statistics in Medicine 17), table I, method 3: 0.2553 to 0.3662
    low, high = wilson_interval(81 / 263, 263)
    assert low == pytest.approx(0.2553, abs=1e-4)
    assert high == pytest.approx(0.3662, abs=1e-4)


def test_wilson_interval_is_never_empty_at_the_ends():
    # 0 of 20: from 0 to z^2 / (n + z^2) = 3.8415 / 23.8415
    low, high = wilson_interval(0.0, 20)
    assert low == 0.0
    assert high == pytest.approx(3.8415 / 23.8415, abs=1e-4)


def test_clusters_of_equal_answers_are_worth_one_trial_each():
    # every cluster all right or all wrong: 10 clusters of 6 pairs carry about 10 answers.
    # p = 1/2, residuals 10 * 9, variance 90 / 3600 * 10 / 9 = 1/36; 0.25 * 36 = 9
    assert effective_trials([6, 0] * 5, [6] * 10) == pytest.approx(9.0)


def test_evenly_mixed_clusters_never_exceed_the_number_of_trials():
    assert effective_trials([3] * 10, [6] * 10) == 60.0


def test_without_spread_the_number_of_clusters_is_used():
    assert effective_trials([6, 6, 6], [6, 6, 6]) == 3.0
    assert effective_trials([4], [6]) == 1.0


def test_mean_and_standard_error():
    # 1, 2, 6: mean 3, unbiased variance 7, error sqrt(7 / 3)
    assert mean_and_error([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7 / 3)))
    assert mean_and_error([5.0]) == (5.0, 0.0)
