"""An ensemble of heads on synthetic features: what it learns, keeps, and does not know."""

import pytest
import torch
from torch.testing import assert_close

from training.algorithms.measuring.ensemble import (
    EnsembleConfig,
    ensemble_fit,
    ensemble_load,
    ensemble_save,
    ensemble_scores,
    pair_uncertainty,
)
from training.algorithms.records import RankedCompletions
from training.algorithms.reward_model.report import uncertainty_terciles

WIDTH, K = 12, 4


def _data(seed, num_rankings=150, spread=1.0):
    """Rankings by a hidden linear score; only the first 6 features vary, by `spread`."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(num_rankings * K, WIDTH)
    rows[:, :6] = spread * torch.randn(len(rows), 6, generator=generator)
    truth = rows[:, :6] @ torch.tensor([2.0, -1.0, 0.5, 1.0, 0.0, -0.5])
    ranks = [(1 + (row[:, None] < row).sum(1)).tolist() for row in truth.split(K)]
    return rows, ranks


def _rankings(ranks):
    return [RankedCompletions(n, [1], [[1]] * K, row) for n, row in enumerate(ranks)]


@pytest.fixture(scope="module", params=[0, 8], ids=["linear", "hidden"])
def ensemble(request):
    config = EnsembleConfig(num_heads=8, hidden_size=request.param)
    return ensemble_fit(*_data(1), config, seed=3)


def test_every_head_learns_and_averages_zero_over_the_training_data(ensemble):
    features, _ = _data(1)
    means = ensemble_scores(ensemble, features).mean(0)
    assert_close(means, torch.zeros_like(means), atol=1e-8, rtol=0)
    rows, ranks = _data(2)
    for head in ensemble_scores(ensemble, rows).T:
        (report,) = uncertainty_terciles(head[:, None], _rankings(ranks))[:1]
        assert report["accuracy"] > 0.85


def test_heads_differ_more_far_from_the_data(ensemble):
    near, _ = _data(4, num_rankings=20)
    far = torch.zeros_like(near)
    far[:, 6:] = torch.randn(len(far), 6, generator=torch.Generator().manual_seed(5))
    spreads = [pair_uncertainty(ensemble_scores(ensemble, rows)).mean() for rows in (near, far)]
    assert spreads[1] > 2 * spreads[0]


def test_uncertain_pairs_are_less_often_right(ensemble):
    rows, ranks = _data(6, num_rankings=300)
    noisy = rows.clone()
    # half of the rankings: what matters is drowned by what no head has seen
    noisy[: len(rows) // 2, 6:] = torch.randn(
        len(rows) // 2, 6, generator=torch.Generator().manual_seed(7)
    )
    noisy[: len(rows) // 2, :6] *= 0.1
    terciles = uncertainty_terciles(ensemble_scores(ensemble, noisy), _rankings(ranks))
    assert sum(row["num_pairs"] for row in terciles) == 300 * 6
    assert terciles[0]["mean_uncertainty"] < terciles[2]["mean_uncertainty"]
    assert terciles[0]["accuracy"] > terciles[2]["accuracy"] + 0.05


def test_uncertainty_is_the_spread_of_differences():
    scores = torch.tensor([[1.0, 3.0], [0.0, 4.0]])  # differences 1 and -1: mean 0, std 1
    assert_close(pair_uncertainty(scores), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


def test_saved_and_loaded_it_gives_the_same_scores(ensemble, tmp_path):
    ensemble_save(ensemble, tmp_path)
    rows, _ = _data(8, num_rankings=3)
    loaded = ensemble_load(tmp_path)
    assert loaded.config == ensemble.config
    assert torch.equal(ensemble_scores(loaded, rows), ensemble_scores(ensemble, rows))


def test_a_folder_without_one_gives_none(tmp_path):
    assert ensemble_load(tmp_path) is None


def test_the_same_seed_gives_the_same_ensemble_and_another_one_another():
    config = EnsembleConfig(num_heads=3, num_steps=5)
    features, ranks = _data(1, num_rankings=10)
    first, again, other = (ensemble_fit(features, ranks, config, seed) for seed in (1, 1, 2))
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, again.tensors[name])
    assert not torch.equal(first.tensors["head.out"], other.tensors["head.out"])


def test_without_priors_and_data_that_vary_heads_stay_zero():
    # no feature varies: nothing to learn, and no prior to disagree by
    config = EnsembleConfig(num_heads=3, prior_scale=0.0, num_steps=5)
    ensemble = ensemble_fit(torch.ones(4, 2), [[1, 2], [2, 1]], config, seed=1)
    assert torch.count_nonzero(ensemble_scores(ensemble, torch.randn(5, 2))) == 0
