"""The one function that turns a policy and sequences into completion log-probabilities.

Used for rollouts, updates, the reference, SFT and evaluation, so that all agree on the token
positions and on the temperature. Prompt rows never reach the vocabulary projection, and the
vocabulary projection runs in chunks. docs/methods/kernel.md has the memory and the figures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy
from torch.utils.checkpoint import checkpoint

from training.algorithms.kernel.hidden import (
    completion_hidden,
    completion_tokens,
    hidden_states,
    last_hidden,
)
from training.algorithms.kernel.token_logprobs import token_logprobs
from training.algorithms.records import Sequences

__all__ = [
    "TokenStatistics",
    "completion_hidden",
    "completion_logprobs",
    "completion_loss",
    "completion_statistics",
    "completion_tokens",
    "head_logits",
    "hidden_states",
    "last_hidden",
    "plain_head",
]

# Logits held at a time; 2**24 fp32 numbers are 64 MiB.
CHUNK_ELEMENTS = 2**24
# What some families apply to logits after lm_head, by the names in their configs.
LOGIT_SCALINGS = ("logit_scale", "logits_scaling", "final_logit_softcapping")


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """Per completion token; zeros outside the completion mask."""

    logprobs: Tensor
    """[B, T] nats, at the given temperature"""
    entropies: Tensor
    """[B, T] nats"""


def head_logits(model: Any, hidden: Tensor) -> Tensor:
    """Vocabulary logits [N, V] in fp32 of hidden rows [N, D].

    Applies the scalings some families put after lm_head (Gemma's softcap, Cohere's and Granite's
    factor); `checkpoint_io.policy_load` checks the result against the model's own forward pass.
    """
    config = model.config.get_text_config()
    logits = model.get_output_embeddings()(hidden).float()
    if (factor := getattr(config, "logit_scale", None)) is not None:
        logits = logits * factor
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        logits = logits / divisor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def plain_head(model: Any) -> torch.nn.Linear | None:
    """The vocabulary head when logits are nothing but its matrix product; else None.

    Not plain: a LoRA layer, a quantized layer, a hooked one, logits scaled or capped afterwards.
    """
    head = model.get_output_embeddings()
    config = model.config.get_text_config()
    is_scaled = any(getattr(config, name, None) is not None for name in LOGIT_SCALINGS)
    is_hooked = bool(
        getattr(head, "_forward_hooks", None) or getattr(head, "_forward_pre_hooks", 0)
    )
    return head if type(head) is torch.nn.Linear and not (is_scaled or is_hooked) else None


def completion_logprobs(
    model: Any, sequences: Sequences, temperature: float, chunk_elements: int = CHUNK_ELEMENTS
) -> Tensor:
    """log pi(token) [B, T] in nats of every completion token, 0 outside the mask; differentiable.

    Logits are divided by the sampling temperature before the softmax (Ziegler et al.'s policy.py).
    """
    hidden, tokens = completion_hidden(model, sequences), completion_tokens(sequences)
    chunk = _chunk_rows(model, chunk_elements)
    if (head := plain_head(model)) is not None:
        values = token_logprobs(hidden, head.weight, head.bias, tokens, temperature, chunk)
        return _scatter(values, sequences.completion_mask)

    def logprobs(rows: Tensor, tokens: Tensor) -> tuple[Tensor]:
        logits = head_logits(model, rows) / temperature
        return (logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1),)

    (values,) = _by_chunks(logprobs, hidden, tokens, chunk)
    return _scatter(values, sequences.completion_mask)


def completion_loss(model: Any, sequences: Sequences, num_tokens: int) -> Tensor:
    """Summed -log pi(token) of the completion tokens over num_tokens, nats, at temperature 1.

    num_tokens belongs to the whole batch when the sequences are only one part of it, so that the
    gradients of the parts add up to that of the mean.
    """
    head = plain_head(model)
    if head is None or torch.is_autocast_enabled(sequences.input_ids.device.type):
        return -completion_logprobs(model, sequences, 1.0).sum() / num_tokens
    hidden, tokens = completion_hidden(model, sequences), completion_tokens(sequences)
    chunk = min(len(tokens), _chunk_rows(model, CHUNK_ELEMENTS))
    # Forms its gradients in the forward pass: one product fewer than token_logprobs.
    total = linear_cross_entropy(
        hidden,
        head.weight,
        tokens,
        linear_bias=head.bias,
        reduction="sum",
        options=LinearCrossEntropyOptions(batch_chunk_size=chunk),
    )
    return total / num_tokens


@torch.no_grad()
def completion_statistics(
    model: Any, sequences: Sequences, temperature: float, chunk_elements: int = CHUNK_ELEMENTS
) -> TokenStatistics:
    """completion_logprobs and the entropies of the same distributions, without gradient."""

    def both(rows: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        logits = head_logits(model, rows) / temperature
        normalizer = logits.logsumexp(-1)
        probabilities = (logits - normalizer[:, None]).exp_()
        chosen = logits.gather(-1, tokens[:, None]).squeeze(-1)
        return chosen - normalizer, normalizer - probabilities.mul_(logits).sum(-1)

    hidden, tokens = completion_hidden(model, sequences), completion_tokens(sequences)
    parts = _by_chunks(both, hidden, tokens, _chunk_rows(model, chunk_elements))
    return TokenStatistics(*(_scatter(part, sequences.completion_mask) for part in parts))


def _chunk_rows(model: Any, chunk_elements: int) -> int:
    return max(1, chunk_elements // int(model.config.get_text_config().vocab_size))


def _by_chunks(
    compute: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    hidden: Tensor,
    tokens: Tensor,
    chunk_rows: int,
) -> list[Tensor]:
    """Applies compute (rows [n, D], tokens [n] -> tensors [n]) to chunks; tensors [N].

    Of several chunks each is recomputed in the backward pass instead of keeping its logits.
    """
    is_recomputed = torch.is_grad_enabled() and len(tokens) > chunk_rows
    parts = []
    for part in zip(hidden.split(chunk_rows), tokens.split(chunk_rows), strict=True):
        if is_recomputed:
            part_result = checkpoint(compute, *part, use_reentrant=False, preserve_rng_state=False)
        else:
            part_result = compute(*part)
        parts.append(part_result)
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def _scatter(values: Tensor, mask: Tensor) -> Tensor:
    """values [N] to [B, T] at the True positions of mask, zeros elsewhere."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=mask.device).masked_scatter(
        mask, values
    )
