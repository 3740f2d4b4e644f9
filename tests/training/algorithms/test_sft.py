"""SFT: which tokens are learned, packed rows, which epoch is kept, encoder-decoders."""

import json

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from tests.tiny import chat, demonstration_records, run_folder_make, tiny_tokenizer
from tests.training.algorithms.conftest import folder_for, learner, metrics_read, result_read
from tests.training.algorithms.test_dpo import tiny_t5
from training.algorithms.data.encoding import demonstrations_encode
from training.algorithms.entry import run_folder
from training.algorithms.records import Demonstration
from training.algorithms.sft.batches import (
    batch_learn,
    demonstration_sequences,
    mean_loss,
    num_learned_tokens,
)

PAD = 256
TURNS = [
    Demonstration([65] * 9 + [70, 71, 257] + [66] * 4, [80, 81, 257], ((9, 12),)),
    Demonstration([67] * 3, [82] * 6),
    Demonstration([90, 257, 68, 91, 92, 257, 69], [83], ((0, 2), (3, 6))),
]
# what transformers would call labels, -100 elsewhere; the first token of all cannot be predicted
LABELS = [
    [-100] * 9 + [70, 71, 257] + [-100] * 4 + [80, 81, 257],
    [-100] * 3 + [82] * 6,
    [-100, 257, -100, 91, 92, 257, -100, 83],
]
MIXED = [Demonstration([65] * n, [70 + n] * (1 + n % 5)) for n in range(1, 20)]


def _gradients(model):
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    return gradients


def _assert_equal(gradients, expected):
    for name, gradient in expected.items():
        scale = float(gradient.abs().max())
        assert_close(gradients[name], gradient, atol=1e-5 * scale, rtol=1e-3)


@pytest.mark.parametrize("pack_tokens", [None, 32])
def test_assistant_turns_have_the_masked_cross_entropy_of_transformers(model, pack_tokens):
    loss = batch_learn(learner(model), TURNS, 10_000, PAD, pack_tokens)
    gradients = _gradients(model)
    total, count = 0.0, 0
    for record, labels in zip(TURNS, LABELS, strict=True):
        ids = tensor([record.prompt_ids + record.completion_ids])
        num = sum(label != -100 for label in labels)
        total = total + model(input_ids=ids, labels=tensor([labels])).loss * num
        count += num
    assert num_learned_tokens(TURNS) == count == 6 + 6 + 5
    (total / count).backward()
    assert loss == pytest.approx(total.item() / count, rel=1e-6)
    _assert_equal(gradients, _gradients(model))


@pytest.mark.parametrize("pack_tokens", [1, 24, 64, 1000])
@pytest.mark.parametrize("max_tokens", [30, 10_000])
def test_packing_changes_neither_loss_nor_gradient(model, pack_tokens, max_tokens):
    plain = batch_learn(learner(model), MIXED, 10_000, PAD)
    expected = _gradients(model)
    packed = batch_learn(learner(model), MIXED, max_tokens, PAD, pack_tokens)
    assert packed == pytest.approx(plain, abs=1e-5)
    _assert_equal(_gradients(model), expected)
    with torch.no_grad():
        measured = mean_loss(model, MIXED, max_tokens, PAD, pack_tokens)
    assert measured == pytest.approx(plain, abs=1e-5)


def test_packed_micro_batches_hold_every_demonstration_within_the_budget():
    groups = demonstration_sequences(MIXED, 64, PAD, 32)
    assert all(group.input_ids.numel() <= 64 for group in groups)
    assert sum(len(group.prompt_lengths) for group in groups) == len(MIXED)
    assert len(groups) > 1
    learned = sorted(int(group.completion_mask.sum()) for group in groups)
    assert sum(learned) == num_learned_tokens(MIXED)
    padded = sum(group.input_ids.numel() for group in demonstration_sequences(MIXED, 64, PAD))
    assert sum(group.input_ids.numel() for group in groups) < padded


def test_a_packed_run_follows_the_unpacked_one(tmp_path, chain):
    fields = {"packing": True, "pack_tokens": 100, "micro_batch_tokens": 200}
    folder = folder_for("sft", tmp_path / "run", chain, **fields)
    assert run_folder("sft", str(folder)) == 0
    for name, curve in metrics_read(chain.sft).items():
        assert [v for _, v in metrics_read(folder)[name]] == pytest.approx(
            [v for _, v in curve], rel=1e-3, abs=1e-5
        )


def _conversations():
    return [
        record
        | {
            "prompt": [
                *chat(f"first {record['id']}"),
                {"role": "assistant", "content": "yes " * (1 + record["id"] % 3)},
                *record["prompt"],
            ]
        }
        for record in demonstration_records(24, 6)
    ]


