"""KTO: the loss against one plain forward pass per rating, the baseline's pairs, the classes."""

import json

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from tests.tiny import rating_records, run_folder_make, tiny_model
from tests.training.algorithms.conftest import folder_for, learner, metrics_read, result_read
from tests.training.algorithms.test_dpo import _gradients, _logprob, tiny_t5
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.entry import run_folder
from training.algorithms.kto import KTOConfig
from training.algorithms.kto.loop import batch_learn
from training.algorithms.kto.ratings import Measure, balance_check, class_means, mismatched_pairs
from training.algorithms.records import Rating

BATCH = [
    Rating(1, [65] * 12, [70, 71], True),
    Rating(2, [66, 67], [72] * 7, False),
    Rating(3, [68] * 5, [73], True),
]
MEASURE = Measure(10_000, 256, 128)
CONFIG = KTOConfig(beta=0.5, desirable_weight=1.25, undesirable_weight=0.75)


def _log_ratio(model, reference, prompt, completion):
    logprob = _logprob(model, prompt, completion)
    return logprob - _logprob(reference, prompt, completion).detach()


@pytest.mark.parametrize("max_tokens", [10_000, 1])
def test_loss_and_gradient_equal_one_forward_pass_per_rating(max_tokens):
    model, reference = tiny_model(0), tiny_model(1)
    measure = Measure(max_tokens, 256, 128)
    baseline = 0.3
    totals = measure.matched(learner(reference).read, BATCH, False)
    sums = batch_learn(learner(model), BATCH, totals, baseline, CONFIG, measure)
    gradients = _gradients(model)
    model.zero_grad()
    losses = []
    for rating in BATCH:
        ratio = _log_ratio(model, reference, rating.prompt_ids, rating.completion_ids)
        if rating.desirable:
            losses.append(1.25 * (1 - torch.sigmoid(0.5 * (ratio - baseline))))
        else:
            losses.append(0.75 * (1 - torch.sigmoid(0.5 * (baseline - ratio))))
    expected = sum(losses) / 3
    expected.backward()
    assert sums["loss"] == pytest.approx(expected.item(), rel=1e-5)
    for name, gradient in _gradients(model).items():
        assert_close(gradients[name], gradient, atol=2e-5 * float(gradient.abs().max()), rtol=1e-3)


def test_mismatched_pairs_take_the_neighbours_completion():
    assert mismatched_pairs(BATCH, 128) == [
        ([65] * 12, [73]),
        ([66, 67], [70, 71]),
        ([68] * 5, [72] * 7),
    ]
    # cut to what a prompt leaves room for
    assert mismatched_pairs(BATCH, 7)[2] == ([68] * 5, [72, 72])


def test_a_neighbour_with_the_same_prompt_is_no_mismatch():
    twice = [BATCH[0], Rating(1, [65] * 12, [74], False), BATCH[1]]
    assert [prompt for prompt, _ in mismatched_pairs(twice, 128)] == [[65] * 12, [66, 67]]
    assert mismatched_pairs(BATCH[:1], 128) == []


def test_mismatched_totals_are_those_of_single_forward_passes():
    model = tiny_model()
    totals = MEASURE.mismatched(learner(model).read, BATCH, False)
    expected = [_logprob(model, *pair).item() for pair in mismatched_pairs(BATCH, 128)]
    assert_close(totals, tensor(expected), atol=1e-4, rtol=1e-5)


def test_means_by_class_by_hand():
    sums = {
        "loss": 0.4,
        "reward_desirable": 3.0, "logprob_desirable": -8.0,
        "reward_undesirable": -2.0, "logprob_undesirable": -5.0,
    }  # fmt: skip
    assert class_means(sums, BATCH) == {
        "loss": 0.4,
        "reward_desirable": 1.5, "logprob_desirable": -4.0,
        "reward_undesirable": -2.0, "logprob_undesirable": -5.0,
        "margin": 3.5,
    }  # fmt: skip
    only = class_means(sums, [BATCH[1]])
    assert set(only) == {"loss", "reward_undesirable", "logprob_undesirable"}


def test_the_balance_rule_says_what_to_set():
    ratings = [BATCH[0]] * 10 + [BATCH[1]] * 40
    balance, advice = balance_check(ratings, KTOConfig())
    assert balance == 0.25
    assert advice is not None
    assert "desirable_weight from 4 to 5.33" in advice
    assert balance_check(ratings, KTOConfig(desirable_weight=4.5)) == (1.125, None)


def test_a_run_starts_at_its_reference_and_learns(chain):
    curves, result = metrics_read(chain.kto), result_read(chain.kto)
    # at the reference every reward and the baseline are 0: 1 - sigmoid(0)
    assert curves["kto/loss"][0][1] == pytest.approx(0.5, abs=1e-5)
    assert curves["kto/baseline"][0][1] == pytest.approx(0, abs=1e-5)
    assert result["metrics"]["kto/held_out_accuracy"] > 0.7
    assert result["metrics"]["kto/held_out_margin"] > 0.05
    assert curves["kto/balance"] == [(0, 20 / 15)]
    assert result["data"]["balance_advice"] is None


def test_one_class_alone_is_refused(tmp_path, chain):
    records = [record | {"desirable": True} for record in rating_records(20)]
    folder = run_folder_make(
        tmp_path / "run", "kto", {}, {"reference": chain.base}, {"ratings": records}
    )
    assert run_folder("kto", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "data_too_small"
    assert error["extra"]["what"] == "undesirable training ratings"


def test_a_batch_of_one_is_refused():
    with pytest.raises(ConfigError, match="batch_size"):
        config_resolve(KTOConfig, {"batch_size": 1})


def test_an_adapter_and_an_encoder_decoder_learn(tmp_path, chain):
    folder = folder_for("kto", tmp_path / "lora", chain, lora_rank=4, learning_rate=1e-2)
    assert run_folder("kto", str(folder)) == 0
    assert result_read(folder)["metrics"]["kto/held_out_margin"] > 0.05
    inputs, data = {"reference": tiny_t5(tmp_path / "t5")}, {"ratings": rating_records(42, 7)}
    fields = {"learning_rate": 3e-3, "num_epochs": 4}
    folder = run_folder_make(tmp_path / "t5_run", "kto", fields, inputs, data)
    assert run_folder("kto", str(folder)) == 0, (folder / "error.json").read_text()
    assert result_read(folder)["metrics"]["kto/held_out_margin"] > 0.05
