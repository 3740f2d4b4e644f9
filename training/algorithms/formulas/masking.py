"""Sums and means over real tokens. A mask is True where the token counts.

B sequences, T positions.
"""

import torch
from torch import Tensor


def lengths_to_mask(lengths: Tensor, width: int) -> Tensor:
    """lengths [B] in tokens -> bool mask [B, width], True at the first `length` positions."""
    return torch.arange(width, device=lengths.device)[None, :] < lengths[:, None]


def masked_sum(values: Tensor, mask: Tensor, dim: int | None = None) -> Tensor:
    """Sum of values [B, T] where mask [B, T]; NaN and inf outside the mask do not leak in."""
    kept = torch.where(mask, values, torch.zeros_like(values))
    return kept.sum() if dim is None else kept.sum(dim)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [B, T] over all positions where mask [B, T]; every token weighs the same."""
    return masked_sum(values, mask) / mask.sum()


def masked_variance(values: Tensor, mask: Tensor) -> Tensor:
    """Biased variance (divides by the number of real tokens) of values [B, T] where mask [B, T]."""
    return masked_mean((values - masked_mean(values, mask)) ** 2, mask)


def masked_whiten(values: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
    """Scales values [B, T] to variance 1 over real tokens, zeros elsewhere.

    With shift_mean the mean becomes 0, otherwise it stays as it was. Biased variance, plus 1e-8
    under the root: lm_human_preferences/utils/core.py `whiten` of openai/lm-human-preferences,
    which had no pads; TRL and verl use the unbiased one.
    """
    mean = masked_mean(values, mask)
    whitened = (values - mean) * torch.rsqrt(masked_variance(values, mask) + 1e-8)
    if not shift_mean:
        whitened = whitened + mean
    return torch.where(mask, whitened, torch.zeros_like(whitened))


def whiten(values: Tensor) -> Tensor:
    """Values [B] shifted to mean 0 and scaled to variance 1; biased variance plus 1e-8."""
    return (values - values.mean()) * torch.rsqrt(values.var(unbiased=False) + 1e-8)
