"""DPO and IPO: the loss against one plain forward pass per completion, and what a run does."""

import json
import math
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import tensor
from torch.testing import assert_close
from transformers import T5Config, T5ForConditionalGeneration

from tests.tiny import ranking_records, run_folder_make, tiny_model, tiny_tokenizer
from tests.training.algorithms.conftest import folder_for, learner, metrics_read, result_read
from training.algorithms.dpo.loop import batch_learn, ranking_totals
from training.algorithms.dpo.pairs import Objective, pair_means
from training.algorithms.entry import run_folder
from training.algorithms.formulas.preference_losses import dpo_losses, ipo_losses
from training.algorithms.records import RankedCompletions

PAD = 256
BATCH = [
    RankedCompletions(1, [65] * 20, [[70, 71], [72] * 7, [73] * 3], [2, 1, 2], weight=0.5),
    RankedCompletions(2, [66, 67], [[74] * 4, [75]], [2, 1]),
    RankedCompletions(3, [68] * 9, [[76] * 2, [77, 78], [79] * 5, [80]], [1, 2, 3, 4], weight=2.0),
]
# better before worse, by hand
PAIRS = [[(1, 0), (1, 2)], [(1, 0)], [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]]
DPO = Objective("dpo", partial(dpo_losses, beta=0.5, label_smoothing=0.1), 0.5)
IPO = Objective("ipo", partial(ipo_losses, beta=0.5), 0.5)
IPO_MEAN = Objective("ipo", partial(ipo_losses, beta=0.5), 0.5, is_mean=True)


def _logprob(model, prompt, completion):
    """transformers' own logits of one unpadded sequence; log_softmax, gather, sum."""
    logits = model(input_ids=tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    chosen = torch.log_softmax(logits, -1).gather(1, tensor(completion)[:, None])
    return chosen.sum()


def _naive_loss(model, reference, objective):
    """Two forward passes for each pair."""
    total, total_weight = 0.0, 0.0
    for ranking, pairs in zip(BATCH, PAIRS, strict=True):
        losses = []
        for pair in pairs:
            ratios = []
            for index in pair:
                ids = ranking.completions[index]
                ratio = _logprob(model, ranking.prompt_ids, ids)
                ratio = ratio - _logprob(reference, ranking.prompt_ids, ids).detach()
                ratios.append(ratio / len(ids) if objective.is_mean else ratio)
            margin = ratios[0] - ratios[1]
            if objective.name == "ipo":
                losses.append((margin - 1.0) ** 2)  # 1 / (2 * 0.5)
            else:
                up, down = torch.sigmoid(0.5 * margin), torch.sigmoid(-0.5 * margin)
                losses.append(-0.9 * up.log() - 0.1 * down.log())
        total = total + ranking.weight * sum(losses) / len(losses)
        total_weight += ranking.weight
    return total / total_weight


def _gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def _references(reference):
    return ranking_totals(learner(reference).read, BATCH, 10_000, PAD)


@pytest.mark.parametrize("objective", [DPO, IPO, IPO_MEAN], ids=["dpo", "ipo", "ipo_mean"])
@pytest.mark.parametrize("max_tokens", [10_000, 1])
def test_loss_and_gradient_equal_one_forward_pass_per_pair_side(objective, max_tokens):
    model, reference = tiny_model(0), tiny_model(1)
    sums = batch_learn(learner(model), BATCH, _references(reference), objective, max_tokens, PAD)
    gradients = _gradients(model)
    model.zero_grad()
    expected = _naive_loss(model, reference, objective)
    expected.backward()
    assert sums["loss"] == pytest.approx(expected.item(), rel=1e-5)
    for name, gradient in _gradients(model).items():
        assert_close(gradients[name], gradient, atol=2e-5 * float(gradient.abs().max()), rtol=1e-3)


def test_means_of_a_batch_by_hand():
    rankings = [
        RankedCompletions(1, [65], [[70], [71, 72]], [1, 2], weight=1.0),
        RankedCompletions(2, [65], [[70], [71], [72]], [2, 1, 2], weight=3.0),
    ]
    totals = [tensor([-1.0, -4.0]), tensor([-3.0, -2.0, -6.0])]
    references = [tensor([-2.0, -3.0]), tensor([-4.0, -1.0, -6.0])]
    # log-ratios [1, -1] and [1, -1, 0]; pairs (0, 1) weight 1; (1, 0) and (1, 2), 1.5 each
    means = pair_means(rankings, totals, references, DPO)
    assert means["accuracy"] == pytest.approx(1 / 4)
    assert means["reward_chosen"] == pytest.approx(0.5 * (1 - 3) / 4)
    assert means["reward_rejected"] == pytest.approx(0.5 * (-1 + 1.5 * (1 + 0)) / 4)
    assert means["margin"] == pytest.approx(0.5 * (2 + 1.5 * (-2 - 1)) / 4)
    assert means["logprob_chosen"] == pytest.approx((-1 + 3 * -2) / 4)
    assert means["logprob_rejected"] == pytest.approx((-4 + 1.5 * (-3 - 6)) / 4)


def test_equal_rewards_count_as_half_right():
    ranking = RankedCompletions(1, [65], [[70], [71]], [1, 2])
    means = pair_means([ranking], [tensor([-1.0, -2.0])], [tensor([-1.0, -2.0])], DPO)
    assert means["accuracy"] == 0.5
    assert means["loss"] == pytest.approx(math.log(2))


@pytest.mark.parametrize(("method", "start"), [("dpo", math.log(2)), ("ipo", 25.0)])
def test_a_run_starts_at_its_reference_and_learns_the_preference(chain, method, start):
    curves, result = metrics_read(getattr(chain, method)), result_read(getattr(chain, method))
    # ipo: (0 - 1 / (2 * 0.1))^2
    assert curves[f"{method}/loss"][0][1] == pytest.approx(start, rel=1e-5)
    assert curves[f"{method}/margin"][0][1] == pytest.approx(0, abs=1e-5)
    assert result["metrics"][f"{method}/held_out_loss"] < 0.9 * start
    assert result["metrics"][f"{method}/held_out_accuracy"] > 0.7
    assert [step for step, _ in curves[f"{method}/held_out_loss"]] == [3, 6]
    assert result["data"]["num_rankings"] == 30


def test_the_warm_up_rises_and_stays(tmp_path, chain):
    folder = folder_for("dpo", tmp_path / "run", chain, warmup_share=0.5)
    assert run_folder("dpo", str(folder)) == 0
    rates = [value for _, value in metrics_read(folder)["dpo/learning_rate"]]
    assert rates == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3, 1e-3, 1e-3, 1e-3])


