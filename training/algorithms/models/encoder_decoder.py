"""Encoder-decoder models of the T5 family: the prompt is encoded, the completion decoded.

They work wherever a method only measures given completions: log-probabilities (SFT, DPO and its
relatives) and scores (reward model). Methods that sample or need a value per token are for
decoder-only models; they call `require_decoder_only`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.algorithms.errors import CheckpointInvalid
from training.algorithms.formulas.masking import lengths_to_mask
from training.algorithms.records import Sequences

# Families whose logits and scores the tests hold to transformers' own. Not umt5: transformers 5.23
# scales its decoder rows whether or not the output layer was trained tied to the embeddings.
FAMILIES = ("t5", "mt5")
# Prefixes of the scalar head's weights: decoder-only, T5.
HEAD_NAMES = ("score.", "classification_head.")
METHODS = "sft, reward_model, and what learns from given completions alone (dpo, ipo, kto)"


def is_encoder_decoder(model_or_config: Any) -> bool:
    config = getattr(model_or_config, "config", model_or_config)
    return bool(getattr(config, "is_encoder_decoder", False))


def require_decoder_only(model_or_config: Any, method_title: str) -> None:
    """Raises CheckpointInvalid for an encoder-decoder model."""
    if is_encoder_decoder(model_or_config):
        family = getattr(model_or_config, "config", model_or_config).model_type
        raise CheckpointInvalid(
            f"{method_title} does not work with encoder-decoder models ({family}): it samples or "
            f"needs a value per token. These work: {METHODS}. Or start from a decoder-only model.",
            model_type=family,
        )


def completion_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Decoder rows [N, D] that predict completion tokens, as the LM head expects them.

    In the order of sequences.completion_mask [B, T]. The first completion token is predicted from
    decoder_start_token_id. T5 multiplies its rows by d_model**-0.5 before a head that was trained
    tied to the embeddings (T5ForConditionalGeneration.forward of transformers 5.23).
    """
    _require_plain(sequences)
    prompt_width = int(sequences.prompt_lengths.max())
    encoder_mask = lengths_to_mask(sequences.prompt_lengths, prompt_width)
    encoder_ids = sequences.input_ids[:, :prompt_width]  # behind the mask: the next tokens
    decoder_ids = _shift_right(model.config, _completion_ids(sequences))
    hidden = _decode(model, encoder_ids, encoder_mask, decoder_ids)
    return hidden[sequences.completion_mask] * _head_scale(model.config)


def last_hidden(model: Any, sequences: Sequences) -> Tensor:
    """Decoder rows [B, D] at the last completion token, prompt and completion being encoded.

    What T5ForSequenceClassification does with the whole text: encoder input, and shifted right
    decoder input; it reads the row of the last EOS.
    """
    _require_plain(sequences)
    lengths = sequences.prompt_lengths + sequences.completion_lengths
    ids = sequences.input_ids
    mask = lengths_to_mask(lengths, ids.shape[1])
    hidden = _decode(model.transformer, ids, mask, _shift_right(model.config, ids))
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), lengths - 1]


def scalar_head(model: Any, rows: Tensor) -> Tensor:
    """rows [N, D] -> [N] in fp32: `score` of a decoder-only model, T5's `classification_head`.

    Also under autocast: bfloat16 has three digits, too few for differences of scores.
    """
    head = model.classification_head if is_encoder_decoder(model) else model.score
    with torch.autocast(rows.device.type, enabled=False):
        return head(rows.float()).squeeze(-1)


def scalar_head_layers(model: Any) -> Sequence[torch.nn.Linear]:
    """The linear layers of that head, in order; T5 has a dense layer and tanh before the last."""
    if is_encoder_decoder(model):
        return model.classification_head.dense, model.classification_head.out_proj
    return (model.score,)


def _require_plain(sequences: Sequences) -> None:
    if sequences.starts is not None or sequences.shared is not None:
        raise ValueError("an encoder-decoder model takes one sequence per row: sequences_collate")


def _decode(model: Any, encoder_ids: Tensor, encoder_mask: Tensor, decoder_ids: Tensor) -> Tensor:
    """Last hidden states [B, T, D] of the decoder, before any head or scaling.

    The decoder needs no mask of its own: right padding under causal attention.
    """
    encoded = model.encoder(input_ids=encoder_ids, attention_mask=encoder_mask)
    return model.decoder(
        input_ids=decoder_ids,
        encoder_hidden_states=encoded.last_hidden_state,
        encoder_attention_mask=encoder_mask,
        use_cache=False,
    ).last_hidden_state


def _completion_ids(sequences: Sequences) -> Tensor:
    """[B, T] the completion tokens; arbitrary ids outside the mask."""
    width = sequences.completion_mask.shape[1]
    offsets = torch.arange(width, device=sequences.input_ids.device)
    positions = sequences.prompt_lengths[:, None] + offsets[None, :]
    return sequences.input_ids.gather(1, positions.clamp(max=sequences.input_ids.shape[1] - 1))


def _shift_right(config: Any, ids: Tensor) -> Tensor:
    start = torch.full_like(ids[:, :1], config.decoder_start_token_id)
    return torch.cat([start, ids[:, :-1]], dim=1)


def _head_scale(config: Any) -> float:
    # mt5 has no such field and never scales
    is_scaled = getattr(config, "scale_decoder_outputs", False)
    return float(config.d_model) ** -0.5 if is_scaled else 1.0
