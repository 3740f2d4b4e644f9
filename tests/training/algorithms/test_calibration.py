"""The calibration report against counts made by hand and against simulated judgements."""

import math
import random

import pytest
from torch import tensor

from training.algorithms.measuring.calibration import (
    JudgedPair,
    accuracy,
    calibration_error,
    calibration_report,
    judged_pairs,
    longer,
    reliability,
)
from training.algorithms.records import RankedCompletions


def _pair(log_odds, prompt_id=0, length=0, sources=None, strength=None, number=None):
    return JudgedPair(prompt_id, log_odds, length, sources, strength, number)


def test_pairs_of_a_ranking_face_the_better_completion():
    ranking = RankedCompletions(
        7, [65], [[1], [1, 2, 3], [1, 2]], [2, 1, 2], strength=3.0, sources=("b", "a", "b"), round=4
    )
    pairs = judged_pairs([tensor([0.5, 2.0, -1.0])], [ranking])
    # the second beats the first and the third; those two are tied and left out
    assert pairs == [
        _pair(1.5, 7, 2, ("a", "b"), 3.0, 4),
        _pair(3.0, 7, 1, ("a", "b"), 3.0, 4),
    ]


def test_the_reliability_curve_by_hand():
    # p = s(log odds): 0.95, 0.92 right, and 0.25 for one that the model gets wrong
    pairs = [_pair(math.log(p / (1 - p)), index) for index, p in enumerate((0.95, 0.92, 0.25))]
    bins = {row["from"]: row for row in reliability(pairs)}
    assert set(bins) == {0.0, 0.2, 0.7, 0.9}
    assert bins[0.9]["predicted"] == pytest.approx(0.935)
    assert (bins[0.9]["observed"], bins[0.9]["num_pairs"]) == (1.0, 2)
    assert bins[0.0]["predicted"] == pytest.approx(0.065)
    assert bins[0.0]["observed"] == 0.0
    assert bins[0.2]["observed"] == 1.0  # the better one was given 0.25
    assert bins[0.7]["observed"] == 0.0
    # |0.935 - 1| twice and |0.25 - 1| once, and the same again in the mirror
    assert calibration_error(reliability(pairs)) == pytest.approx((2 * 0.065 + 0.75) / 3)


def test_a_calibrated_model_has_a_small_error_and_intervals_that_hold_the_truth():
    draw = random.Random(1)
    pairs = []
    for index in range(4000):
        log_odds = draw.gauss(0, 2)
        wins = draw.random() < 1 / (1 + math.exp(-log_odds))
        pairs.append(_pair(log_odds if wins else -log_odds, index))
    bins = reliability(pairs)
    # about 400 pairs a bin: standard error at most 0.025 each
    assert calibration_error(bins) < 0.03
    assert sum(row["low"] <= row["predicted"] <= row["high"] for row in bins) >= 8
    overconfident = [_pair(3 * pair.log_odds, pair.prompt_id) for pair in pairs]
    assert calibration_error(reliability(overconfident)) > 0.1


def test_pairs_of_one_prompt_widen_the_interval():
    alone = accuracy([_pair(1.0 if index % 3 else -1.0, index) for index in range(60)])
    together = accuracy([_pair(1.0 if index % 3 else -1.0, index % 6) for index in range(60)])
    assert alone["accuracy"] == together["accuracy"] == pytest.approx(2 / 3)
    # prompts 0 and 3 are wrong throughout: 6 clusters, not 60 trials
    assert together["effective_pairs"] < 7 < alone["effective_pairs"]
    assert together["low"] < alone["low"] < alone["high"] < together["high"]


def test_slices_by_source_round_strength_and_length():
    pairs = [
        _pair(1.0, 1, 3, ("a", "b"), 1.0, 0),
        _pair(-1.0, 2, -3, ("a", "b"), 2.0, 1),
        _pair(2.0, 3, 0, ("b", "b"), 2.0, 1),
        _pair(0.0, 4, 9, None, None, None),
    ]
    report = calibration_report(pairs)
    assert report["accuracy"] == (1 + 0 + 1 + 0.5) / 4
    assert [(row["slice"], row["accuracy"]) for row in report["by_sources"]] == [
        ("a | b", 0.5),
        ("b | b", 1.0),
    ]
    assert [(row["slice"], row["accuracy"]) for row in report["by_round"]] == [(0, 1.0), (1, 0.5)]
    assert [(row["from"], row["accuracy"]) for row in report["by_strength"]] == [
        (1.0, 1.0),
        (2.0, 0.5),
    ]
    lengths = report["by_length_difference"]
    assert [(row["from"], row["num_pairs"]) for row in lengths] == [(0.0, 1), (3.0, 2), (9.0, 1)]
    assert lengths[0]["longer"] is None
    # longer ones: chosen with 3 and 9, not with -3. The model: 1 + 1 (it calls -3 wrong) + 1/2
    assert report["longer"] == {
        "num_pairs": 3.0,
        "chosen_share": pytest.approx(2 / 3),
        "scored_higher_share": pytest.approx(2.5 / 3),
    }
    assert longer(pairs[1:2]) == {"num_pairs": 1, "chosen_share": 0, "scored_higher_share": 1}


def test_many_strengths_are_reported_by_quartile():
    pairs = [_pair(1.0, index, strength=float(index)) for index in range(100)]
    rows = calibration_report(pairs)["by_strength"]
    assert [(row["from"], row["to"], row["num_pairs"]) for row in rows] == [
        (0.0, 24.0, 25), (25.0, 49.0, 25), (50.0, 74.0, 25), (75.0, 99.0, 25),
    ]  # fmt: skip
