"""The rows of a batch that is being sampled: some leave, others take their places.

All rows write their next key and value into the same column of the cache, so every row ends in the
last column and is padded on the left as far as it is shorter than the longest. A newcomer is a row
with more padding; nothing else tells it from the others.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from training.algorithms.sampling.kv_cache import cache_can_mix, cache_renew

# What a row has apart from its mask and its cache.
PER_ROW = ("rows", "prompt_lengths", "index", "uniforms", "tokens", "is_done")


@dataclass(slots=True)
class Slots:
    """R rows, W columns in the cache, at most T tokens a completion."""

    rows: Tensor
    """[R] which prompt of the call"""
    prompt_lengths: Tensor
    """[R] tokens"""
    index: Tensor
    """[R] place of the last token in its completion, from 0; stands still once the row is done"""
    uniforms: Tensor
    """[R, T] float64 in [0, 1), one for each token of the completion"""
    tokens: Tensor
    """[R] the last token drawn; not yet in the cache"""
    is_done: Tensor
    """[R] bool, True where the completion has ended; what is drawn afterwards does not count"""
    mask: Tensor
    """[R, W] bool, True at real tokens in the cache"""
    is_padded: bool
    """whether any of the mask is False"""
    cache: Any

    @property
    def width(self) -> int:
        """W, columns in the cache."""
        return self.mask.shape[1]

    @property
    def can_mix(self) -> bool:
        """Whether rows that began at different steps may share the cache."""
        return cache_can_mix(self.cache)

    def num_done(self) -> int:
        """Rows whose completion has ended; waits for the device."""
        return int(self.is_done.sum())

    def renew(self, newcomers: "Slots | None") -> None:
        """Drops the rows that are done and appends those of newcomers, which requires can_mix.

        Columns that are padding in all rows are dropped, too.
        """
        kept = (~self.is_done).nonzero().squeeze(-1)
        mask = self.mask[kept]
        first = int(mask.long().argmax(-1).min()) if self.can_mix else 0
        cache_renew(self.cache, kept, first, None if newcomers is None else newcomers.cache)
        for name in PER_ROW:
            states = getattr(self, name)[kept]
            if newcomers is not None:
                states = torch.cat([states, getattr(newcomers, name)])
            setattr(self, name, states)
        masks = [mask[:, first:]] if newcomers is None else [mask[:, first:], newcomers.mask]
        width = max(part.shape[1] for part in masks)
        self.mask = torch.cat([pad(part, (width - part.shape[1], 0)) for part in masks])
        self.is_padded = not bool(self.mask.all())
