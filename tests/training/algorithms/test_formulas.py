"""masking, kl, advantages: expected values by hand or from an independent loop."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from training.algorithms.formulas.advantages import gae, token_rewards
from training.algorithms.formulas.kl import k1, k3, kl_coefficient_next, sequence_kl
from training.algorithms.formulas.masking import (
    lengths_to_mask,
    masked_mean,
    masked_sum,
    masked_variance,
    masked_whiten,
)

MASK = tensor([[True, True, False], [True, False, False]])
VALUES = tensor([[1.0, 2.0, math.nan], [6.0, math.inf, 99.0]])


def test_lengths_become_masks():
    assert_close(lengths_to_mask(tensor([2, 1]), 3), MASK)


def test_masked_moments_ignore_what_is_masked():
    # real tokens 1, 2, 6: sum 9, mean 3, biased variance (4 + 1 + 9) / 3
    assert masked_sum(VALUES, MASK) == 9.0
    assert_close(masked_sum(VALUES, MASK, dim=1), tensor([3.0, 6.0]))
    assert masked_mean(VALUES, MASK) == 3.0
    assert_close(masked_variance(VALUES, MASK), tensor(14.0 / 3.0))


def test_whitening_scales_real_tokens_to_unit_variance():
    # (x - 3) / sqrt(14/3): -2, -1, 3 over 2.160246899469287
    scale = 2.160246899469287
    expected = tensor([[-2 / scale, -1 / scale, 0.0], [3 / scale, 0.0, 0.0]])
    assert_close(masked_whiten(VALUES, MASK), expected)


def test_whitening_without_shift_keeps_the_mean():
    scale = 2.160246899469287
    expected = tensor([[3 - 2 / scale, 3 - 1 / scale, 0.0], [3 + 3 / scale, 0.0, 0.0]])
    assert_close(masked_whiten(VALUES, MASK, shift_mean=False), expected)


def test_kl_estimators_by_hand():
    logp, logq = tensor([[math.log(0.5)]]), tensor([[math.log(0.25)]])
    # k1 = log 2; k3 = 1/2 - 1 + log 2
    assert k1(logp, logq).item() == pytest.approx(math.log(2))
    assert k3(logp, logq).item() == pytest.approx(math.log(2) - 0.5)


def test_both_kl_estimators_have_the_kl_as_expectation():
    p, q = tensor([0.7, 0.2, 0.1]), tensor([0.4, 0.4, 0.2])
    # 0.7 ln(7/4) + 0.2 ln(1/2) + 0.1 ln(1/2)
    exact = 0.7 * math.log(1.75) + 0.3 * math.log(0.5)
    for estimator in (k1, k3):
        assert (p * estimator(p.log(), q.log())).sum().item() == pytest.approx(exact, abs=1e-6)


def test_sequence_kl_sums_over_completion_tokens_only():
    logprobs = tensor([[-1.0, -2.0, 5.0], [-0.5, 5.0, 5.0]])
    reference = tensor([[-1.5, -1.0, -5.0], [-1.0, 0.0, 0.0]])
    # row 0: 0.5 - 1.0; row 1: 0.5
    assert_close(sequence_kl(logprobs, reference, MASK), tensor([-0.5, 0.5]))


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.15),  # on target: unchanged
        (6.6, 0.15 * (1 + 0.1 * 64 / 1000)),  # 10 % above, inside the clip
        (60.0, 0.15 * (1 + 0.2 * 64 / 1000)),  # clipped at +0.2
        (0.0, 0.15 * (1 - 0.2 * 64 / 1000)),  # clipped at -0.2
    ],
)
def test_kl_coefficient_steps(kl, expected):
    assert kl_coefficient_next(0.15, kl, 6.0, 1000, 64) == pytest.approx(expected)


def test_kl_coefficients_multiply_up_and_without_a_target_stay():
    coefficient = 0.1
    for _ in range(3):
        coefficient = kl_coefficient_next(coefficient, 100.0, 6.0, 640, 64)
    assert coefficient == pytest.approx(0.1 * 1.02**3)
    assert kl_coefficient_next(0.1, 100.0, None, 640, 64) == 0.1


def test_score_lies_on_the_last_real_token():
    logprobs = tensor([[-1.0, -1.0, 7.0], [-1.0, -1.0, -1.0]])
    reference = tensor([[-2.0, -1.5, 0.0], [-1.0, -1.0, -3.0]])
    rewards = token_rewards(tensor([10.0, 20.0]), logprobs, reference, tensor([2, 3]), 0.1)
    # -0.1 * k1 everywhere, plus the score at index length - 1; nothing on the pad
    expected = tensor([[-0.1, 10.0 - 0.05, 0.0], [0.0, 0.0, 20.0 - 0.2]])
    assert_close(rewards, expected)


def test_the_score_of_a_one_token_completion_lies_on_that_token():
    logprobs, reference = tensor([[-1.0, 5.0]]), tensor([[-3.0, 0.0]])
    # 4 - 0.5 * (-1 - -3) = 3; the pad gets nothing
    rewards = token_rewards(tensor([4.0]), logprobs, reference, tensor([1]), 0.5)
    assert_close(rewards, tensor([[3.0, 0.0]]))


def _gae_of_one(rewards: list[float], values: list[float], gamma: float, lam: float):
    """Schulman et al. eq. 16 as a double sum: A_t = sum_l (gamma lam)^l delta_{t+l}."""
    extended = [*values, 0.0]
    deltas = [r + gamma * extended[t + 1] - extended[t] for t, r in enumerate(rewards)]
    return [
        sum((gamma * lam) ** (step - t) * deltas[step] for step in range(t, len(deltas)))
        for t in range(len(deltas))
    ]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (1.0, 0.0)])
def test_gae_equals_a_loop_over_each_ragged_sequence(gamma, lam):
    generator = torch.Generator().manual_seed(3)
    lengths = tensor([5, 1, 3, 4])
    rewards = torch.randn(4, 5, generator=generator)
    values = torch.randn(4, 5, generator=generator)  # pads hold garbage on purpose
    advantages, returns = gae(rewards, values, lengths_to_mask(lengths, 5), gamma, lam)
    for row, length in enumerate(lengths.tolist()):
        expected = _gae_of_one(
            rewards[row, :length].tolist(), values[row, :length].tolist(), gamma, lam
        )
        assert_close(advantages[row, :length], tensor(expected), atol=1e-5, rtol=1e-5)
        assert_close(returns[row, :length], tensor(expected) + values[row, :length])
        assert (advantages[row, length:] == 0).all()
        assert (returns[row, length:] == 0).all()


def test_returns_with_lambda_one_are_the_rewards_to_come():
    rewards, values = tensor([[1.0, 2.0, 3.0]]), tensor([[0.3, -0.7, 0.1]])
    _, returns = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), 1.0, 1.0)
    assert_close(returns, tensor([[6.0, 5.0, 3.0]]))
