"""KL(policy || reference) from samples of the policy, and the coefficient that steers it.

B sequences, T completion tokens; log-probabilities in nats.
"""

import torch
from torch import Tensor

from training.algorithms.formulas.masking import masked_sum


def k1(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Per-token estimator log p - log q, unbiased, may be negative. [B, T] -> [B, T], nats.

    http://joschu.net/blog/kl-approx.html; the one used inside the reward.
    """
    return logprobs - reference_logprobs


def k3(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Per-token estimator exp(-k1) - 1 + k1, unbiased, never negative. [B, T] -> [B, T], nats.

    The same source. For reading, and for GRPO's loss, whose paper has it there: its gradient is not
    the gradient of the KL.
    """
    log_ratio = logprobs - reference_logprobs
    return torch.expm1(-log_ratio) + log_ratio


def sequence_kl(logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor) -> Tensor:
    """k1 summed over the completion tokens where mask [B, T]: one number a sequence [B], nats."""
    return masked_sum(k1(logprobs, reference_logprobs), mask, dim=1)


def kl_coefficient_next(
    coefficient: float, kl: float, target: float | None, horizon: int, num_episodes: int
) -> float:
    """The KL coefficient after `num_episodes` sequences with mean KL `kl`.

    e = clip(kl / target - 1, -0.2, 0.2); coefficient * (1 + e * num_episodes / horizon).
    Ziegler et al. 2019 (arXiv 1909.08593) section 2.2. `kl` and `target`: nats, SUMMED over the
    tokens of a sequence, averaged over sequences; feeding the per-token mean, as some
    implementations do, makes any target meaningless. `horizon`: episodes. Without a target the
    coefficient stays.
    """
    if target is None:
        return coefficient
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coefficient * (1.0 + error * num_episodes / horizon)
