"""Per-token rewards and generalized advantage estimation on ragged sequences.

B sequences, T completion tokens, right-padded; mask True at completion tokens (the first
`length` positions of each row, EOS included).
"""

import torch
from torch import Tensor

from training.algorithms.kl import k1
from training.algorithms.masking import lengths_to_mask


def token_rewards(
    scores: Tensor,
    logprobs: Tensor,
    reference_logprobs: Tensor,
    lengths: Tensor,
    kl_coefficient: float,
) -> Tensor:
    """r_t = -kl_coefficient * k1_t, plus the score at the last completion token. [B, T].

    scores [B] from the reward model; logprobs, reference_logprobs [B, T] nats; lengths [B] >= 1.
    InstructGPT (arXiv 2203.02155) eq. 2 without the pretraining term; placement as
    `compute_rewards` in openai/lm-human-preferences train_policy.py. The score lies ON the last
    token (OpenRLHF), not one after it (TRL's sequence_lengths_p1).
    """
    mask = lengths_to_mask(lengths, logprobs.shape[1])
    penalty = -kl_coefficient * k1(logprobs, reference_logprobs)
    rewards = torch.where(mask, penalty, torch.zeros_like(penalty))
    return rewards.scatter_add(1, (lengths - 1)[:, None], scores[:, None])


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Advantages and returns [B, T], zero outside the mask.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token (the episode ends there);
    A_t = delta_t + gamma lam A_{t+1}; returns = A + V. Schulman et al. 2016 (arXiv 1506.02438)
    eq. 11-16. rewards, values, mask: [B, T].
    """
    advantages = torch.zeros_like(rewards)
    next_advantage = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        # Off the mask both carried terms stay 0, so padding after the end cannot flow back.
        here = mask[:, t]
        zero = torch.zeros_like(delta)
        next_advantage = torch.where(here, delta + gamma * lam * next_advantage, zero)
        next_value = torch.where(here, values[:, t], zero)
        advantages[:, t] = next_advantage
    returns = torch.where(mask, advantages + values, torch.zeros_like(values))
    return advantages, returns
