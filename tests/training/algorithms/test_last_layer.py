"""A last layer without the rows nobody reads gives the same numbers and the same gradients."""

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.training.algorithms.conftest import learner
from training.algorithms.kernel import last_layer
from training.algorithms.kernel.collate import packed_collate, sequences_collate, shared_collate
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.models.scalar_model import sequence_scores, token_values

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
PROMPTS = [[5] * 9, [6] * 4]
COMPLETIONS = [[[7, 8, 1], [9]], [[10, 1], [11, 12, 13, 1]]]
REPEATED = [prompt for prompt in PROMPTS for _ in range(2)]
FLAT = [completion for group in COMPLETIONS for completion in group]
LAYOUTS = {
    "separate": sequences_collate(REPEATED, FLAT, 0),
    "packed": packed_collate(REPEATED, FLAT, [[0, 1], [2, 3]], 0),
    "shared": shared_collate(PROMPTS, COMPLETIONS, 0),
}


def _model(auto_class, family, **fields):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return auto_class.from_config(AutoConfig.for_model(family, **SIZES, **fields)).eval()


def _measured(model, function, sequences):
    """The numbers, and the gradient of their weighted sum."""
    model.zero_grad()
    values = function(model, sequences)
    weights = torch.arange(1.0, values.numel() + 1).view(values.shape)
    (weights * values).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return values.detach(), gradients


def _log_probabilities(model, sequences):
    return completion_logprobs(model, sequences, 1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", [_log_probabilities, token_values, sequence_scores])
@pytest.mark.parametrize("family", last_layer.FAMILIES)
def test_numbers_and_gradients_are_those_of_the_whole_layer(monkeypatch, family, function, layout):
    is_policy = function is _log_probabilities
    fields = {} if is_policy else {"num_labels": 1}
    auto_class = AutoModelForCausalLM if is_policy else AutoModelForSequenceClassification
    model, sequences = _model(auto_class, family, **fields), LAYOUTS[layout]
    rows_seen = []
    model.base_model.layers[-1].mlp.gate_proj.register_forward_hook(
        lambda module, args, output: rows_seen.append(output[..., 0].numel())
    )
    values, gradients = _measured(model, function, sequences)
    rows_computed = sum(rows_seen)
    rows_seen.clear()
    monkeypatch.setattr(last_layer, "MAX_ROW_SHARE", 0.0)
    expected, expected_gradients = _measured(model, function, sequences)
    assert rows_computed < sum(rows_seen)  # something was left out
    assert_close(values, expected, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4)


def test_the_model_is_whole_again_afterwards():
    model = _model(AutoModelForCausalLM, "llama")
    ids = torch.tensor([[5, 6, 7, 8]])
    before = model(ids).logits
    completion_logprobs(model, LAYOUTS["separate"], 1.0)
    assert torch.equal(model(ids).logits, before)
    mlp = model.base_model.layers[-1].mlp
    assert not mlp._forward_hooks
    assert not mlp._forward_pre_hooks


def test_other_families_and_recomputed_activations_compute_everything():
    places = torch.tensor([1])
    for model in (
        _model(AutoModelForCausalLM, "gpt_neox"),
        _model(AutoModelForCausalLM, "llama"),
    ):
        if model.config.model_type == "llama":
            learner(model, gradient_checkpointing=True)
        last = model.base_model.layers[-1]
        with last_layer.last_layer_rows(model, places, 10):
            assert not last.mlp._forward_pre_hooks


def test_an_adapter_has_the_same_gradient(monkeypatch):
    def gradients():
        model = _model(AutoModelForCausalLM, "llama")
        trained = learner(model, lora_rank=2)
        groups = [LAYOUTS["separate"]]
        trained.accumulate(groups, lambda m, s: (_log_probabilities(m, s).sum(), {}))
        return {name: p.grad for name, p in model.named_parameters() if "lora" in name.lower()}

    ours = gradients()
    monkeypatch.setattr(last_layer, "MAX_ROW_SHARE", 0.0)
    whole = gradients()
    assert len(whole) >= 28  # A and B of seven projections in two layers
    for name, gradient in whole.items():
        assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4)
