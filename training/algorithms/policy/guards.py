"""When a policy run is halted: what it does to the policy is no longer what it was asked for.

Nothing is output then: a policy beyond its limits would only be found out by the people who rank
its answers. Pure functions; the history they read lives in the loop's memory and survives a kill.
"""

import math
from collections.abc import Sequence

from training.algorithms.errors import TrainingHalted

WINDOW = 20
"""Steps over which slopes are judged."""
SIGNIFICANT = 3.0
"""Slopes count from this many standard errors on. Ours; steps are not independent, so not 2."""

History = list[list[float]]
"""Of the last steps, oldest first: [KL, score, objective], means over the step's completions."""


def history_add(history: History, kl: float, score: float, objective: float) -> History:
    """The history with one step more, at most WINDOW of them.

    kl: to the reference, nats; score: after the missing-EOS penalty; objective: what the method
    maximizes, score minus KL penalty.
    """
    return [*history, [kl, score, objective]][-WINDOW:]


def run_check(history: History, max_kl: float, max_score: float | None) -> None:
    """Raises TrainingHalted with the numbers seen, judged by the last step and by the trend."""
    kl, score, _ = history[-1]
    if kl > max_kl:
        raise TrainingHalted(
            f"The KL to the reference is {kl:.1f} nats, above max_kl = {max_kl}: the policy has "
            "left the reference behind. Raise kl_coefficient or lower learning_rate.",
            guard="kl", kl_to_reference=kl, max_kl=max_kl,
        )  # fmt: skip
    if max_score is not None and score > max_score:
        raise TrainingHalted(
            f"The mean score is {score:.1f}, above max_score = {max_score}; demonstrations score "
            "0. The policy has most likely found texts that the reward model misjudges. Read some, "
            "rank them, and train the reward model again; or raise kl_coefficient.",
            guard="score", score=score, max_score=max_score,
        )  # fmt: skip
    if len(history) == WINDOW:
        _trend_check(history)


def _trend_check(history: History) -> None:
    """The score falls and the objective rises, and no falling KL explains it: a sign is wrong."""
    kl, score, objective = (slope_t([step[index] for step in history]) for index in range(3))
    if score < -SIGNIFICANT and objective > SIGNIFICANT and kl > -SIGNIFICANT:
        raise TrainingHalted(
            f"Over the last {WINDOW} steps the score fell (from {history[0][1]:.2f} to "
            f"{history[-1][1]:.2f}, t = {score:.1f}) while what is maximized rose (from "
            f"{history[0][2]:.2f} to {history[-1][2]:.2f}, t = {objective:.1f}), and not because "
            "the KL fell: training works against the reward model. A sign is wrong somewhere.",
            guard="sign", score_t=score, objective_t=objective, kl_t=kl, window=WINDOW,
        )  # fmt: skip


def slope_t(values: Sequence[float]) -> float:
    """The least-squares slope of values over 0, 1, 2, ... in standard errors of the slope.

    At least 3 values. Infinite for a straight line that is not level, 0 for a level one.
    """
    count = len(values)
    center, mean = (count - 1) / 2, math.fsum(values) / count
    spread = math.fsum((x - center) ** 2 for x in range(count))
    slope = math.fsum((x - center) * (y - mean) for x, y in enumerate(values)) / spread
    residuals = [y - mean - slope * (x - center) for x, y in enumerate(values)]
    error = math.sqrt(math.fsum(r**2 for r in residuals) / (count - 2) / spread)
    scale = max(map(abs, values), default=0.0)
    if error <= 1e-12 * scale:  # rounding
        return 0.0 if abs(slope) <= 1e-12 * scale else math.copysign(math.inf, slope)
    return slope / error
