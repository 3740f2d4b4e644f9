"""Checkpoints that must not be trained on are refused before any training, with the remedy."""

import json

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertConfig, BertLMHeadModel

from tests.tiny import PAD, demonstration_records, run_folder_make, tiny_checkpoint, tiny_tokenizer
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.models.checkpoint_io import (
    policy_load,
    reward_model_from_policy,
    reward_model_load,
    tokenizer_load,
)

LOADERS = (policy_load, reward_model_load, reward_model_from_policy)


@pytest.fixture
def policy(tmp_path):
    return tiny_checkpoint(tmp_path / "policy")


@pytest.fixture
def reward(policy, tmp_path):
    tokenizer = tiny_tokenizer()
    model = reward_model_from_policy(str(policy), tokenizer)
    model.save_pretrained(tmp_path / "reward")
    tokenizer.save_pretrained(tmp_path / "reward")
    return tmp_path / "reward"


def refused(folder, message, loaders=(tokenizer_load, *LOADERS)):
    """Every loader refuses, with that message."""
    for loader in loaders:
        arguments = (str(folder),) if loader is tokenizer_load else (str(folder), tiny_tokenizer())
        with pytest.raises(CheckpointInvalid, match=message):
            loader(*arguments)


def config_change(folder, **changes):
    path = folder / "config.json"
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(document))


def weights_change(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, {"format": "pt"})


# ---- the wrong kind


def test_each_kind_loads_where_it_belongs(policy, reward):
    assert policy_load(str(policy), tokenizer_load(str(policy))).config.vocab_size == 260
    assert reward_model_load(str(reward), tokenizer_load(str(reward))).config.num_labels == 1


def test_a_reward_model_is_no_policy(reward):
    loaders = (policy_load, reward_model_from_policy)
    refused(reward, "is a reward model .*LlamaForSequence.*Give the output of an sft", loaders)


def test_a_policy_is_no_reward_model(policy):
    message = "not a reward model of ours but a policy.*no reward_bias.*reward_model run"
    refused(policy, message, (reward_model_load,))


def test_somebody_elses_classifier_is_no_reward_model(reward):
    document = json.loads((reward / "config.json").read_text())
    del document["reward_bias"]
    (reward / "config.json").write_text(json.dumps(document))
    refused(reward, "but LlamaForSequenceClassification: .* no reward_bias", (reward_model_load,))


def test_a_model_without_head_is_no_policy(policy):
    AutoModel.from_pretrained(policy).save_pretrained(policy)
    refused(policy, "no language-model head .LlamaModel.*AutoModelForCausalLM", (policy_load,))


def test_an_encoder_is_refused(policy):
    config = BertConfig(
        vocab_size=260, hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=16,
    )  # fmt: skip
    BertLMHeadModel(config).save_pretrained(policy)
    refused(policy, "in BertLMHeadModel a token sees the ones after it", (policy_load,))
    message = "BertForSequenceClassification has no linear `score`"
    refused(policy, message, (reward_model_from_policy,))


# ---- the weights


