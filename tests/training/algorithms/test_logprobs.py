"""The log-probability function against log_softmax + gather on one sequence at a time."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from tests.tiny import tiny_model
from training.algorithms.kernel.collate import groups_by_length, sequences_collate
from training.algorithms.kernel.logprobs import (
    completion_hidden,
    completion_logprobs,
    completion_loss,
    completion_statistics,
    last_hidden,
)

PROMPTS = [[65, 66, 67, 68], [70], [71, 72]]
COMPLETIONS = [[80, 81], [82, 83, 84, 85, 257], [86]]


def _reference(model, temperature):
    """One unpadded forward pass each, full logits, log_softmax, gather."""
    rows = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        logits = model(input_ids=tensor([prompt + completion])).logits[0] / temperature
        predicted = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
        rows.append(predicted.gather(1, tensor(completion)[:, None]).squeeze(1))
    return rows


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("rows_per_chunk", [1, 3, 1000])
def test_equals_log_softmax_and_gather_with_gradient(temperature, rows_per_chunk):
    model = tiny_model()
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    ours = completion_logprobs(model, sequences, temperature, rows_per_chunk * 260)
    weights = torch.arange(1.0, 16.0).reshape(3, 5)
    (ours * weights).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    expected = _reference(model, temperature)
    for row, completion in enumerate(COMPLETIONS):
        assert_close(ours[row, : len(completion)], expected[row], atol=1e-5, rtol=1e-5)
        assert (ours[row, len(completion) :] == 0).all()
    sum((row * weights[i, : len(row)]).sum() for i, row in enumerate(expected)).backward()
    for name, parameter in model.named_parameters():
        assert_close(gradients[name], parameter.grad, atol=1e-4, rtol=1e-4)


def test_hidden_rows_are_those_of_single_forward_passes(model):
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    with torch.no_grad():
        alone = [
            model.base_model(input_ids=tensor([p + c])).last_hidden_state[0]
            for p, c in zip(PROMPTS, COMPLETIONS, strict=True)
        ]
        predicting = [h[len(p) - 1 : -1] for h, p in zip(alone, PROMPTS, strict=True)]
        hidden, last = completion_hidden(model, sequences), last_hidden(model, sequences)
    assert_close(hidden, torch.cat(predicting), atol=1e-5, rtol=1e-5)
    assert_close(last, torch.stack([h[-1] for h in alone]), atol=1e-5, rtol=1e-5)


def test_loss_is_the_summed_negative_log_likelihood_over_the_given_number(model):
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    loss = completion_loss(model, sequences, num_tokens=20)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    expected = -sum(row.sum() for row in _reference(model, 1.0)) / 20
    expected.backward()
    assert_close(loss, expected, atol=1e-6, rtol=1e-5)
    for name, parameter in model.named_parameters():
        assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-4)


def test_entropy_is_that_of_the_tempered_distribution(model):
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    entropies = completion_statistics(model, sequences, 0.7).entropies
    with torch.no_grad():
        logits = model(input_ids=tensor([PROMPTS[0]])).logits[0, -1] / 0.7
    assert_close(entropies[0, 0], torch.distributions.Categorical(logits=logits).entropy())
    assert not entropies.requires_grad


def test_pads_do_not_reach_the_numbers(model):
    with torch.no_grad():
        one = completion_logprobs(
            model, sequences_collate(PROMPTS[2:], COMPLETIONS[2:], pad_id=256), 1.0
        )
        among = completion_logprobs(model, sequences_collate(PROMPTS, COMPLETIONS, pad_id=99), 1.0)
    assert_close(among[2, :1], one[0], atol=1e-5, rtol=1e-5)


def test_groups_cover_every_row_once_within_the_budget():
    lengths = [3, 50, 7, 7, 40, 41, 4, 100, 6, 5] * 5
    groups = groups_by_length(lengths, max_tokens=200)
    assert sorted(row for group in groups for row in group) == list(range(50))
    for group in groups:
        assert len(group) * max(lengths[row] for row in group) <= 200


def test_a_row_over_the_budget_is_its_own_group():
    assert groups_by_length([500, 3], max_tokens=200) == [[0], [1]]


def test_groups_of_more_than_min_rows_hold_at_most_a_tenth_of_pads():
    lengths = [100] * 10 + [10] * 10
    groups = groups_by_length(lengths, max_tokens=10_000)
    for group in groups:
        real, padded = sum(lengths[row] for row in group), len(group) * lengths[group[0]]
        assert len(group) <= 8 or 1 - real / padded <= 0.1
    # 11 rows: 1010 of 1100 real; a 12th would make it 1020 of 1200, 15 % pads
    assert [len(group) for group in groups] == [11, 9]
