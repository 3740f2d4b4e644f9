"""When the completions of a prompt can share its forward pass, and when that pays.

K completions of a prompt of P tokens cost K * P prompt tokens in separate rows and P when shared.
The result is the same (tests/training/algorithms/test_layouts.py); docs/methods/kernel.md has the
figures.
"""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.distributed.tensor import DTensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from training.algorithms.kernel.collate import (
    TokenLists,
    packed_collate,
    sequences_collate,
    shared_collate,
)
from training.algorithms.kernel.hidden import completion_hidden
from training.algorithms.records import Sequences

# Share when it computes at most this part of the padded tokens of separate rows (kernel.md).
MAX_TOKEN_SHARE = 0.9

_share_verdicts: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
_pack_verdicts: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def can_share_prompts(model: Any) -> bool:
    """True when shared prompts give this model's own hidden rows; remembered per model.

    By config: a decoder whose layers all attend to everything before them, no gradient
    checkpointing (it works without a cache), not sharded (each batch decides whether sharing pays,
    and all processes must make the same passes). And by trial, on two prompts of a few tokens.
    """
    if getattr(model, "is_activation_checkpointing", False) or _is_sharded(model):
        return False
    if model not in _share_verdicts:
        _share_verdicts[model] = _attends_to_everything(model) and _is_exact(
            model,
            lambda prompts, completions: shared_collate(prompts, completions, 0, _device(model)),
        )
    return _share_verdicts[model]


def can_pack_rows(model: Any) -> bool:
    """True when packed rows give this model's own hidden rows; remembered per model.

    Recurrent layers and attention that does not read position_ids would look across sequences.
    """

    def packed(prompts: TokenLists, completions: Sequence[TokenLists]) -> Sequences:
        repeated, flat = _flattened(prompts, completions)
        return packed_collate(repeated, flat, [list(range(len(flat)))], 0, _device(model))

    if model not in _pack_verdicts:
        is_decoder = not model.config.is_encoder_decoder
        _pack_verdicts[model] = is_decoder and _is_exact(model, packed)
    return _pack_verdicts[model]


def shares_pay(prompt_lengths: Sequence[int], completion_lengths: Sequence[Sequence[int]]) -> bool:
    """True when sharing saves enough padded tokens to make up for its second forward pass.

    prompt_lengths: of each prompt; completion_lengths: of its completions. Tokens.
    """
    separate = _separate_tokens(prompt_lengths, completion_lengths)
    return _shared_tokens(prompt_lengths, completion_lengths) <= MAX_TOKEN_SHARE * separate


def groups_collate(
    model: Any,
    prompts: TokenLists,
    completions: Sequence[TokenLists],
    pad_id: int,
    device: torch.device | str = "cpu",
) -> Sequences:
    """One prompt and K_g completions per group; shared where exact and worth it, else one per row.

    Either way B counts completions, in the order of prompts and of completions within a prompt.
    """
    lengths = [len(prompt) for prompt in prompts], [[*map(len, group)] for group in completions]
    if can_share_prompts(model) and shares_pay(*lengths):
        return shared_collate(prompts, completions, pad_id, device)
    return sequences_collate(*_flattened(prompts, completions), pad_id, device)


def prompt_groups(
    prompt_lengths: Sequence[int],
    completion_lengths: Sequence[Sequence[int]],
    max_tokens: int,
    is_shared: bool,
) -> list[list[int]]:
    """Indices of prompts in batches of at most max_tokens padded tokens, as groups_collate pads.

    A prompt is never parted from its completions; one over the budget is its own batch. Taken
    by the longest completion, then by the prompt, longest first, so that similar ones meet.
    is_shared: whether the model can share prompts; separate rows cost more tokens.
    """
    longest = [max(group) for group in completion_lengths]
    order = sorted(range(len(prompt_lengths)), key=lambda g: (-longest[g], -prompt_lengths[g], g))
    batches: list[list[int]] = []
    for group in order:
        candidate = [*batches[-1], group] if batches else [group]
        lengths = [prompt_lengths[g] for g in candidate], [completion_lengths[g] for g in candidate]
        is_chosen = is_shared and shares_pay(*lengths)
        tokens = _shared_tokens(*lengths) if is_chosen else _separate_tokens(*lengths)
        if batches and tokens <= max_tokens:
            batches[-1].append(group)
        else:
            batches.append([group])
    return batches


def _shared_tokens(
    prompt_lengths: Sequence[int], completion_lengths: Sequence[Sequence[int]]
) -> int:
    """Padded tokens of shared_collate."""
    longest = max(max(group) for group in completion_lengths)
    num_completions = sum(map(len, completion_lengths))
    return len(prompt_lengths) * max(prompt_lengths) + num_completions * longest


def _separate_tokens(
    prompt_lengths: Sequence[int], completion_lengths: Sequence[Sequence[int]]
) -> int:
    """Padded tokens of sequences_collate."""
    pairs = zip(prompt_lengths, completion_lengths, strict=True)
    width = max(prompt + max(group) for prompt, group in pairs)
    return width * sum(map(len, completion_lengths))


def _flattened(
    prompts: TokenLists, completions: Sequence[TokenLists]
) -> tuple[TokenLists, TokenLists]:
    """The prompt repeated for each of its completions, and the completions, in one list each."""
    pairs = list(zip(prompts, completions, strict=True))
    repeated = [prompt for prompt, group in pairs for _ in group]
    return repeated, [completion for _, group in pairs for completion in group]


def _is_sharded(model: Any) -> bool:
    """FSDP2 holds parameters as distributed tensors."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def _attends_to_everything(model: Any) -> bool:
    """No encoder, no sliding window, no recurrent layer, as far as the config tells."""
    if model.config.is_encoder_decoder:
        return False
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) is DynamicLayer for layer in layers)


@torch.no_grad()
def _is_exact(model: Any, collate: Callable[[TokenLists, Sequence[TokenLists]], Sequences]) -> bool:
    """Compares hidden rows of the layout with those of separate rows on a ragged trial."""
    prompts, completions = [[1, 2, 3], [2]], [[[3, 1], [2, 2, 1]], [[1], [3, 2]]]
    separate = sequences_collate(*_flattened(prompts, completions), 0, _device(model))
    with torch.autocast(_device(model).type, enabled=False):
        try:
            ours = completion_hidden(model, collate(prompts, completions))
        except Exception:  # whatever a family raises about inputs it does not know
            return False
        expected = completion_hidden(model, separate)
    tolerance = 1e-4 if expected.dtype in (torch.float32, torch.float64) else 5e-2
    difference = (ours - expected).abs().max()
    return bool(difference <= tolerance * expected.abs().max().clamp(min=1.0))


def _device(model: Any) -> torch.device:
    device: torch.device = model.get_input_embeddings().weight.device
    return device
