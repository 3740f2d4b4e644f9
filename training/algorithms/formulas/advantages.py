"""Per-token rewards and advantages on ragged sequences.

B sequences, T completion tokens, right-padded; mask True at completion tokens (the first
`length` positions of each row, EOS included).
"""

from typing import Literal

import torch
from torch import Tensor

from training.algorithms.formulas.kl import k1
from training.algorithms.formulas.masking import lengths_to_mask

# Against division by zero where all completions of a prompt score alike; in units of the score.
SCALE_FLOOR = 1e-4


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


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """G_t = r_t + gamma G_{t+1} of each completion, [B, T] -> [B, T], zero outside the mask."""
    kept = torch.where(mask, rewards, torch.zeros_like(rewards))
    if gamma == 1.0:
        total = kept.flip(1).cumsum(1).flip(1)
    else:
        total = torch.zeros_like(kept)
        following = torch.zeros_like(kept[:, 0])
        for t in reversed(range(kept.shape[1])):
            following = kept[:, t] + gamma * following
            total[:, t] = following
    return torch.where(mask, total, torch.zeros_like(total))


def rloo_advantages(rewards: Tensor, group_size: int) -> Tensor:
    """A_i = R_i minus the mean of the other completions of its prompt, [B] -> [B].

    Completions of a prompt are neighbors, group_size >= 2 of them. Ahmadian et al. 2024 (arXiv
    2402.14740); Kool et al. 2019. The baseline does not depend on the completion it is subtracted
    from, so the gradient stays unbiased; A_i = K / (K - 1) (R_i - mean of all K).
    """
    groups = rewards.view(-1, group_size)
    others = (groups.sum(1, keepdim=True) - groups) / (group_size - 1)
    return (groups - others).flatten()


def group_advantages(
    scores: Tensor, group_size: int, scale: Literal["group", "batch", "none"]
) -> Tensor:
    """Scores minus the mean of their prompt's, over a standard deviation, [B] -> [B].

    Completions of a prompt are neighbors, group_size >= 2. scale "group": the prompt's own
    deviation (GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2); "batch": one for all, the
    root of the mean within-prompt variance; "none": 1 (Liu et al. 2025, arXiv 2503.20783).
    Variances are unbiased (K - 1); SCALE_FLOOR is added to the deviation.
    """
    groups = scores.view(-1, group_size)
    centered = groups - groups.mean(1, keepdim=True)
    if scale == "none":
        return centered.flatten()
    variance = groups.var(1, keepdim=True)
    if scale == "batch":
        variance = variance.mean()
    return (centered / (variance.sqrt() + SCALE_FLOOR)).flatten()
