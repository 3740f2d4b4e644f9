"""The losses against naive loops, closed forms, and each other."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from training.algorithms.formulas.advantages import gae
from training.algorithms.formulas.policy_losses import ppo_policy_loss, ppo_value_loss
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs


def test_policy_loss_by_hand():
    # ratios 1.5 and 0.5; clip 0.2. A=+1, rho 1.5: max(-1.5, -1.2) = -1.2, clipped.
    # A=-1, rho 1.5: max(1.5, 1.2) = 1.5. A=+1, rho 0.5: max(-0.5, -0.8) = -0.5.
    # A=-1, rho 0.5: max(0.5, 0.8) = 0.8, clipped. The pad (ratio e^9) counts nowhere.
    logprobs = tensor([[math.log(1.5), math.log(1.5), 9.0], [math.log(0.5), math.log(0.5), 9.0]])
    advantages = tensor([[1.0, -1.0, 5.0], [1.0, -1.0, 5.0]])
    mask = tensor([[True, True, False], [True, True, False]])
    loss, num_clipped = ppo_policy_loss(
        logprobs, torch.zeros(2, 3), advantages, mask, 0.2, num_tokens=4
    )
    assert loss.item() == pytest.approx((-1.2 + 1.5 - 0.5 + 0.8) / 4)
    assert num_clipped == 2


def test_value_loss_by_hand():
    # V=1, old=0, R=1, clip 0.2: plain 0, clipped (0.2-1)^2 = 0.64 -> 0.64
    # V=0.1, old=0, R=1: inside the clip, (0.9)^2 = 0.81; pad ignored
    loss = ppo_value_loss(
        tensor([[1.0, 0.1, 7.0]]),
        torch.zeros(1, 3),
        tensor([[1.0, 1.0, 0.0]]),
        tensor([[True, True, False]]),
        0.2,
        num_tokens=2,
    )
    assert loss.item() == pytest.approx(0.5 * (0.64 + 0.81) / 2)


def test_one_token_ppo_without_clip_is_reinforce_with_a_baseline(model):
    prompts = [[65, 66, 67], [68], [69, 70]]
    actions = [[71], [72], [73]]
    scores, values = tensor([[1.0], [-0.5], [2.0]]), tensor([[0.3], [0.1], [-0.2]])
    sequences = sequences_collate(prompts, actions, pad_id=256)
    mask = sequences.completion_mask
    advantages, _ = gae(scores, values, mask, gamma=1.0, lam=1.0)
    logprobs = completion_logprobs(model, sequences, temperature=1.0)
    loss, _ = ppo_policy_loss(logprobs, logprobs.detach(), advantages, mask, 1e9, num_tokens=3)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    # REINFORCE: the mean of -(R - b) log pi(a), one plain forward pass per prompt
    terms = []
    for prompt, action, score, value in zip(prompts, actions, scores, values, strict=True):
        logits = model(input_ids=tensor([prompt])).logits[0, -1]
        terms.append(-(score - value) * torch.log_softmax(logits, -1)[action[0]])
    (torch.cat(terms).sum() / 3).backward()
    for name, parameter in model.named_parameters():
        assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-4)
