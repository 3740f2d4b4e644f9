"""Adapters, precision and recomputation change cost, not what is learned."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import tensor
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.tiny import tiny_checkpoint, tiny_model, tiny_tokenizer
from tests.training.algorithms.conftest import folder_for, learner, result_read
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.learner_config import LearnerConfig
from training.algorithms.entry import run_folder
from training.algorithms.errors import LossNotFinite
from training.algorithms.models.checkpoint_io import policy_load
from training.algorithms.records import Demonstration
from training.algorithms.run_dir import Hardware
from training.algorithms.sft.batches import batch_learn

BATCH = [Demonstration([65] * n, [70 + n] * (1 + n % 5)) for n in range(1, 12)]
IDS = tensor([[65, 66, 67, 68]])


def logits(model):
    return model(input_ids=IDS).logits


def learn(some_learner, num_steps=3):
    for _ in range(num_steps):
        batch_learn(some_learner, BATCH, 10_000, pad_id=256)
        some_learner.step(1e-2)


def test_recomputed_activations_give_the_same_gradient():
    plain, recomputed = tiny_model(), tiny_model()
    batch_learn(learner(plain), BATCH, 10_000, pad_id=256)
    batch_learn(learner(recomputed, gradient_checkpointing=True), BATCH, 10_000, pad_id=256)
    for expected, ours in zip(plain.parameters(), recomputed.parameters(), strict=True):
        assert_close(ours.grad, expected.grad, atol=1e-6, rtol=1e-5)


def test_recomputation_is_really_switched_on():
    """The number of forward passes through a layer tells: twice when it is recomputed."""
    model, calls = tiny_model(), []
    ours = learner(model, gradient_checkpointing=True)
    model.model.layers[0].self_attn.register_forward_pre_hook(lambda *_: calls.append(1))
    batch_learn(ours, BATCH[:1], 10_000, pad_id=256)
    assert len(calls) == 2
    assert not model.training


def test_an_adapter_starts_as_nothing_and_its_base_never_moves(tmp_path):
    before = logits(tiny_model())
    ours = learner(tiny_model(), lora_rank=2)
    assert_close(ours.read(logits), before, atol=0, rtol=0)
    learn(ours)
    assert (ours.read(logits) - before).abs().max() > 0.05
    start = ours.frozen_start(lambda: pytest.fail("the adapter is switched off instead"))
    assert_close(start(logits), before, atol=0, rtol=0)


def test_an_adapter_is_saved_merged_and_on_its_own(tmp_path):
    base = tiny_checkpoint(tmp_path / "base")
    ours = learner(policy_load(str(base), tiny_tokenizer()), lora_rank=2)
    learn(ours)
    trained = ours.read(logits)
    ours.finish()
    (tmp_path / "output").mkdir()
    ours.save(tiny_tokenizer(), tmp_path / "output")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "output")
    assert_close(logits(merged), trained, atol=1e-5, rtol=1e-5)
    with_adapter = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), tmp_path / "output" / "adapter"
    )
    assert_close(logits(with_adapter), trained, atol=1e-5, rtol=1e-5)
    size = (tmp_path / "output" / "adapter" / "adapter_model.safetensors").stat().st_size
    assert size < (tmp_path / "output" / "model.safetensors").stat().st_size / 2


@pytest.mark.parametrize("method", ["sft", "reward_model", "ppo"])
def test_every_stage_runs_with_an_adapter(tmp_path, chain, method):
    folder = folder_for(method, tmp_path / "run", chain, lora_rank=2)
    assert run_folder(method, str(folder)) == 0, (folder / "error.json").read_text()
    assert (folder / "output" / "adapter" / "adapter_config.json").exists()
    kind = AutoModelForSequenceClassification if method == "reward_model" else AutoModelForCausalLM
    _, info = kind.from_pretrained(folder / "output", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert (
        result_read(folder)["metrics"].keys()
        == result_read(getattr(chain, method))["metrics"].keys()
    )


def test_bf16_computes_near_fp32_and_keeps_fp32_weights():
    exact, rounded = tiny_model(), tiny_model()
    fp32 = batch_learn(learner(exact), BATCH, 10_000, pad_id=256)
    ours = Learner(rounded, LearnerConfig(), Hardware(precision="bf16"), seed=0)
    bf16 = batch_learn(ours, BATCH, 10_000, pad_id=256)
    assert bf16 != fp32
    assert bf16 == pytest.approx(fp32, rel=0.02)
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}
    for expected, parameter in zip(exact.parameters(), rounded.parameters(), strict=True):
        cosine = torch.cosine_similarity(expected.grad.flatten(), parameter.grad.flatten(), dim=0)
        assert cosine > 0.98


@pytest.mark.parametrize("method", ["reward_model", "ppo", "grpo", "dpo"])
def test_methods_run_in_bf16_and_leave_fp32_weights(tmp_path, chain, method):
    folder = folder_for(method, tmp_path / "run", chain)
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"precision": "bf16"}))
    assert run_folder(method, str(folder)) == 0, (folder / "error.json").read_text()
    weights = load_file(folder / "output" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    exact = load_file(getattr(chain, method) / "output" / "model.safetensors")
    assert any(not torch.equal(weights[name], exact[name]) for name in exact)


def test_a_gradient_that_is_not_finite_changes_no_weight():
    model = tiny_model()
    ours = learner(model)
    batch_learn(ours, BATCH, 10_000, pad_id=256)
    before = [p.detach().clone() for p in model.parameters()]
    next(iter(model.parameters())).grad[0, 0] = float("nan")
    with pytest.raises(LossNotFinite, match="gradient norm"):
        ours.step(1e-2)
    for old, new in zip(before, model.parameters(), strict=True):
        assert_close(new, old, atol=0, rtol=0)
