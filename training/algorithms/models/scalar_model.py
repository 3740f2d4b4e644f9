"""Models with one number per token: the reward model and the value model made from it.

The checkpoint is a transformers AutoModelForSequenceClassification with num_labels=1, so anyone
can load it without us: a score is (logit - reward_bias) * reward_scale, both in its config.json.
"""

import math
from typing import Any

import torch
from torch import Tensor

from training.algorithms.kernel.hidden import completion_hidden, last_hidden
from training.algorithms.models.encoder_decoder import scalar_head, scalar_head_layers
from training.algorithms.records import Sequences


def reward_bias(model: Any) -> float:
    """The mean head output of the demonstrations, stored with the checkpoint; 0 before."""
    return float(getattr(model.config, "reward_bias", 0.0))


def reward_scale(model: Any) -> float:
    """1 unless the reward model was scaled to variance 1 over its reference's samples.

    A score difference divided by it is in log odds: what the ranking loss was about.
    """
    return float(getattr(model.config, "reward_scale", 1.0))


def head_initialize(model: Any, generator: torch.Generator) -> None:
    """Draws the head from a normal of std 1/sqrt(d + 1), bias 0; T5's dense layer likewise.

    Stiennon et al. 2020: summarize_from_feedback/query_response_model.py of
    openai/summarize-from-feedback; d is the width of the hidden state.
    """
    with torch.no_grad():
        for layer in scalar_head_layers(model):
            std = 1.0 / math.sqrt(layer.weight.shape[1] + 1)
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
            if layer.bias is not None:
                layer.bias.zero_()


def sequence_scores(model: Any, sequences: Sequences) -> Tensor:
    """Scores [B], fp32: head output at the last completion token (EOS), less bias, times scale.

    The position comes from explicit lengths, never from comparing ids with the pad token.
    """
    return _gauged(model, scalar_head(model, last_hidden(model, sequences)))


def token_values(model: Any, sequences: Sequences) -> Tensor:
    """Values [B, T], fp32, zeros outside the mask: V_t is read before completion token t is seen.

    That is at the row which predicts token t, the last prompt token for t = 0.
    """
    values = _gauged(model, scalar_head(model, completion_hidden(model, sequences)))
    mask = sequences.completion_mask
    return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, values)


def _gauged(model: Any, logits: Tensor) -> Tensor:
    return (logits - reward_bias(model)) * reward_scale(model)
