"""The embedded base model: tokenizer, packing, and a pretraining of seconds."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.entry import run_folder
from training.algorithms.methods import method_get
from training.algorithms.pretrain import TINY, PretrainConfig
from training.algorithms.pretrain.corpus import corpus_documents
from training.algorithms.pretrain.loop import Corpus, learning_rate, loss_sum, model_build
from training.algorithms.pretrain.packing import IGNORED, batch_collate, rows_pack
from training.algorithms.pretrain.tokenizer import tokenizer_train
from training.algorithms.run_dir import RunDir

UNICODE = [
    "Grüße, naïve café — 20 €!",
    "日本語 والعربية עברית",
    "👩‍👩‍👧 tabs\tand\nlines\r\n  and spaces  ",
    "\x00\x07 control",
    "<script>alert('x')</script>",
    "",
]


@pytest.fixture(scope="module")
def tokenizer():
    texts = [document.answer for document in corpus_documents(1, 300)]
    return tokenizer_train(texts, vocab_size=400, max_positions=512)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return pretrain(tmp_path_factory.mktemp("trained"))


def pretrain(folder: Path, **overrides) -> Path:
    run = {"method": "pretrain", "config": {**TINY, **overrides}, "seed": 1, "inputs": {}}
    (folder / "run.json").write_text(json.dumps({**run, "num_threads": 1}))
    assert run_folder("pretrain", str(folder)) == 0
    return folder


def files_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir()}


# ---- tokenizer


@pytest.mark.parametrize("text", UNICODE)
def test_any_text_survives_encoding_and_decoding(tokenizer, text):
    token_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(token_ids) == text


def test_padding_is_not_the_end_of_a_turn(tokenizer):
    assert tokenizer.eos_token == "<|end|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.bos_token is None


def test_the_chat_template_marks_every_turn(tokenizer):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Why?"},
    ]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|system|>Be kind.<|end|><|user|>Tea?<|end|><|assistant|>Yes.<|end|>"
        "<|user|>Why?<|end|><|assistant|>"
    )
    token_ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    ends = [tokenizer.convert_ids_to_tokens(i) for i in token_ids if i < 5]
    assert ends.count("<|end|>") == 4
    assert ends[-1] == "<|assistant|>"


# ---- packing


def test_rows_hold_every_document_that_fits_whole():
    documents = [[i] * (1 + i % 7) for i in range(200)] + [[9] * 11]
    rows = list(rows_pack(iter(documents * 3), row_tokens=10))
    assert all(0 < sum(map(len, row)) <= 10 for row in rows)
    packed = [tuple(document) for row in rows for document in row]
    assert set(packed) <= {tuple(document) for document in documents if len(document) <= 10}
    # at most 24 rows stay open at the end
    assert sum(map(len, packed)) >= 3 * sum(map(len, documents[:-1])) - 24 * 10


def test_a_batch_labels_the_next_token_of_the_same_document():
    batch = batch_collate([[[5, 6, 7], [8, 9]], [[3, 4]]], row_tokens=6, pad_id=0)
    no = IGNORED
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 0], [3, 4, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[6, 7, no, 9, no, no], [4, no, no, no, no, no]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 0, 0, 0, 0]]
    # token 9 sees 8 and itself, nothing of the first document and nothing later
    assert batch["attention_mask"][0, 0, 4].tolist() == [False, False, False, True, True, False]


def test_a_packed_document_costs_what_it_costs_alone(tokenizer):
    model = model_build(config_resolve(PretrainConfig, TINY), tokenizer, seed=1)
    documents = [[10, 20, 30, 40], [50, 60, 70], [80, 90]]
    packed = loss_sum(model, batch_collate([documents], row_tokens=12, pad_id=0))
    alone = sum(loss_sum(model, batch_collate([[d]], len(d), pad_id=0)) for d in documents)
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-5)


# ---- training


def test_the_rate_rises_to_the_peak_and_falls_to_its_final_share():
    config = PretrainConfig(num_steps=100, learning_rate=2.0, warmup_share=0.1, final_lr_share=0.25)
    rates = [learning_rate(step, config) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.5)


def test_a_document_held_out_is_never_trained_on():
    config = config_resolve(PretrainConfig, TINY)
    corpus = Corpus(config, seed=1)
    assert len(corpus.held_out) == config.held_out_documents
    held_out = {tuple(ids) for ids in corpus.held_out}
    for _, ids in zip(range(3000), corpus.train_documents(), strict=False):
        assert tuple(ids) not in held_out


def test_tiny_pretraining_beats_word_frequencies(trained):
    result = json.loads((trained / "result.json").read_text())
    metrics = result["metrics"]
    # an untrained model is at ln(512) = 6.24
    assert metrics["base/held_out_loss"] < metrics["base/held_out_unigram_loss"] - 0.5
    assert metrics["base/held_out_unigram_loss"] < math.log(512)
    assert metrics["base/held_out_perplexity"] == pytest.approx(
        math.exp(metrics["base/held_out_loss"])
    )
    progress = json.loads((trained / "progress.json").read_text())
    assert progress["done"] == progress["total"] == TINY["num_steps"]
    assert "loss" in progress["message"]


def test_the_output_loads_and_answers(trained):
    output = trained / "output"
    assert "model.safetensors" in files_of(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    model = AutoModelForCausalLM.from_pretrained(output)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "How do I make a good cup of tea?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    length = prompt["input_ids"].shape[1]
    assert model.generate(**prompt, max_new_tokens=5).shape[1] <= length + 5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(trained, tmp_path):
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    for folder in (first, again, other):
        folder.mkdir()
    short = {"num_steps": 4}
    expected = files_of(pretrain(first, **short) / "output")
    assert files_of(pretrain(again, **short) / "output") == expected
    run = json.loads((first / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**run, "seed": 2}))
    assert run_folder("pretrain", str(other)) == 0
    assert files_of(other / "output")["model.safetensors"] != expected["model.safetensors"]


def test_an_interrupted_run_ends_in_the_same_bytes(tmp_path, monkeypatch):
    short = {"num_steps": 6, "save_every_steps": 2}
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    whole.mkdir()
    halved.mkdir()
    expected = files_of(pretrain(whole, **short) / "output")

    def stop_at_step_3(self, step, metrics):
        self.stop_requested = step == 3

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "metrics_write", stop_at_step_3)
        run = json.loads((whole / "run.json").read_text())
        run["config"]["log_every_steps"] = 1
        (halved / "run.json").write_text(json.dumps(run))
        assert run_folder("pretrain", str(halved)) == 143
    assert RunDir(halved).state_path() is not None
    assert run_folder("pretrain", str(halved)) == 0
    assert files_of(halved / "output") == expected


# ---- declaration


def test_the_method_is_registered():
    method = method_get("pretrain")
    assert (method.stage, method.config) == ("base", PretrainConfig)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("vocab_size", 100),
        ("num_heads", 7),
        ("row_tokens", 1000),
        ("learning_rate", 0.0),
        ("warmup_share", 1.5),
    ],
)
def test_impossible_values_are_refused_by_name(field, value):
    with pytest.raises(ConfigError) as caught:
        config_resolve(PretrainConfig, {field: value})
    assert repr(value) in caught.value.message


def test_no_document_is_longer_than_a_row():
    """Full vocabulary: single requests with their answers stay within 96 tokens."""
    corpus = Corpus(PretrainConfig(held_out_documents=1500), seed=1)
    user = corpus.tokenizer.convert_tokens_to_ids("<|user|>")
    system = corpus.tokenizer.convert_tokens_to_ids("<|system|>")
    for ids in corpus.held_out:
        single = ids.count(user) == 1 and system not in ids
        assert len(ids) <= (96 if single else 128), corpus.tokenizer.decode(ids)
