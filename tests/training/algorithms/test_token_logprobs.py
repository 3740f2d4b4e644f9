"""The chunked log-probabilities and their hand-written gradient against autograd in fp64."""

import weakref

import pytest
import torch
from torch.testing import assert_close

from tests.tiny import tiny_model
from training.algorithms.kernel import token_logprobs as module
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs, completion_loss, plain_head
from training.algorithms.kernel.token_logprobs import token_logprobs

N, D, V = 7, 5, 11


def _inputs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, D, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(V, D, generator=generator).to(dtype).requires_grad_()
    bias = torch.randn(V, generator=generator).to(dtype).requires_grad_()
    return hidden, weight, bias, torch.randint(V, (N,), generator=generator)


def _naive(hidden, weight, bias, tokens, temperature):
    logits = hidden @ weight.T if bias is None else hidden @ weight.T + bias
    return torch.log_softmax(logits / temperature, -1)[torch.arange(N), tokens]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("has_bias", [False, True])
def test_value_and_gradients_are_those_of_log_softmax_and_gather(temperature, chunk_rows, has_bias):
    hidden, weight, bias, tokens = _inputs()
    bias = bias if has_bias else None
    upstream = torch.linspace(-1, 2, N, dtype=torch.float64)
    wanted = [tensor for tensor in (hidden, weight, bias) if tensor is not None]
    ours = token_logprobs(hidden, weight, bias, tokens, temperature, chunk_rows)
    expected = _naive(hidden, weight, bias, tokens, temperature)
    assert_close(ours, expected, atol=1e-12, rtol=1e-12)
    gradients = torch.autograd.grad(ours, wanted, upstream)
    for gradient, naive in zip(
        gradients, torch.autograd.grad(expected, wanted, upstream), strict=True
    ):
        assert_close(gradient, naive, atol=1e-12, rtol=1e-12)


def test_gradients_can_be_asked_for_twice():
    hidden, weight, _, tokens = _inputs()
    total = token_logprobs(hidden, weight, None, tokens, 0.9, 3).sum()
    first = torch.autograd.grad(total, [hidden, weight], retain_graph=True)
    second = torch.autograd.grad(total, [hidden, weight])
    for one, other in zip(first, second, strict=True):
        assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_a_frozen_head_still_gives_the_gradient_of_hidden_rows():
    hidden, weight, _, tokens = _inputs()
    (expected,) = torch.autograd.grad(_naive(hidden, weight, None, tokens, 1.0).sum(), hidden)
    token_logprobs(hidden, weight.detach(), None, tokens, 1.0, 2).sum().backward()
    assert_close(hidden.grad, expected, atol=1e-12, rtol=1e-12)
    assert weight.grad is None


def test_under_autocast_products_are_bf16_and_the_softmax_is_fp32():
    hidden, weight, _, tokens = _inputs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = token_logprobs(hidden, weight, None, tokens, 1.0, 3)
    ours.sum().backward()
    assert ours.dtype == hidden.grad.dtype == weight.grad.dtype == torch.float32
    logits = (hidden.bfloat16() @ weight.bfloat16().T).float()
    assert_close(ours, torch.log_softmax(logits, -1)[torch.arange(N), tokens], atol=1e-6, rtol=0)
    exact = torch.autograd.grad(_naive(hidden, weight, None, tokens, 1.0).sum(), [hidden, weight])
    # bf16 keeps 8 bits: three roundings of numbers around 3
    assert_close(hidden.grad, exact[0], atol=0.1, rtol=0.05)
    assert_close(weight.grad, exact[1], atol=0.1, rtol=0.05)


def test_logits_of_one_chunk_at_most_are_alive(monkeypatch):
    alive, most, original = 0, 0, module._logits

    def counted(*args):
        nonlocal alive, most
        logits = original(*args)
        alive += 1
        most = max(most, alive)
        weakref.finalize(logits, gone)
        return logits

    def gone():
        nonlocal alive
        alive -= 1

    monkeypatch.setattr(module, "_logits", counted)
    hidden, weight, _, tokens = _inputs()
    token_logprobs(hidden, weight, None, tokens, 1.0, 2).sum().backward()
    assert (most, alive) == (1, 0)


@pytest.mark.parametrize("compute", ["logprobs", "loss"])
def test_the_gradient_of_a_tied_embedding_adds_up(compute):
    model = tiny_model().double()
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    sequences = sequences_collate([[65, 66]], [[70, 71, 257]], pad_id=256)
    if compute == "loss":
        (completion_loss(model, sequences, 1)).backward()
    else:
        (-completion_logprobs(model, sequences, 1.0, 2 * 260).sum()).backward()
    ours = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    logits = model(input_ids=sequences.input_ids).logits
    torch.nn.functional.cross_entropy(
        logits[0, 1:4], sequences.input_ids[0, 2:], reduction="sum"
    ).backward()
    assert_close(ours, model.get_input_embeddings().weight.grad, atol=1e-9, rtol=1e-7)


def test_a_head_that_is_not_a_plain_layer_takes_the_general_path():
    model = tiny_model()
    assert plain_head(model) is model.get_output_embeddings()
    sequences = sequences_collate([[65, 66]], [[70, 71, 257]], pad_id=256)
    expected = completion_logprobs(model, sequences, 0.7)
    hook = model.lm_head.register_forward_hook(lambda module, args, output: 2 * output)
    assert plain_head(model) is None
    doubled = completion_logprobs(model, sequences, 1.4)
    hook.remove()
    assert_close(doubled, expected, atol=1e-5, rtol=1e-5)
    model.config.logit_scale = 2.0
    assert_close(completion_logprobs(model, sequences, 1.4), expected, atol=1e-5, rtol=1e-5)


def test_an_adapted_head_takes_the_general_path():
    from peft import LoraConfig, inject_adapter_in_model

    model = tiny_model()
    model.config.tie_word_embeddings = False
    adapted = inject_adapter_in_model(LoraConfig(target_modules=["q_proj", "lm_head"]), model)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    assert plain_head(adapted) is None
    sequences = sequences_collate([[65, 66]], [[70, 71, 257]], pad_id=256)
    logits = adapted(input_ids=sequences.input_ids).logits[0, 1:4]
    expected = -torch.nn.functional.cross_entropy(
        logits, sequences.input_ids[0, 2:], reduction="none"
    )
    ours = completion_logprobs(adapted, sequences, 1.0, 2 * 260)
    assert_close(ours[0], expected, atol=1e-5, rtol=1e-5)
    assert_close(completion_loss(adapted, sequences, 3), -expected.mean(), atol=1e-5, rtol=1e-5)
    ours.sum().backward()
    assert any(p.grad is not None for n, p in adapted.named_parameters() if "lm_head" in n)
