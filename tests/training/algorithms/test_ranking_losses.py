"""Ranking losses against naive loops, closed forms, autograd and finite differences."""

import math
from itertools import combinations

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from training.algorithms.formulas.ranking_losses import (
    counted_pairs,
    davidson_gradient,
    num_correct,
    pair_losses,
    rank_table,
    ranking_losses,
    ranking_pairs,
)

RANKINGS = [[1, 2], [1, 1], [3, 1, 2, 4], [1, 2, 2, 3], [2, 1, 1, 2, 3, 1, 4, 4, 5], [2, 2, 2]]
LOG_NU = -0.3


def _log_sigmoid(x: float) -> float:
    return -math.log(1.0 + math.exp(-x))


def _pair(lead: float, is_tie: bool, ties: str, smoothing: float) -> float:
    """Negative log-likelihood of one pair; lead: score of the better minus that of the worse."""
    if ties == "davidson":
        strong, weak = math.exp(lead), 1.0  # p_i and p_j up to a common factor
        tied = math.exp(LOG_NU) * math.sqrt(strong * weak)
        total = strong + weak + tied
        if is_tie:
            return -math.log(tied / total)
        right, wrong = math.log(strong / total), math.log(weak / total)
    else:
        if is_tie:
            smoothing = 0.5
        right, wrong = _log_sigmoid(lead), _log_sigmoid(-lead)
    return -(1 - smoothing) * right - smoothing * wrong


def _naive(scores, ranks, ties="half", margin=0.0, smoothing=0.0) -> float:
    """Every pair in turn, then their mean."""
    terms = []
    for i, j in combinations(range(len(scores)), 2):
        is_tie = ranks[i] == ranks[j]
        if is_tie and ties == "drop":
            continue
        better, worse = (i, j) if ranks[i] <= ranks[j] else (j, i)
        lead = scores[better] - scores[worse] - (0.0 if is_tie else margin)
        terms.append(_pair(lead, is_tie, ties, smoothing))
    return sum(terms) / len(terms) if terms else 0.0


def _losses(scores, rankings, ties="half", margins=None, smoothing=0.0):
    pairs = ranking_pairs(scores, rank_table(rankings))
    losses = pair_losses(pairs, ties, margins, smoothing, LOG_NU)
    return ranking_losses(losses, counted_pairs(pairs, ties))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("has_margins", [False, True])
@pytest.mark.parametrize("ties", ["half", "drop", "davidson"])
def test_losses_and_gradients_of_a_ragged_batch_equal_the_naive_loop(ties, has_margins, smoothing):
    sizes = [len(ranks) for ranks in RANKINGS]
    scores = 2 * torch.randn(sum(sizes), generator=torch.Generator().manual_seed(1))
    scores.requires_grad_()
    margins = tensor([0.1 * row for row in range(len(RANKINGS))]) if has_margins else None
    losses = _losses(scores, RANKINGS, ties, margins, smoothing)
    losses.sum().backward()
    values = [row.tolist() for row in scores.detach().double().split(sizes)]
    slopes = [row.tolist() for row in scores.grad.split(sizes)]
    for row, ranks in enumerate(RANKINGS):
        naive = [ranks, ties, 0.1 * row if has_margins else 0.0, smoothing]
        assert losses[row].item() == pytest.approx(_naive(values[row], *naive), abs=1e-6)
        for slot in range(len(ranks)):
            up, down = list(values[row]), list(values[row])
            up[slot] += 1e-4
            down[slot] -= 1e-4
            slope = (_naive(up, *naive) - _naive(down, *naive)) / 2e-4
            assert slopes[row][slot] == pytest.approx(slope, abs=1e-6)


def test_equal_scores_lose_log_two_whatever_k():
    for k in (2, 4, 9):
        loss = _losses(torch.zeros(k), [list(range(1, k + 1))])
        assert loss.item() == pytest.approx(math.log(2))


def test_a_loss_by_hand():
    # ranks best, worst, tied with best; scores 1, 0, 2. Pairs: (0 beats 1) s(1);
    # (0 ties 2) [log s(-1) + log s(1)] / 2; (2 beats 1) s(2)
    s1, sm1, s2 = math.log(0.7310585786), math.log(0.2689414214), math.log(0.8807970780)
    scores = tensor([1.0, 0.0, 2.0])
    assert _losses(scores, [[1, 2, 1]]).item() == pytest.approx(
        -(s1 + (s1 + sm1) / 2 + s2) / 3, abs=1e-6
    )
    # without the tie two pairs are left; a margin of 1 turns s(1), s(2) into s(0), s(1)
    assert _losses(scores, [[1, 2, 1]], "drop").item() == pytest.approx(-(s1 + s2) / 2, abs=1e-6)
    with_margin = _losses(scores, [[1, 2, 1]], "drop", tensor([1.0]))
    assert with_margin.item() == pytest.approx((math.log(2) - s1) / 2, abs=1e-6)


def test_the_order_of_completions_does_not_matter():
    scores, ranks = torch.randn(6, generator=torch.Generator().manual_seed(2)), [1, 3, 2, 2, 4, 1]
    order = [4, 0, 5, 2, 1, 3]
    shuffled = [ranks[row] for row in order]
    for ties in ("half", "drop", "davidson"):
        assert_close(_losses(scores[order], [shuffled], ties), _losses(scores, [ranks], ties))


