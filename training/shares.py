"""Dividing work among policies by their weights."""

import random
from collections.abc import Mapping
from itertools import accumulate


def roles_allocate(weights: Mapping[str, float], num: int, rng: random.Random) -> list[str]:
    """Who draws each of a prompt's `num` candidates: in proportion to the weights, shuffled.

    Systematic sampling: each role gets its expected number up to one, exactly so on average.
    """
    roles, ends = list(weights), list(accumulate(weights.values()))
    offset = rng.random()
    places = [(offset + index) / num * ends[-1] for index in range(num)]
    drawn = [next(r for r, end in zip(roles, ends, strict=True) if place < end) for place in places]
    rng.shuffle(drawn)
    return drawn
