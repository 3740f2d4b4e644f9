"""The one function that turns a policy and sequences into completion log-probabilities.

Used for rollouts, updates, the reference, SFT and evaluation, so that all agree on the token
positions and on the temperature. Prompt rows never reach the vocabulary projection, and the
vocabulary projection runs in chunks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from training.algorithms.records import Sequences

# Logits held at a time; 2**24 fp32 numbers are 64 MiB.
CHUNK_ELEMENTS = 2**24


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """Per completion token; zeros outside the completion mask."""

    logprobs: Tensor
    """[B, T] nats, at the given temperature"""
    entropies: Tensor
    """[B, T] nats"""


def hidden_states(model: Any, input_ids: Tensor) -> Tensor:
    """Last hidden states [B, L, D] of right-padded input_ids [B, L], before any head.

    No attention mask: under causal attention a real token cannot see the pads to its right.
    """
    return model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state


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


def completion_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Hidden rows [N, D] that predict the completion tokens, ready for the head.

    N = the number of completion tokens, in the order of completion_mask, row-major over [B, T].
    """
    if model.config.is_encoder_decoder:
        from training.algorithms import encoder_decoder

        return encoder_decoder.completion_hidden(model, sequences)
    return completion_rows(hidden_states(model, sequences.input_ids), sequences)


def last_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Hidden rows [B, D] AT the last token of each completion (its EOS), for scalar heads."""
    if model.config.is_encoder_decoder:
        from training.algorithms import encoder_decoder

        return encoder_decoder.last_hidden(model, sequences)
    hidden = hidden_states(model, sequences.input_ids)
    last = sequences.prompt_lengths + sequences.completion_lengths - 1
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


def completion_rows(hidden: Tensor, sequences: Sequences) -> Tensor:
    """hidden [B, L, D] -> [N, D]: the rows that predict completion tokens, N = their number.

    The token at position p is predicted by the row at p - 1.
    """
    mask = sequences.completion_mask
    rows, offsets = mask.nonzero(as_tuple=True)
    return hidden[rows, sequences.prompt_lengths[rows] - 1 + offsets]


def completion_tokens(sequences: Sequences) -> Tensor:
    """[N] the completion tokens in the order of completion_hidden."""
    rows, offsets = sequences.completion_mask.nonzero(as_tuple=True)
    return sequences.input_ids[rows, sequences.prompt_lengths[rows] + offsets]


def completion_logprobs(
    model: Any, sequences: Sequences, temperature: float, chunk_elements: int = CHUNK_ELEMENTS
) -> Tensor:
    """log pi(token) [B, T] in nats of every completion token, 0 outside the mask; differentiable.

    Logits are divided by the sampling temperature before the softmax (Ziegler et al.'s policy.py).
    """

    def logprobs(rows: Tensor, tokens: Tensor) -> Tensor:
        logits = head_logits(model, rows) / temperature
        return logits.gather(-1, tokens[:, None]).squeeze(-1) - logits.logsumexp(-1)

    return _by_chunks(model, sequences, logprobs, chunk_elements)[0]


def completion_loss(model: Any, sequences: Sequences, num_tokens: int) -> Tensor:
    """Summed -log pi(token) of the completion tokens over num_tokens, nats, at temperature 1.

    num_tokens belongs to the whole batch when the sequences are only one part of it, so that the
    gradients of the parts add up to that of the mean.
    """
    return -completion_logprobs(model, sequences, 1.0).sum() / num_tokens


@torch.no_grad()
def completion_statistics(
    model: Any, sequences: Sequences, temperature: float, chunk_elements: int = CHUNK_ELEMENTS
) -> TokenStatistics:
    """completion_logprobs and the entropies of the same distributions, without gradient."""

    def both(rows: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        logits = head_logits(model, rows) / temperature
        normalizer = logits.logsumexp(-1)
        probabilities = (logits - normalizer[:, None]).exp()
        entropies = normalizer - (probabilities * logits).sum(-1)
        return logits.gather(-1, tokens[:, None]).squeeze(-1) - normalizer, entropies

    return TokenStatistics(*_by_chunks(model, sequences, both, chunk_elements))


def _by_chunks(
    model: Any,
    sequences: Sequences,
    compute: Callable[[Tensor, Tensor], Tensor | tuple[Tensor, ...]],
    chunk_elements: int,
) -> list[Tensor]:
    """Applies compute (rows [n, D], tokens [n] -> [n], ...) and puts its results at [B, T]."""
    rows = completion_hidden(model, sequences)
    tokens = completion_tokens(sequences)
    chunk = max(1, chunk_elements // model.config.get_text_config().vocab_size)
    # Of several chunks each is recomputed in the backward pass instead of keeping its logits.
    is_recomputed = torch.is_grad_enabled() and rows.shape[0] > chunk
    parts = []
    for start in range(0, rows.shape[0], chunk):
        part = rows[start : start + chunk], tokens[start : start + chunk]
        if is_recomputed:
            result = checkpoint(compute, *part, use_reentrant=False, preserve_rng_state=False)
        else:
            result = compute(*part)
        parts.append(result if isinstance(result, tuple) else (result,))
    return [
        _scatter(torch.cat(each), sequences.completion_mask) for each in zip(*parts, strict=True)
    ]


def _scatter(values: Tensor, mask: Tensor) -> Tensor:
    """values [N] to [B, T] at the True positions of mask, zeros elsewhere."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=mask.device).masked_scatter(
        mask, values
    )