def test_davidson_probabilities_add_up_to_one_and_tie_most_at_equal_scores():
    for difference in (-30.0, -1.0, 0.0, 2.5):
        scores = tensor([difference, 0.0])
        outcomes = [_losses(scores, [ranks], "davidson") for ranks in ([1, 2], [2, 1], [1, 1])]
        assert sum(torch.exp(-loss).item() for loss in outcomes) == pytest.approx(1.0, abs=1e-6)
    nu = math.exp(LOG_NU)
    tie = torch.exp(-_losses(torch.zeros(2), [[1, 1]], "davidson")).item()
    assert tie == pytest.approx(nu / (2 + nu), abs=1e-6)


def test_a_small_nu_is_bradley_terry():
    pairs = ranking_pairs(tensor([0.7, -0.4]), rank_table([[1, 2]]))
    assert_close(pair_losses(pairs, "davidson", tie_log_nu=-40.0), pair_losses(pairs))


def test_the_tie_gradient_equals_autograd_of_the_naive_formula():
    scores = torch.randn(9, generator=torch.Generator().manual_seed(3)).double()
    ranks = [2, 1, 1, 2, 3, 1, 4, 4, 5]
    log_nu = tensor(LOG_NU, dtype=torch.float64, requires_grad=True)
    terms = []
    for i, j in combinations(range(9), 2):
        p_i, p_j = scores[i].exp(), scores[j].exp()
        tied = log_nu.exp() * (p_i * p_j).sqrt()
        chosen = tied if ranks[i] == ranks[j] else (p_i if ranks[i] < ranks[j] else p_j)
        terms.append(-torch.log(chosen / (p_i + p_j + tied)))
    torch.stack(terms).sum().backward()
    ours = davidson_gradient(ranking_pairs(scores.float(), rank_table([ranks])), LOG_NU).sum()
    assert ours.item() == pytest.approx(log_nu.grad.item(), abs=1e-5)


def test_extreme_scores_stay_finite():
    scores = tensor([300.0, -300.0], requires_grad=True)
    for ties in ("half", "davidson"):
        for ranks in ([1, 2], [2, 1], [1, 1]):
            loss = _losses(scores, [ranks], ties).sum()
            (gradient,) = torch.autograd.grad(loss, scores)
            assert loss.isfinite()
            assert gradient.isfinite().all()


def test_equal_scores_are_half_right():
    # margins of the better one: 2 - 1 right, 1 - 1 half, 1 - 2 wrong
    table = rank_table([[1, 2], [2, 1], [1, 2]])
    pairs = ranking_pairs(tensor([2.0, 1.0, 1.0, 1.0, 1.0, 2.0]), table)
    assert pairs.margin.tolist() == [1.0, 0.0, -1.0]
    assert num_correct(pairs.margin).item() == 1.5


# ---- probabilities instead of outcomes


def _soft(difference, probability, ties="half", ranks=(1, 2), smoothing=0.0):
    scores = tensor([difference, 0.0], dtype=torch.float64, requires_grad=True)
    pairs = ranking_pairs(scores, rank_table([ranks]), [probability])
    losses = pair_losses(pairs, ties, None, smoothing, LOG_NU)
    loss = ranking_losses(losses, counted_pairs(pairs, ties)).sum()
    loss.backward()
    return loss.item(), scores.grad


@pytest.mark.parametrize("ties", ["half", "drop"])
@pytest.mark.parametrize("ranks", [(1, 2), (2, 1), (1, 1)])
def test_a_probability_takes_the_place_of_the_outcome(ties, ranks):
    for difference, p in ((1.5, 0.8), (-0.7, 0.8), (0.3, 0.0), (0.3, 1.0), (2.0, 0.5)):
        expected = -p * _log_sigmoid(difference) - (1 - p) * _log_sigmoid(-difference)
        for smoothing in (0.0, 0.3):
            loss, _ = _soft(difference, p, ties, ranks, smoothing)
            assert loss == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.83])
def test_the_loss_rests_where_the_model_says_the_same_probability(p):
    at = math.log(p / (1 - p))  # s(at) = p
    _, gradient = _soft(at, p)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)
    _, above = _soft(at + 0.1, p)
    _, below = _soft(at - 0.1, p)
    assert above[0] > 0 > below[0]


def test_certainty_is_the_hard_outcome():
    for ties in ("half", "drop", "davidson"):
        assert _soft(0.4, 1.0, ties)[0] == pytest.approx(_soft(0.4, None, ties)[0], abs=1e-6)
        turned = _soft(0.4, None, ties, (2, 1))[0]
        assert _soft(0.4, 0.0, ties)[0] == pytest.approx(turned, abs=1e-6)


def test_davidson_mixes_two_of_its_three_outcomes():
    first, second = math.exp(1.2), 1.0
    total = first + second + math.exp(LOG_NU) * math.sqrt(first * second)
    expected = -0.7 * math.log(first / total) - 0.3 * math.log(second / total)
    assert _soft(1.2, 0.7, "davidson", (1, 1))[0] == pytest.approx(expected, abs=1e-6)
    pairs = ranking_pairs(tensor([1.2, 0.0]), rank_table([[1, 1]]), [0.7])
    # no tie was seen: the slope is P(tie)
    tie = math.exp(LOG_NU) * math.sqrt(first * second) / total
    assert davidson_gradient(pairs, LOG_NU).item() == pytest.approx(tie, abs=1e-6)


def test_soft_and_hard_rankings_share_a_batch():
    scores = tensor([1.0, 0.0, 0.5, 2.0, -1.0])
    pairs = ranking_pairs(scores, rank_table([[1, 2], [1, 2, 3]]), [0.9, None])
    losses = ranking_losses(pair_losses(pairs), counted_pairs(pairs, "half"))
    assert losses[0].item() == pytest.approx(_soft(1.0, 0.9)[0], abs=1e-6)
    assert losses[1].item() == pytest.approx(_naive([0.5, 2.0, -1.0], [1, 2, 3]), abs=1e-6)