def test_a_missing_weight_is_named(policy):
    weights_change(policy, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    message = r"no weights for .*layers\.1\.mlp\.up_proj\.weight.*random"
    refused(policy, message, (policy_load, reward_model_from_policy))


def test_a_missing_reward_head_is_not_invented(reward):
    weights_change(reward, lambda weights: weights.pop("score.weight"))
    refused(reward, r"no weights for .*score\.weight", (reward_model_load,))


def test_a_weight_of_the_wrong_shape_is_refused(policy):
    config_change(policy, intermediate_size=48)
    message = r"wrong shape for 6 tensors .*down_proj\.weight \(32, 64\) for \(32, 48\), \.\.\.\)"
    refused(policy, message, (policy_load,))


def test_a_nan_is_named(policy):
    weights_change(policy, lambda weights: weights["model.norm.weight"].fill_(torch.nan))
    refused(policy, r"model\.norm\.weight holds NaN", (policy_load,))


def test_pickles_are_refused_with_the_way_out(policy):
    (policy / "model.safetensors").rename(policy / "pytorch_model.bin")
    refused(policy, r"pytorch_model\.bin, not in safetensors.*save_pretrained")


def test_damaged_files_are_told_from_missing_ones(policy):
    path = policy / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(policy, r"model\.safetensors is damaged .*copy the folder again")
    path.write_bytes(b"not a header at all")
    refused(policy, r"model\.safetensors is damaged")
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(policy, "git-lfs pointer; run `git lfs pull`")
    path.unlink()
    refused(policy, "there are no weights in it")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (policy / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(policy, r"model-00001-of-00002\.safetensors is missing")


def test_sharded_weights_load(policy):
    plain = policy_load(str(policy), tiny_tokenizer())
    (policy / "model.safetensors").unlink()
    plain.save_pretrained(policy, max_shard_size="40KB")
    assert len(list(policy.glob("model-*.safetensors"))) > 1
    again = policy_load(str(policy), tiny_tokenizer())
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_quantized_weights_are_refused(policy):
    config_change(policy, quantization_config={"quant_method": "bitsandbytes"})
    refused(policy, r"quantized .bitsandbytes., which cannot be trained")


# ---- the folder


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"no config\.json\. It must be a Hugging Face folder")


def test_a_run_folder_points_to_its_output(tmp_path):
    tiny_checkpoint(tmp_path / "run" / "output")
    refused(tmp_path / "run", "Did you mean .*run/output")


def test_an_unreadable_config_is_refused(policy):
    (policy / "config.json").write_text("{")
    refused(policy, r"config\.json cannot be read")


@pytest.mark.parametrize("whole", [True, False])
def test_an_adapter_is_not_a_model(policy, whole):
    adapter = {"base_model_name_or_path": "org/base", "peft_type": "LORA"}
    (policy / "adapter_config.json").write_text(json.dumps(adapter))
    if not whole:
        (policy / "config.json").unlink()
        (policy / "model.safetensors").rename(policy / "adapter_model.safetensors")
    refused(policy, "LoRA adapter of org/base.*output/adapter/: give output/.*merge_and_unload")


def test_custom_code_is_never_run(policy):
    (policy / "modeling.py").write_text("raise SystemExit('ran')")
    changes = {"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "modeling.Mine"}}
    config_change(policy, **changes)
    refused(policy, "its own Python code .*'mine'.*runs no downloaded code")


def test_an_unknown_model_type_is_named(policy):
    config_change(policy, model_type="mine")
    refused(policy, "knows no model type 'mine'")


def test_a_hub_id_that_cannot_be_had_is_refused(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused("nobody/nothing", "neither a folder nor a model.*name a folder, or download it first")


# ---- the tokenizer


def test_a_missing_tokenizer_is_named(policy):
    (policy / "tokenizer_config.json").unlink()
    refused(policy, r"tokenizer_config\.json is missing; copy", (tokenizer_load,))


def test_a_tokenizer_with_ids_beyond_the_embedding_is_refused(policy):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<|one|>", "<|two|>"])
    for loader in (policy_load, reward_model_from_policy):
        with pytest.raises(CheckpointInvalid, match=r"ids up to 261 .*two.* only 260 embedding"):
            loader(str(policy), tokenizer)


def test_models_of_one_run_share_a_tokenizer(policy, reward):
    tokenizer = tiny_tokenizer()
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (reward / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointInvalid, match=r"another tokenizer .*2 tokens differ, e\.g\. 'a'"):
        reward_model_load(str(reward), tokenizer_load(str(policy)))


def test_only_the_name_of_the_pad_token_may_differ(policy, reward):
    path = reward / "tokenizer.json"
    path.write_text(path.read_text().replace(PAD, "<|blank|>"))
    path = reward / "tokenizer_config.json"
    path.write_text(path.read_text().replace(PAD, "<|blank|>"))
    assert reward_model_load(str(reward), tokenizer_load(str(policy))).config.num_labels == 1


# ---- a whole run


def test_a_run_ends_before_training_with_the_code(reward, tmp_path):
    folder = run_folder_make(
        tmp_path / "run",
        "sft",
        inputs={"init": reward},
        data={"demonstrations": demonstration_records(24)},
    )
    assert run_folder("sft", str(folder)) == EXIT_EXPECTED
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "checkpoint_invalid"
    assert error["extra"]["location"] == str(reward)
    assert not (folder / "metrics.jsonl").exists()
