"""What a loaded model must compute, tried on four tokens; raises CheckpointInvalid."""

from typing import Any

import torch
from torch import Tensor

from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.hidden import completion_hidden, hidden_states
from training.algorithms.kernel.logprobs import head_logits
from training.algorithms.models.checkpoint_files import refuse
from training.algorithms.models.encoder_decoder import is_encoder_decoder


def causality_check(model: Any, location: str) -> None:
    """Right padding and next-token losses assume that no token sees those after it."""
    ids = torch.tensor([[0, 1, 2], [0, 1, 3]], device=model.get_input_embeddings().weight.device)
    with torch.no_grad():
        rows = hidden_states(model, ids)[:, :2]
    if not torch.allclose(rows[0], rows[1], rtol=1e-4, atol=1e-4):
        refuse(
            "model",
            location,
            f"in {type(model).__name__} a token sees the ones after it. Use a model for text "
            "generation; encoders such as BERT do not work.",
        )


def head_check(model: Any, location: str) -> None:
    """logprobs.head_logits of the model's hidden rows are the model's own logits."""
    sequences = sequences_collate([[0, 1]], [[2, 3]], 0, model.get_input_embeddings().weight.device)
    with torch.no_grad():
        ours = head_logits(model, completion_hidden(model, sequences))
        theirs = _own_logits(model, sequences.input_ids).float()
    if not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
        refuse(
            "model",
            location,
            f"{type(model).__name__} changes its logits after the vocabulary projection in a way "
            "this version does not know (logprobs.head_logits).",
        )


def _own_logits(model: Any, input_ids: Tensor) -> Tensor:
    """The model's logits [2, V] for the last two of four tokens."""
    if is_encoder_decoder(model):
        prompt, completion = input_ids[:, :2], input_ids[:, 2:]
        return model(input_ids=prompt, labels=completion, use_cache=False).logits[0]
    return model(input_ids=input_ids, use_cache=False).logits[0, 1:3]
