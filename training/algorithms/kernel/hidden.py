"""The one forward pass of training: a model and sequences to the hidden rows that a head reads.

Sequences come in three layouts (records.Sequences): one per row, several packed in a row, and
completions that share their prompts. All give the same rows in the same order.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from training.algorithms.kernel.last_layer import last_layer_rows
from training.algorithms.records import Sequences, SharedPrompts


def hidden_states(model: Any, input_ids: Tensor, position_ids: Tensor | None = None) -> Tensor:
    """Last hidden states [R, L, D] of right-padded input_ids [R, L], before any head.

    No attention mask: under causal attention a real token cannot see the pads to its right. Where
    position_ids [R, L] are given, a token sees only its own run of consecutive positions:
    transformers finds packed sequences in them (masking_utils.find_packed_sequence_indices).
    """
    inputs = {} if position_ids is None else {"position_ids": position_ids}
    return model.base_model(input_ids=input_ids, use_cache=False, **inputs).last_hidden_state


def completion_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Hidden rows [N, D] that predict the completion tokens, ready for the head.

    N = the number of completion tokens, in the order of completion_mask, row-major over [B, T].
    The token at position p is predicted by the row at p - 1.
    """
    if model.config.is_encoder_decoder:
        from training.algorithms.models import encoder_decoder

        return encoder_decoder.completion_hidden(model, sequences)
    rows, offsets = sequences.completion_mask.nonzero(as_tuple=True)
    return _rows_before(model, sequences, rows, offsets)


def last_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Hidden rows [B, D] AT the last token of each completion (its EOS), for scalar heads."""
    if model.config.is_encoder_decoder:
        from training.algorithms.models import encoder_decoder

        return encoder_decoder.last_hidden(model, sequences)
    lengths = sequences.completion_lengths
    rows = torch.arange(len(lengths), device=lengths.device)
    return _rows_before(model, sequences, rows, lengths)


def completion_tokens(sequences: Sequences) -> Tensor:
    """[N] the completion tokens in the order of completion_hidden."""
    rows, offsets = sequences.completion_mask.nonzero(as_tuple=True)
    if sequences.shared is not None:
        return sequences.input_ids[rows, offsets]
    return sequences.input_ids.flatten()[_places(sequences, rows) + offsets]


def _rows_before(model: Any, sequences: Sequences, rows: Tensor, offsets: Tensor) -> Tensor:
    """[M, D]: of completion rows[m], the hidden row just before its token number offsets[m].

    rows, offsets: [M]. Offset 0 is the last prompt token's row, offset = length the last token's.
    """
    if sequences.shared is not None:
        hidden, num_prompts = _after_shared_prompts(model, sequences, sequences.shared)
        width = sequences.input_ids.shape[1]
        after = num_prompts + rows * width + offsets - 1
        return hidden[torch.where(offsets == 0, sequences.shared.prompt_index[rows], after)]
    places = _places(sequences, rows) + offsets - 1
    with last_layer_rows(model, places, sequences.input_ids.numel()):
        hidden = hidden_states(model, sequences.input_ids, sequences.position_ids)
    return hidden.flatten(0, 1)[places]


def _places(sequences: Sequences, rows: Tensor) -> Tensor:
    """[M]: where in the flattened input_ids the completions rows [M] begin."""
    if sequences.starts is not None:
        return sequences.starts[rows] + sequences.prompt_lengths[rows]
    return rows * sequences.input_ids.shape[1] + sequences.prompt_lengths[rows]


def _after_shared_prompts(
    model: Any, sequences: Sequences, shared: SharedPrompts
) -> tuple[Tensor, int]:
    """Hidden rows [G + B*T, D]: the last token of each prompt, then all completion positions.

    The prompts run first, once each; their keys and values stay in the graph and are repeated for
    the completions, which look at their own prompt and, causally, at themselves.
    """
    device = sequences.input_ids.device
    cache = DynamicCache(config=model.config)
    num_prompts, prompt_width = shared.prompt_ids.shape
    last_places = torch.arange(num_prompts, device=device) * prompt_width
    last_places = last_places + shared.prompt_lengths - 1
    with last_layer_rows(model, last_places, shared.prompt_ids.numel()):
        of_prompts = model.base_model(
            input_ids=shared.prompt_ids, past_key_values=cache, use_cache=True
        ).last_hidden_state
    for layer in cache.layers:
        layer.keys = layer.keys.index_select(0, shared.prompt_index)
        layer.values = layer.values.index_select(0, shared.prompt_index)
    size, width = sequences.input_ids.shape
    prompt_places = torch.arange(shared.prompt_ids.shape[1], device=device)
    places = torch.arange(width, device=device)
    sees_prompt = prompt_places < sequences.prompt_lengths[:, None]  # [B, P]
    causal = places[:, None] >= places  # [T, T]
    mask = torch.cat(
        [sees_prompt[:, None].expand(-1, width, -1), causal.expand(size, -1, -1)], dim=-1
    )
    of_completions = model.base_model(
        input_ids=sequences.input_ids,
        attention_mask=mask[:, None],  # [B, 1, T, P + T], True where a token may look
        position_ids=sequences.prompt_lengths[:, None] + places,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    last = of_prompts.flatten(0, 1)[last_places]
    return torch.cat([last, of_completions.flatten(0, 1)]), num_prompts
