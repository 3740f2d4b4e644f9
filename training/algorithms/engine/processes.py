"""The processes of one run. One by default; `torchrun` or `accelerate launch` start more.

Every process reads the same records in the same order and knows the whole batch, so that it can
tell its share of the work without asking. Rank 0 alone writes to the run folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Processes:
    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence[ItemT]) -> list[ItemT]:
        """Every count-th item, beginning with the rank-th."""
        return list(items[self.rank :: self.count])

    def gather(self, mine: Sequence[ItemT]) -> list[ItemT]:
        """The inverse of share: everybody's items, in the order they had before."""
        if self.count == 1:
            return list(mine)
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, list(mine))
        whole: list[Any] = [None] * sum(map(len, parts))
        for rank, part in enumerate(parts):
            whole[rank :: self.count] = part
        return whole

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over the processes."""
        if self.count > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all get the same answer."""
        if self.count == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag))) > 0)

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.count > 1:
            dist.barrier()


@cache
def processes() -> Processes:
    """Joins the group that the launcher's environment variables describe; alone without them.

    The device is this process's GPU when there is one (choose with CUDA_VISIBLE_DEVICES), else the
    CPU; the group talks by NCCL or gloo accordingly.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    from accelerate import PartialState  # takes a second to import

    state = PartialState(cpu=not torch.cuda.is_available())
    return Processes(state.process_index, state.num_processes, state.device)
