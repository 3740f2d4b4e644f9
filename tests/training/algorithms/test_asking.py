"""The rules of what to ask next, on score tables made by hand."""

import math
from collections import Counter

import pytest
import torch

from training.algorithms.asking.completions import (
    at_random,
    disagreement,
    preference_variance,
    thompson,
    top_two,
)
from training.algorithms.asking.prompts import rows_choose
from training.algorithms.seeds import generator_for

LN3 = math.log(3)  # sigmoid(ln 3) = 3/4, sigmoid(2 ln 3) = 9/10
# Two heads, candidates A, B, C, D.
TABLE = torch.tensor([[0.0, 0.0], [LN3, -LN3], [-LN3, LN3], [0.0, LN3]])


def _rng(seed=0):
    return generator_for(seed, "test")


def _scores_of_favorites(favorites, num_candidates):
    """Every head gives its favorite 1 and the others 0: [C, M]."""
    scores = torch.zeros(num_candidates, len(favorites))
    for head, favorite in enumerate(favorites):
        scores[favorite, head] = 1.0
    return scores


def test_preference_variance_of_two_heads():
    variance = preference_variance(TABLE)
    # A against B: 1/4 and 3/4, each 1/4 from the mean.
    assert variance[0, 1].item() == pytest.approx(1 / 16)
    # B against C: 9/10 and 1/10.
    assert variance[1, 2].item() == pytest.approx(0.16)
    # D against B: 1/4 and 9/10, mean 0.575.
    assert variance[3, 1].item() == pytest.approx(0.325**2)
    assert torch.allclose(variance, variance.T)
    assert variance.diag().tolist() == [0, 0, 0, 0]


def test_disagreement_shows_the_pair_of_largest_variance():
    shown = disagreement(TABLE, 2, _rng())
    assert shown.places == (1, 2)
    assert shown.score == pytest.approx(0.16)


def test_disagreement_goes_on_greedily():
    # To B and C, A adds 1/16 + 1/16 = 0.125; D adds 0.105625 + 1/64 = 0.12125.
    shown = disagreement(TABLE, 3, _rng())
    assert shown.places == (1, 2, 0)
    assert shown.score == pytest.approx((0.16 + 2 / 16) / 3)


def test_disagreement_without_any_shows_what_was_drawn_first():
    shown = disagreement(torch.zeros(4, 3), 3, _rng())
    assert shown.places == (0, 1, 2)
    assert shown.score == 0


def test_disagreement_looks_at_preferences_not_at_scores():
    """Heads 40 and 60 log odds apart agree on who wins; heads at -1 and 1 do not."""
    scores = torch.tensor([[40.0, 60.0], [0.0, 0.0], [-1.0, 1.0]])
    assert disagreement(scores, 2, _rng()).places == (1, 2)


def test_thompson_shows_favorites_of_heads_as_often_as_heads_have_them():
    # Favorites A, A, B, C: A comes first in 1/2 of the draws, and then B or C, each in 1/4.
    scores = _scores_of_favorites([0, 0, 1, 2], 4)
    counts = Counter(thompson(scores, 2, _rng(seed)).places for seed in range(1600))
    assert all(3 not in places for places in counts)
    # Binomial(1600, 1/4): mean 400, standard deviation 17; drawn again until different, from B
    # the next is A in 2 of 3 cases: 1/4 * 2/3 of 1600 = 267, standard deviation 15.
    assert abs(counts[0, 1] - 400) < 60
    assert abs(counts[0, 2] - 400) < 60
    assert abs(counts[1, 0] - 267) < 60


def test_thompson_falls_back_on_the_mean_when_heads_have_one_favorite():
    scores = torch.tensor([[0.0, 1.0], [LN3, -1.0], [2.0, 2.0]])
    shown = thompson(scores, 3, _rng())
    assert shown.places == (2, 0, 1)  # means 2, 0.5, (ln 3 - 1) / 2 = 0.05
    assert shown.score == pytest.approx(preference_variance(scores)[2, 0].item())


def test_top_two_shows_the_highest_means_and_wants_close_ones():
    scores = torch.tensor([[1.0, 2.0], [4.0, 2.0], [0.0, 1.0], [3.0, 2.5]])
    shown = top_two(scores, 2, _rng())
    assert shown.places == (1, 3)  # means 1.5, 3, 0.5, 2.75
    assert shown.score == pytest.approx(-0.25)
    assert top_two(scores, 3, _rng()).places == (1, 3, 0)


def test_chance_shows_any_candidates_equally_often():
    counts = Counter(place for seed in range(900) for place in at_random(3, 2, _rng(seed)).places)
    # Each of three is among two in 2/3 of 900; standard deviation 14.
    assert all(abs(counts[place] - 600) < 56 for place in range(3))
    assert at_random(3, 2, _rng()).score is None


def _pool(num, num_held_out):
    return [row >= num - num_held_out for row in range(num)]


def test_held_out_prompts_keep_their_share_and_a_share_of_the_others_is_random():
    scores = [float(row) for row in range(100)]
    choice = rows_choose(scores, _pool(100, 20), 30, 0.25, seed=3)
    held_out = [row for row in choice.at_random if row >= 80]
    train = [row for row in choice.at_random if row < 80]
    # 30 * 20/100 = 6 held out; of the other 24 a quarter.
    assert (len(held_out), len(train), len(choice.by_score)) == (6, 6, 18)
    best = [row for row in range(79, -1, -1) if row not in train][:18]
    assert choice.by_score == best
    assert rows_choose(scores, _pool(100, 20), 30, 0.25, seed=3) == choice


def test_all_prompts_are_asked_when_no_number_is_given():
    choice = rows_choose([0.0] * 10, _pool(10, 2), 0, 0.0, seed=1)
    assert sorted(choice.at_random) == [8, 9]
    assert sorted(choice.by_score) == list(range(8))
    assert rows_choose([], [], 0, 0.5, seed=1).at_random == []


def test_a_share_of_few_prompts_holds_on_average():
    """A tenth of 4 prompts is 0.4 of a prompt: none or one."""
    sizes = Counter(
        len(rows_choose([0.0] * 8, _pool(8, 0), 4, 0.1, seed).at_random) for seed in range(1000)
    )
    assert set(sizes) == {0, 1}
    assert abs(sizes[1] - 400) < 62  # standard deviation 15.5


def test_the_random_prompts_are_a_uniform_draw_whatever_the_scores():
    """Chi-square over 10 train rows and over 5 held-out ones, 99.9 % points for 9 and 4."""
    scores = [100.0, 50.0] + [0.0] * 13
    train, held_out = Counter(), Counter()
    for seed in range(2000):
        # 6 of 15: 2 held out; of the 4 others one half by chance.
        for row in rows_choose(scores, _pool(15, 5), 6, 0.5, seed).at_random:
            (held_out if row >= 10 else train)[row] += 1
    assert sum(train.values()) == sum(held_out.values()) == 4000
    assert sum((train[row] - 400) ** 2 / 400 for row in range(10)) < 27.9
    assert sum((held_out[row] - 800) ** 2 / 800 for row in range(10, 15)) < 18.5
