"""Which prompts of a pool are asked: held-out ones and a share of the others by chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.algorithms.seeds import generator_for, permutation


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows of the pool, by what chose them."""

    at_random: list[int]
    by_score: list[int]
    """Highest score first."""


def rows_choose(
    scores: Sequence[float],
    is_held_out: Sequence[bool],
    num: int,
    random_share: float,
    seed: int,
) -> Choice:
    """`num` rows (0: all), the held-out ones among them in proportion to the pool.

    Held-out rows are a uniform draw: what is measured on them says something about all prompts.
    So are `random_share` of the train rows, drawn before any score is looked at; a fraction of a
    prompt becomes one by chance, so that the share holds on average for few prompts, too. The rest
    are the train rows of highest score, equal ones in random order.
    """
    held_out = [row for row, flag in enumerate(is_held_out) if flag]
    train = [row for row, flag in enumerate(is_held_out) if not flag]
    total = len(is_held_out)
    num = min(num, total) if num else total
    num_held_out = round(num * len(held_out) / total) if total else 0
    num_train = num - num_held_out
    num_random = _rounded(random_share * num_train, seed)
    held_out = [held_out[i] for i in permutation(len(held_out), seed, "ask", "held_out")]
    train = [train[i] for i in permutation(len(train), seed, "ask", "train")]
    # Sorting is stable, so equal scores stay in random order.
    rest = sorted(train[num_random:], key=lambda row: -scores[row])
    return Choice(held_out[:num_held_out] + train[:num_random], rest[: num_train - num_random])


def _rounded(value: float, seed: int) -> int:
    """The whole number below or above, with expectation `value`."""
    draw = torch.rand(1, generator=generator_for(seed, "ask", "share"), dtype=torch.float64)
    return math.floor(value) + (float(draw) < value - math.floor(value))
