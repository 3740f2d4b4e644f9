"""Leaves out of the last layer what nobody reads: the rows of a prompt need only keys and values.

Log-probabilities and values are read at the rows before completion tokens, scores at one row of a
completion. In the last layer all other rows serve only as keys and values of the attention; their
queries, their attention output and their feed-forward part, five sixths of a Llama layer's work,
change nothing. Exact, forward and backward (tests/training/algorithms/test_last_layer.py). Of a
model of n layers it saves at most 5/6n, so it matters for small models.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

# Families whose last layer the tests hold to the whole computation.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
# Gathering and scattering rows costs about as much as this part of the work saves.
MAX_ROW_SHARE = 0.8


@contextmanager
def last_layer_rows(model: Any, places: Tensor, num_rows: int) -> Iterator[None]:
    """Within the block the last layer computes only the rows `places` of its num_rows.

    places [M] distinct indices into the flattened [R, L] rows. The others come out of the model as
    numbers without meaning and must not be read. Does nothing where it would not be exact or pay.
    """
    with ExitStack() as stack:
        if len(places) <= MAX_ROW_SHARE * num_rows and _is_known(model):
            layer = model.base_model.layers[-1]
            for module in (layer.self_attn.q_proj, layer.self_attn.o_proj, layer.mlp):
                _restrict(stack, module, places)
        yield


def _is_known(model: Any) -> bool:
    """Recomputing activations would run the layer again when the block is left."""
    is_recomputed = getattr(model, "is_activation_checkpointing", False)
    return model.config.model_type in FAMILIES and not is_recomputed


def _restrict(stack: ExitStack, module: nn.Module, places: Tensor) -> None:
    """Makes a module that treats each row alone compute `places` only, zeros elsewhere."""
    shapes: list[tuple[int, int]] = []

    def gather(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        hidden = args[0]  # [R, L, D]
        shapes.append((hidden.shape[0], hidden.shape[1]))
        return (hidden.flatten(0, 1).index_select(0, places),)

    def scatter(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        rows, length = shapes.pop()
        whole = output.new_zeros(rows * length, output.shape[-1])
        return whole.index_copy(0, places, output).view(rows, length, -1)

    stack.callback(module.register_forward_pre_hook(gather).remove)
    stack.callback(module.register_forward_hook(scatter).remove)