def test_a_run_can_learn_the_earlier_turns(tmp_path, chain):
    counts = {}
    for loss_on in ("completion", "assistant_turns"):
        folder = run_folder_make(
            tmp_path / loss_on,
            "sft",
            {"loss_on": loss_on, "num_epochs": 2, "learning_rate": 1e-3},
            {"init": chain.base},
            {"demonstrations": _conversations()},
        )
        assert run_folder("sft", str(folder)) == 0
        counts[loss_on] = result_read(folder)["data"]["num_learned_tokens"]
    train = [r for r in _conversations() if r["split"] == "train"]
    # one token per byte, and the EOS that the template writes after each turn
    turns = sum(len(record["prompt"][1]["content"]) + 1 for record in train)
    assert counts["assistant_turns"] - counts["completion"] == turns
    encoded = demonstrations_encode(tiny_tokenizer(), train, 1000).records
    assert counts["completion"] == sum(len(record.completion_ids) for record in encoded)


def _with_reward(folder, chain, **fields):
    fields = {"keep": "reward", "max_new_tokens": 8, "keep_samples": 2} | fields
    made = folder_for("sft", folder, chain, **fields)
    document = json.loads((made / "run.json").read_text())
    document["inputs"]["reward_model"] = str(chain.reward_model / "output")
    (made / "run.json").write_text(json.dumps(document))
    return made


def test_the_reward_model_can_choose_the_epoch(tmp_path, chain):
    folder = _with_reward(tmp_path / "run", chain, num_epochs=6, learning_rate=5e-3)
    assert run_folder("sft", str(folder)) == 0, (folder / "error.json").read_text()
    rewards = [value for _, value in metrics_read(folder)["sft/held_out_reward"]]
    result = result_read(folder)
    assert len(set(rewards)) > 1
    assert result["data"]["kept_epoch"] == 1 + rewards.index(max(rewards))
    assert result["metrics"]["sft/held_out_reward"] == max(rewards)


def test_keeping_by_reward_survives_a_stop(tmp_path, chain, monkeypatch):
    from tests.training.algorithms.test_resume import _Death, _die_at, _outcome

    whole, cut = (_with_reward(tmp_path / name, chain) for name in ("whole", "cut"))
    assert run_folder("sft", str(whole)) == 0
    with monkeypatch.context() as patch:
        _die_at(patch, "progress_write", 5)
        with pytest.raises(_Death):
            run_folder("sft", str(cut))
    assert run_folder("sft", str(cut)) == 0
    assert _outcome(cut) == _outcome(whole)


def test_keeping_by_reward_needs_a_reward_model_and_held_out_prompts(tmp_path, chain):
    folder = folder_for("sft", tmp_path / "no_model", chain, keep="reward")
    assert run_folder("sft", str(folder)) == 3
    assert "reward_model" in json.loads((folder / "error.json").read_text())["message"]
    folder = _with_reward(tmp_path / "no_prompts", chain)
    records = [json.dumps(record) + "\n" for record in demonstration_records(10)]
    (folder / "data" / "demonstrations.jsonl").write_text("".join(records))
    assert run_folder("sft", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text())["code"] == "data_too_small"


def test_the_last_epoch_can_be_kept(tmp_path, chain):
    fields = {"keep": "last", "num_epochs": 20, "learning_rate": 2e-2}
    folder = folder_for("sft", tmp_path / "run", chain, **fields)
    assert run_folder("sft", str(folder)) == 0
    held_out = [value for _, value in metrics_read(folder)["sft/held_out_loss"]]
    result = result_read(folder)
    assert result["data"]["kept_epoch"] == 20
    assert result["metrics"]["sft/held_out_loss"] == held_out[-1] > min(held_out)


def test_an_encoder_decoder_learns_demonstrations(tmp_path):
    fields = {"num_epochs": 4, "learning_rate": 1e-2, "batch_size": 8}
    inputs = {"init": tiny_t5(tmp_path / "t5")}
    data = {"demonstrations": demonstration_records(24, 6)}
    folder = run_folder_make(tmp_path / "run", "sft", fields, inputs, data)
    assert run_folder("sft", str(folder)) == 0, (folder / "error.json").read_text()
    held_out = [value for _, value in metrics_read(folder)["sft/held_out_loss"]]
    assert held_out[-1] < 0.8 * held_out[0]
    # the saved model gives the loss that was logged, by transformers' own labels
    model = AutoModelForSeq2SeqLM.from_pretrained(folder / "output").eval()
    records = [r for r in data["demonstrations"] if r["split"] == "held_out"]
    total, count = 0.0, 0
    with torch.no_grad():
        for record in demonstrations_encode(tiny_tokenizer(), records, 1000).records:
            ids, labels = tensor([record.prompt_ids]), tensor([record.completion_ids])
            total += model(input_ids=ids, labels=labels).loss.item() * labels.numel()
            count += labels.numel()
    assert total / count == pytest.approx(min(held_out), rel=1e-4)


@pytest.mark.parametrize(
    ("field", "value"), [("packing", True), ("loss_on", "assistant_turns"), ("keep", "reward")]
)
def test_what_an_encoder_decoder_cannot_do_is_refused(tmp_path, field, value):
    inputs = {"init": tiny_t5(tmp_path / "t5")}
    data = {"demonstrations": demonstration_records(24, 6)}
    folder = run_folder_make(tmp_path / "run", "sft", {field: value}, inputs, data)
    assert run_folder("sft", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] in ("config_invalid", "checkpoint_invalid")
    assert not (folder / "output").exists()
