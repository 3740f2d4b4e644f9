"""What many worlds say together: means over seeds, paired differences, labels for equal gain."""

import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.simulation.drawing import Point

Result = dict[str, Any]
"""Of world_work."""
NUM_BOOTSTRAPS = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its standard error."""

    value: float
    error: float
    num: int

    @property
    def in_errors(self) -> float:
        """How many standard errors the mean is from 0."""
        return self.value / self.error if self.error else math.copysign(math.inf, self.value)

    def __str__(self) -> str:
        return f"{self.value:+.2f} ± {self.error:.2f}"


def estimate(values: Sequence[float]) -> Estimate:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Estimate(statistics.fmean(values), error, len(values))


# ---- of one world


def candidates_of(result: Result) -> list[dict[str, Any]]:
    """Every checkpoint whose gold was measured, in order."""
    return [each for item in result["rounds"] for each in item["candidates"]]


def reference_gold(result: Result, name: str = "gold") -> float:
    """Mean over the rounds, which all measure the same base model."""
    return statistics.fmean(item["reference"][name] for item in result["rounds"])


def peak_gain(result: Result, name: str = "gold") -> float:
    """Gold of the best checkpoint of all, over the base model's."""
    return max(each[name] for each in candidates_of(result)) - reference_gold(result, name)


def chosen_gain(result: Result, name: str = "gold") -> float:
    """Gold of what the last round deployed, over the base model's."""
    last = result["rounds"][-1]
    chosen = next(each for each in last["candidates"] if each["role"] == last["chosen"])
    return float(chosen[name]) - reference_gold(result, name)


# ---- of two arms

Gain = Callable[[Result], float]


def paired_difference(
    one: Mapping[int, Result], other: Mapping[int, Result], gain: Gain
) -> tuple[Estimate, int]:
    """one - other over the seeds that both have, and in how many of them one is ahead."""
    seeds = sorted(one.keys() & other.keys())
    differences = [gain(one[seed]) - gain(other[seed]) for seed in seeds]
    return estimate(differences), sum(difference > 0 for difference in differences)


# ---- labels for equal gain


def labels_needed(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """The fewest labels at which the (labels, gain) curve reaches the target.

    Between two points gain is linear in the log of labels. None when the target is never reached;
    the first point's labels when that is there already, an upper bound then.
    """
    points = sorted(curve)
    if points[0][1] >= target:
        return points[0][0]
    for (labels, gain), (next_labels, next_gain) in itertools.pairwise(points):
        if next_gain >= target:
            share = (target - gain) / (next_gain - gain)
            return math.exp((1 - share) * math.log(labels) + share * math.log(next_labels))
    return None


@dataclass(frozen=True, slots=True)
class Factor:
    """How many times fewer labels one curve needs. None: it never gets there."""

    value: float | None
    low: float | None
    """The 5 % quantile over bootstrapped seeds: a one-sided 95 % bound."""
    is_bound: bool
    """The curve is there at its first point already, so the factor is at least this."""


def label_factor(
    arms: Mapping[int, Mapping[int, Result]],
    reference: tuple[int, Mapping[int, Result]],
    gain: Gain,
    seed: int = 1,
) -> Factor:
    """Labels of the reference over those at which the other curve reaches its mean gain.

    arms: {labels: {seed: result}}; reference: (labels, {seed: result}). Seeds are drawn together
    for all points of the bootstrap, since worlds of one seed are alike.
    """
    num_labels, results = reference
    seeds = sorted(results.keys() & set.intersection(*(set(each) for each in arms.values())))

    def factor_of(chosen: Sequence[int]) -> float | None:
        target = statistics.fmean(gain(results[each]) for each in chosen)
        curve = [
            (float(labels), statistics.fmean(gain(found[each]) for each in chosen))
            for labels, found in arms.items()
        ]
        needed = labels_needed(curve, target)
        return None if needed is None else num_labels / needed

    rng = random.Random(seed)
    drawn = [factor_of(rng.choices(seeds, k=len(seeds))) for _ in range(NUM_BOOTSTRAPS)]
    ordered = sorted(0.0 if each is None else each for each in drawn)
    low = ordered[int(0.05 * len(ordered))]
    value = factor_of(seeds)
    return Factor(value, low or None, value is not None and value >= num_labels / min(arms) - 1e-9)


# ---- curves


def curve_points(arms: Mapping[int, Mapping[int, Result]], gain: Gain) -> list[Point]:
    """Gain against labels, with standard errors over seeds."""
    points = []
    for labels in sorted(arms):
        made = estimate([gain(result) for result in arms[labels].values()])
        points.append(Point(labels, made.value, made.error))
    return points


def traces(results: Sequence[Result], name: str) -> list[Point]:
    """`name` of the last round's checkpoints against sqrt(KL), means over seeds by step.

    Gold is over the base model's; the others are gains already. The first point is the base model.
    """
    points = [Point(0.0, 0.0)]
    for place in range(len(results[0]["rounds"][-1]["candidates"])):
        each = [result["rounds"][-1]["candidates"][place] for result in results]
        roots = [math.sqrt(max(0.0, item["kl"])) for item in each]
        values = [item[name] for item in each]
        if name == "gold":
            values = [v - reference_gold(r) for v, r in zip(values, results, strict=True)]
        made = estimate(values)
        points.append(Point(statistics.fmean(roots), made.value, made.error))
    return points
