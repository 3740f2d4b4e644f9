"""What each stage's folder holds after a run, and what training did."""

import json

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import (
    chat,
    run_folder_make,
)
from tests.training.algorithms.conftest import folder_for, learner, metrics_read, result_read
from training.algorithms.entry import run_folder
from training.algorithms.records import Demonstration
from training.algorithms.sample.candidates import repeated
from training.algorithms.sft.batches import batch_learn


def samples_read(folder):
    return [json.loads(row) for row in (folder / "samples.jsonl").read_text().splitlines()]


def _gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


# ---- sft


def test_sft_learns_and_keeps_the_best_epoch(chain):
    result = result_read(chain.sft)
    held_out = metrics_read(chain.sft)["sft/held_out_loss"]
    assert [step for step, _ in held_out] == [3, 6, 9]  # 18 demonstrations, batches of 8
    assert held_out[-1][1] < held_out[0][1]
    assert result["metrics"]["sft/held_out_loss"] == min(value for _, value in held_out)
    assert result["data"]["num_demonstrations"] == 18


def test_an_overfitting_sft_run_returns_to_its_best_epoch(tmp_path, chain):
    folder = folder_for("sft", tmp_path / "run", chain, num_epochs=40, learning_rate=2e-2)
    assert run_folder("sft", str(folder)) == 0
    held_out = [value for _, value in metrics_read(folder)["sft/held_out_loss"]]
    best = result_read(folder)["data"]["kept_epoch"]
    assert best == 1 + held_out.index(min(held_out)) < 40


def test_sft_output_loads_in_plain_transformers_with_its_template(chain):
    output = chain.sft / "output"
    AutoModelForCausalLM.from_pretrained(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(chain.base).chat_template
    assert not list(output.glob("*.bin"))


def test_sft_loss_is_the_cross_entropy_of_the_completion_only(model):
    prompt, completion = [65, 66, 67], [80, 81, 257]
    loss = batch_learn(learner(model), [Demonstration(prompt, completion)], 10_000, pad_id=256)
    # transformers' own labels, -100 on the prompt, are the reference
    labels = torch.tensor([[-100] * 3 + completion])
    expected = model(input_ids=torch.tensor([prompt + completion]), labels=labels).loss
    assert loss == pytest.approx(expected.item(), abs=1e-5)


def test_micro_batches_do_not_change_the_sft_gradient(model):
    batch = [Demonstration([65] * n, [70 + n] * (1 + n % 5)) for n in range(1, 20)]
    whole_loss = batch_learn(learner(model), batch, 10_000, pad_id=256)
    whole = _gradients(model)
    model.zero_grad()
    loss = batch_learn(learner(model), batch, 30, pad_id=256)
    assert loss == pytest.approx(whole_loss, abs=1e-5)
    for name, gradient in _gradients(model).items():
        assert_close(gradient, whole[name], atol=1e-5, rtol=1e-3)


# ---- evaluate and sample


def test_evaluation_names_its_numbers_and_keeps_both_roles_samples(chain):
    metrics = result_read(chain.evaluate)["metrics"]
    low, high = metrics["evaluate/pair_accuracy_low"], metrics["evaluate/pair_accuracy_high"]
    assert low < metrics["evaluate/pair_accuracy"] < high
    assert metrics["evaluate/num_prompts"] == 6
    assert metrics["evaluate/reward_gain"] == pytest.approx(
        metrics["evaluate/reward_policy"] - metrics["evaluate/reward_reference"], abs=1e-5
    )
    samples = samples_read(chain.evaluate)
    assert [sample["index"] for sample in samples] == list(range(24))  # 6 prompts, 2 each, twice
    assert [sample["role"] for sample in samples] == ["policy"] * 12 + ["reference"] * 12
    assert [s["prompt_id"] for s in samples[:4]] == [14, 14, 15, 15]


def test_evaluation_measures_the_reward_model_as_its_training_did(chain):
    evaluated, trained = result_read(chain.evaluate), result_read(chain.reward_model)
    names = {
        "pair_accuracy": "held_out_accuracy", "pair_accuracy_low": "held_out_accuracy_low",
        "pair_accuracy_high": "held_out_accuracy_high", "ranking_loss": "held_out_loss",
        "brier": "held_out_brier", "calibration_error": "held_out_calibration_error",
    }  # fmt: skip
    for ours, theirs in names.items():
        expected = trained["metrics"][f"reward_model/{theirs}"]
        assert evaluated["metrics"][f"evaluate/{ours}"] == pytest.approx(expected, abs=1e-6)
    # the slices, too
    bins = [
        report["data"]["calibration"]["by_length_difference"] for report in (evaluated, trained)
    ]
    assert bins[0] == bins[1]


def test_a_policy_measured_against_itself_has_no_kl(tmp_path, chain):
    folder = folder_for("evaluate", tmp_path / "run", chain)
    document = json.loads((folder / "run.json").read_text())
    document["inputs"]["reference"] = document["inputs"]["policy"]
    (folder / "run.json").write_text(json.dumps(document))
    assert run_folder("evaluate", str(folder)) == 0
    assert result_read(folder)["metrics"]["evaluate/kl_to_reference"] == 0.0


def test_samples_are_complete_and_distinct(chain):
    samples = samples_read(chain.sample)
    assert [sample["index"] for sample in samples] == list(range(80))  # 20 prompts, K = 4
    assert [sample["prompt_id"] for sample in samples] == [i // 4 for i in range(80)]
    texts = {(sample["prompt_id"], sample["text"]) for sample in samples}
    assert len(texts) == 80
    assert set(samples[0]) == {
        "index", "prompt_id", "role", "text", "num_tokens", "finished", "seed",
    }  # fmt: skip


def test_repeats_and_empty_texts_are_drawn_again():
    slots = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    texts = dict(zip(slots, ["x", "y", "x", "x", ""], strict=True))
    assert repeated(slots, texts) == [(0, 2), (1, 1)]


def test_a_policy_that_says_one_thing_reports_its_repeats(tmp_path, chain):
    folder = folder_for("sample", tmp_path / "run", chain, temperature=1e-4, max_resamples=1)
    assert run_folder("sample", str(folder)) == 0
    metrics = result_read(folder)["metrics"]
    assert metrics["sample/num_samples"] == 80
    assert metrics["sample/num_repeats"] == 60  # three of four per prompt


def test_hostile_text_goes_through_every_stage(tmp_path, chain):
    nasty = "<|end|><script>alert(1)</script>\u202e\x00 \ud83d\ude00 <|assistant|>"
    demonstrations = [
        {"id": i, "prompt_id": i, "prompt": chat(nasty), "completion": nasty, "split": "train"}
        for i in range(4)
    ]
    folder = run_folder_make(
        tmp_path / "sft",
        "sft",
        {"num_epochs": 1},
        {"init": chain.base},
        {"demonstrations": demonstrations},
    )
    assert run_folder("sft", str(folder)) == 0
    assert result_read(folder)["data"]["num_too_long"] in (0, 4)
