"""The guards see what they should, and leave alone what they should not."""

import math
import random

import pytest

from training.algorithms.errors import TrainingHalted
from training.algorithms.policy.guards import SIGNIFICANT, WINDOW, history_add, run_check, slope_t


def _history(kl, score, objective):
    history = []
    for step in zip(kl, score, objective, strict=True):
        history = history_add(history, *step)
    return history


def _noisy(slope, seed, noise=0.1):
    """20 values on a line with normal noise: the slope's standard error is noise / 25.8."""
    draw = random.Random(seed)
    return [slope * step + draw.gauss(0, noise) for step in range(20)]


LEVEL = [1.0] * 20


def test_slopes_in_standard_errors():
    # y = 1, 2, 2 over x = -1, 0, 1: slope 0.5, residuals -1/6, 1/3, -1/6; SSE = 1/6,
    # error = sqrt(1/6 / 1 / 2) = 0.2887, t = 1.7321
    assert slope_t([1.0, 2.0, 2.0]) == pytest.approx(math.sqrt(3.0))
    assert slope_t([2.0, 1.0, 1.0]) == pytest.approx(-math.sqrt(3.0))
    assert slope_t([3.0, 1.0, 3.0]) == pytest.approx(0.0)


def test_straight_lines_have_infinite_slopes_and_level_ones_none():
    assert slope_t([0.1 * step for step in range(20)]) == math.inf
    assert slope_t([-0.3 * step for step in range(20)]) == -math.inf
    assert slope_t([0.1] * 20) == slope_t([0.0] * 20) == 0.0


def test_slopes_agree_with_the_correlation_form():
    values = _noisy(0.01, seed=3)
    center = sum(values) / 20
    covariance = sum((x - 9.5) * (y - center) for x, y in enumerate(values))
    variances = sum((x - 9.5) ** 2 for x in range(20)) * sum((y - center) ** 2 for y in values)
    r = covariance / math.sqrt(variances)
    assert slope_t(values) == pytest.approx(r * math.sqrt(18 / (1 - r * r)))


def test_the_history_keeps_the_last_steps():
    history = _history(range(30), range(30), range(30))
    assert len(history) == WINDOW
    assert history[0] == [10, 10, 10]


def test_kl_beyond_its_budget_halts():
    history = _history([5.0, 10.1], [0.0, 0.0], [0.0, 0.0])
    with pytest.raises(TrainingHalted, match=r"max_kl = 10\.0") as caught:
        run_check(history, max_kl=10.0, max_score=20.0)
    assert caught.value.extra == {"guard": "kl", "kl_to_reference": 10.1, "max_kl": 10.0}
    run_check(history, max_kl=10.1, max_score=20.0)


def test_a_score_that_runs_away_halts_unless_allowed():
    history = _history([1.0], [20.5], [20.0])
    with pytest.raises(TrainingHalted) as caught:
        run_check(history, max_kl=100.0, max_score=20.0)
    assert caught.value.extra == {"guard": "score", "score": 20.5, "max_score": 20.0}
    run_check(history, max_kl=100.0, max_score=None)


def test_a_sign_flip_halts_once_the_window_is_full():
    falling, rising = _noisy(-0.05, seed=1), _noisy(0.05, seed=2)
    assert slope_t(falling) < -SIGNIFICANT
    assert slope_t(rising) > SIGNIFICANT
    run_check(_history(LEVEL[:19], falling[:19], rising[:19]), 100.0, 20.0)
    with pytest.raises(TrainingHalted, match="sign") as caught:
        run_check(_history(LEVEL, falling, rising), 100.0, 20.0)
    assert caught.value.extra["guard"] == "sign"
    assert caught.value.extra["score_t"] == pytest.approx(slope_t(falling))


@pytest.mark.parametrize(
    ("kl", "score", "objective"),
    [
        (LEVEL, _noisy(0.05, 1), _noisy(0.05, 2)),  # learning
        (LEVEL, _noisy(-0.05, 1), _noisy(-0.05, 2)),  # failing, but not against itself
        (LEVEL, _noisy(-0.001, 1), _noisy(0.05, 2)),  # within the noise
        (_noisy(-0.5, 3), _noisy(-0.05, 1), _noisy(0.05, 2)),  # coming back to the reference
    ],
)
def test_other_trends_go_on(kl, score, objective):
    run_check(_history(kl, score, objective), 100.0, 20.0)


def test_noise_alone_seldom_looks_like_a_trend():
    """Independent steps: |t| > 3 in 0.8 % of windows, so both slopes at once hardly ever."""
    flat = [_noisy(0.0, seed) for seed in range(400)]
    beyond = sum(abs(slope_t(values)) > SIGNIFICANT for values in flat)
    assert beyond < 400 * 0.03
