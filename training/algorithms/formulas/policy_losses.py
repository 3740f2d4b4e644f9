"""The losses of policy optimization. B completions, T tokens; log-probabilities in nats.

Every loss is a sum over some rows divided by a count of the whole optimizer batch, so that the
gradients of micro-batches add up. logprobs carry the gradient; all else is constant.
"""

from typing import Literal

import torch
from torch import Tensor

from training.algorithms.formulas.kl import k3
from training.algorithms.formulas.masking import masked_sum


def clipped_surrogate(
    ratio: Tensor, advantages: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """max(-A rho, -A clip(rho, 1 - c, 1 + c)), and True where the clip was active. Any shape.

    Schulman et al. 2017 (arXiv 1707.06347) eq. 7, its negative.
    """
    plain = -advantages * ratio
    clipped = -advantages * torch.clamp(ratio, 1.0 - clip_range, 1.0 + clip_range)
    return torch.maximum(plain, clipped), clipped > plain


def ppo_policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_range: float,
    num_tokens: Tensor | int,
) -> tuple[Tensor, Tensor]:
    """Clipped surrogate loss (scalar) and the number of tokens where the clip was active.

    Sum over real tokens of clipped_surrogate / num_tokens, rho = exp(logprobs - old_logprobs). All
    tensors [B, T].
    """
    ratio = _ratios(logprobs, old_logprobs, mask)
    losses, is_clipped = clipped_surrogate(ratio, advantages, clip_range)
    return masked_sum(losses, mask) / num_tokens, (is_clipped & mask).sum()


def ppo_value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    clip_range: float,
    num_tokens: Tensor | int,
) -> Tensor:
    """Half the larger of the plain and the clipped squared error, per real token. Scalar.

    0.5 * sum max((V - R)^2, (clip(V, V_old +- c) - R)^2) / num_tokens, as in
    openai/lm-human-preferences train_policy.py `loss`. All tensors [B, T].
    """
    clipped = torch.clamp(values, old_values - clip_range, old_values + clip_range)
    error = torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)
    return 0.5 * masked_sum(error, mask) / num_tokens


def reinforce_loss(
    logprobs: Tensor, advantages: Tensor, mask: Tensor, num_completions: Tensor | int
) -> Tensor:
    """-sum over tokens of A_t log pi(a_t), averaged over completions. Scalar.

    Its gradient is minus the gradient of the expected return of a completion: Williams 1992
    (Machine Learning 8, REINFORCE with reinforcement baseline). All tensors [B, T].
    """
    return -masked_sum(advantages * logprobs, mask) / num_completions


def sequence_policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_range: float,
    num_completions: Tensor | int,
) -> tuple[Tensor, Tensor]:
    """Clipped surrogate of whole completions (scalar), and how many of them were clipped.

    One action is one completion: rho = pi(y) / pi_old(y) from summed log-probabilities, one
    advantage each, mean over completions. Before the first update rho = 1, and the gradient is that
    of RLOO, -A_i grad log pi(y_i) (Ahmadian et al. 2024, arXiv 2402.14740); the ratio
    matters from the second epoch on and is ours. logprobs, old_logprobs, mask [B, T];
    advantages [B].
    """
    ratio = torch.exp(masked_sum(logprobs - old_logprobs, mask, dim=1))
    losses, is_clipped = clipped_surrogate(ratio, advantages, clip_range)
    return losses.sum() / num_completions, is_clipped.sum()


def grpo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    reference_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_range: float,
    kl_coefficient: float,
    mean_over: Literal["completions", "tokens"],
    count: Tensor | int,
) -> tuple[Tensor, Tensor]:
    """Token losses clipped_surrogate + kl_coefficient * k3, and the number of clipped tokens.

    Shao et al. 2024 (arXiv 2402.03300) eq. 3 and 4. "completions", the paper: the mean over the
    tokens of a completion, then over `count` completions, so that a token of a long one weighs
    less. "tokens": over all `count` tokens alike (Yu et al. 2025, arXiv 2503.14476).
    logprobs, old_logprobs, reference_logprobs, mask [B, T]; advantages [B].
    """
    ratio = _ratios(logprobs, old_logprobs, mask)
    losses, is_clipped = clipped_surrogate(ratio, advantages[:, None], clip_range)
    if kl_coefficient:
        losses = losses + kl_coefficient * k3(logprobs, reference_logprobs)
    num_clipped = (is_clipped & mask).sum()
    if mean_over == "tokens":
        return masked_sum(losses, mask) / count, num_clipped
    return (masked_sum(losses, mask, dim=1) / mask.sum(1)).sum() / count, num_clipped


def _ratios(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """pi / pi_old [B, T], 1 outside the mask."""
    return torch.exp(torch.where(mask, logprobs - old_logprobs, torch.zeros_like(logprobs)))
