"""The losses, each a few lines on tensors. Log-probabilities in nats; means over real tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

from training.algorithms.masking import masked_sum


def sft_loss(logprobs: Tensor, mask: Tensor, num_tokens: Tensor | int) -> Tensor:
    """Cross-entropy of the completion tokens: -sum(logprobs where mask) / num_tokens.

    logprobs, mask [B, T] cover completion tokens only: the prompt has no part in the loss.
    num_tokens is the count of the whole optimizer batch, so micro-batches add up to its mean.
    """
    return -masked_sum(logprobs, mask) / num_tokens


def ranking_loss(scores: Tensor, ranks: Tensor) -> Tensor:
    """Negative log-likelihood of one ranking, averaged over all its pairs. Scalar, fp32.

    scores [K] from one pass over the K completions; ranks [K] ints, 1 best, equal = tie.
    -1/C(K,2) * sum over pairs of [y log s(d) + (1-y) log s(-d)], d = score difference, s the
    logistic function, y = 1 for the better one and 1/2 for a tie. InstructGPT (arXiv 2203.02155)
    eq. 1 drops ties; keeping them at one half pulls tied scores together.
    """
    scores = scores.float()
    num_completions = scores.shape[0]
    first, second = torch.triu_indices(num_completions, num_completions, offset=1).to(scores.device)
    difference = scores[first] - scores[second]
    # sign is +1 where `first` is better (lower rank), -1 where worse, 0 for a tie
    sign = torch.sign(ranks[second] - ranks[first]).to(scores.dtype)
    outcome = (1.0 + sign) / 2.0
    log_likelihood = outcome * F.logsigmoid(difference) + (1 - outcome) * F.logsigmoid(-difference)
    return -log_likelihood.mean()
