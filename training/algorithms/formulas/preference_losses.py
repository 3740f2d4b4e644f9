"""Losses that learn a policy from preferences without a reward model, on log-ratios.

The log-ratio of a completion is log pi(completion) - log pi_reference(completion) in nats, summed
over its tokens; beta times it is the policy's implicit reward. The margin of a pair is the
log-ratio of the preferred completion minus that of the other.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def dpo_losses(margins: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """margins [P] -> losses [P] in nats; ln 2 at margin 0.

    -(1 - e) log s(beta m) - e log s(-beta m), s the logistic function. Rafailov et al. 2023 (arXiv
    2305.18290) eq. 7 for e = 0. e = label_smoothing is the share of preferences taken to be
    mistaken ("conservative DPO", E. Mitchell 2023, ericmitchell.ai/cdpo.pdf); the loss then has its
    minimum at the finite margin log((1 - e) / e) / beta.
    """
    rewards = beta * margins
    return -(1 - label_smoothing) * F.logsigmoid(rewards) - label_smoothing * F.logsigmoid(-rewards)


def ipo_losses(margins: Tensor, beta: float) -> Tensor:
    """margins [P] -> squared distances [P] to the margin 1 / (2 beta), in nats squared.

    Azar et al. 2023 (arXiv 2310.12036) eq. 17, whose tau is our beta.
    """
    return (margins - 1 / (2 * beta)) ** 2


def kto_baseline(mismatched: Tensor) -> Tensor:
    """z0: the mean of the log-ratios [N] of mismatched prompts and completions, not below 0.

    Ethayarajh et al. 2024 (arXiv 2402.01306) section 4: a biased but cheap estimate of KL(policy
    || reference). Scalar, nats, without gradient. 0 of none.
    """
    if not len(mismatched):
        return mismatched.new_zeros(())
    return mismatched.detach().mean().clamp(min=0)


def kto_losses(
    log_ratios: Tensor,
    desirable: Tensor,
    baseline: Tensor | float,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """log_ratios [N] -> losses [N]; desirable [N] True where a person approved.

    w_D (1 - s(beta (r - z0))) for desirable ones, w_U (1 - s(beta (z0 - r))) for the others, z0 the
    baseline. Ethayarajh et al. 2024 eq. 7 without its constant lambda_y.
    """
    rewards = beta * (log_ratios - baseline)
    liked = desirable_weight * torch.sigmoid(-rewards)
    disliked = undesirable_weight * torch.sigmoid(rewards)
    return torch.where(desirable, liked, disliked)


def ranking_pairs(ranks: Sequence[int]) -> list[tuple[int, int]]:
    """(better, worse) indices of all pairs of a ranking, 1 = best; pairs of a tie are left out."""
    indices = range(len(ranks))
    return [(i, j) for i in indices for j in indices if ranks[i] < ranks[j]]
