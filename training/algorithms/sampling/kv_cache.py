"""A key-value cache that grows with room to spare, and in which rows can be replaced.

transformers' DynamicCache copies the whole cache at every token (torch.cat), a quarter of the time
of a small model on a CPU. Here full-attention layers write into buffers that are enlarged every
ROOM tokens. Other kinds of layer (sliding windows, recurrent states) stay transformers' own; their
rows can leave, but no row can join.
"""

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64


def cache_make(config: Any) -> Any:
    """An empty cache for a model of this config."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    if getattr(cache, "layer_class_to_replicate", None) is DynamicLayer:
        cache.layer_class_to_replicate = GrowingLayer
    return cache


def cache_can_mix(cache: Any) -> bool:
    """Whether rows that began at different steps may share it: all layers see all columns."""
    return all(type(layer) is GrowingLayer for layer in cache.layers)


def cache_renew(cache: Any, kept: Tensor, first: int, newcomers: Any) -> None:
    """Keeps the rows `kept` from column `first` on and appends the rows of the cache `newcomers`.

    Rows end in the same column; the shorter ones are padded on the left. newcomers may be None; it
    and first > 0 require cache_can_mix.
    """
    if newcomers is None and first == 0:
        cache.batch_select_indices(kept)
        return
    for place, layer in enumerate(cache.layers):
        layer.renew(kept, first, None if newcomers is None else newcomers.layers[place])


class GrowingLayer(DynamicLayer):
    """Keys and values [B, heads, tokens, D] as views into wider buffers.

    Selecting or repeating rows makes tensors of the right width; the next token then makes buffers.
    """

    buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends [B, heads, new tokens, D]; returns all keys and values so far."""
        start = self.get_seq_length()
        if start == 0:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        end = start + key_states.shape[-2]
        if self.buffers is None or self.buffers[0].shape[-2] < end:
            self.buffers = _widened(self.keys, end + ROOM), _widened(self.values, end + ROOM)
        keys, values = self.buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the rows `indices`, in that order; a row may be named several times."""
        super().batch_select_indices(indices)
        self.buffers = None

    def renew(self, kept: Tensor, first: int, newcomers: "GrowingLayer | None") -> None:
        """See cache_renew."""
        if self.get_seq_length() == 0:  # a layer that reads another layer's keys
            return
        self.keys, self.values = self.keys[kept, :, first:], self.values[kept, :, first:]
        self.buffers = None
        if newcomers is not None:
            width = max(self.get_seq_length(), newcomers.get_seq_length())
            keys = _stacked(self.keys, newcomers.keys, width)
            values = _stacked(self.values, newcomers.values, width)
            self.buffers = keys, values
            self.keys, self.values = keys[:, :, :width], values[:, :, :width]


def _widened(states: Tensor, width: int) -> Tensor:
    """A copy of [B, heads, tokens, D] with room for `width` tokens."""
    batch, heads, tokens, size = states.shape
    buffer = states.new_empty(batch, heads, width, size)
    buffer[:, :, :tokens] = states
    return buffer


def _stacked(upper: Tensor, lower: Tensor, width: int) -> Tensor:
    """[B1, heads, tokens, D] over [B2, heads, tokens, D], aligned at column `width`, with ROOM."""
    num_upper, heads, _, size = upper.shape
    buffer = upper.new_empty(num_upper + len(lower), heads, width + ROOM, size)
    for states, rows in ((upper, buffer[:num_upper]), (lower, buffer[num_upper:])):
        start = width - states.shape[-2]
        rows[:, :, :start] = 0  # not left to chance: a masked NaN is a NaN
        rows[:, :, start:width] = states
    return buffer