def test_a_falling_probability_of_what_people_prefer_can_halt_the_run(tmp_path, chain):
    fields = {"learning_rate": 0.1, "num_epochs": 20, "max_chosen_drop": 1.0}
    folder = folder_for("dpo", tmp_path / "run", chain, **fields)
    assert run_folder("dpo", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "training_halted"
    assert error["extra"]["drop"] > 1.0
    assert not (folder / "output").exists()


def test_an_adapter_is_trained_against_the_model_without_it(tmp_path, chain):
    folder = folder_for("dpo", tmp_path / "run", chain, lora_rank=4, learning_rate=1e-2)
    assert run_folder("dpo", str(folder)) == 0
    curve = metrics_read(folder)["dpo/loss"]
    assert curve[0][1] == pytest.approx(math.log(2), rel=1e-5)
    assert result_read(folder)["metrics"]["dpo/held_out_loss"] < 0.69
    assert (folder / "output" / "adapter" / "adapter_model.safetensors").exists()


def test_a_run_of_ties_only_is_refused(tmp_path, chain):
    records = [record | {"ranks": [1, 1, 1, 1]} for record in ranking_records(12)]
    inputs = {"reference": chain.base}
    folder = run_folder_make(tmp_path / "run", "dpo", {}, inputs, {"rankings": records})
    assert run_folder("dpo", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text())["code"] == "data_too_small"


def test_an_encoder_decoder_learns_preferences(tmp_path):
    checkpoint = tiny_t5(tmp_path / "t5")
    before = load_file(checkpoint / "model.safetensors")
    fields = {"num_epochs": 4, "learning_rate": 3e-3, "batch_size": 12}
    data = {"rankings": ranking_records(40, 10)}
    folder = run_folder_make(tmp_path / "run", "dpo", fields, {"reference": checkpoint}, data)
    assert run_folder("dpo", str(folder)) == 0, (folder / "error.json").read_text()
    assert metrics_read(folder)["dpo/loss"][0][1] == pytest.approx(math.log(2), rel=1e-5)
    assert result_read(folder)["metrics"]["dpo/held_out_accuracy"] > 0.7
    after = load_file(folder / "output" / "model.safetensors")
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    assert not torch.equal(before[name], after[name])


def tiny_t5(folder):
    """A random T5 of two layers with the tiny tokenizer's vocabulary."""
    config = T5Config(
        vocab_size=260, d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2,
        decoder_start_token_id=PAD, eos_token_id=257, pad_token_id=PAD, dropout_rate=0.1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
