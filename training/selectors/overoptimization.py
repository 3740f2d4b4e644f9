"""How far optimizing the proxy reward still improves what a judge it never saw thinks.

The plot of Gao et al. 2022 (arXiv 2210.10760), fig. 1: gain over the reference against the square
root of the KL to it, for each checkpoint of a round's policy, and for best-of-n of the reference.
"""

import math
from dataclasses import dataclass
from typing import Any

from training.choices import RoundStep
from training.models import Round, Run
from training.selectors.runs import round_run_get


@dataclass(frozen=True, slots=True)
class CheckpointPoint:
    """One checkpoint of the policy; gains in rewards over the reference, errors standard errors.

    `step` is None for the last one. Proxy: the reward model it was trained on; test: the one
    trained on held-out judgements only.
    """

    name: str
    step: int | None
    kl: float
    root_kl: float
    proxy_gain: float | None
    proxy_gain_error: float | None
    test_gain: float | None
    test_gain_error: float | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class BestOfPoint:
    """The best of n answers of the reference by the proxy; gains over one answer, n = 1."""

    n: int
    kl: float
    root_kl: float
    proxy_gain: float | None
    test_gain: float | None


@dataclass(frozen=True, slots=True)
class Overoptimization:
    """`checkpoints` by step, the last one last; `best_of_n` by n."""

    checkpoints: list[CheckpointPoint]
    best_of_n: list[BestOfPoint]
    has_test: bool


def round_overoptimization(item: Round) -> Overoptimization | None:
    """None for a round that did not compare its policy with the reference."""
    run = round_run_get(item, RoundStep.EVALUATE)
    return run_overoptimization(run) if run else None


def run_overoptimization(run: Run) -> Overoptimization | None:
    """Of an evaluation's result."""
    data = (run.result or {}).get("data") or {}
    candidates = data.get("candidates") or []
    if not candidates or "kl" not in candidates[0]:
        return None
    names = {parent.role: parent.checkpoint.name for parent in _parents(run)}
    checkpoints = [
        _checkpoint_point(row, names.get(row["role"], row["role"]), data.get("chosen"))
        for row in candidates
    ]
    curve = data.get("best_of_n") or []
    return Overoptimization(
        checkpoints=checkpoints,
        best_of_n=[_best_of_point(row, curve[0]) for row in curve],
        has_test=any(point.test_gain is not None for point in checkpoints),
    )


def _parents(run: Run) -> Any:
    return run.run_parents.select_related("checkpoint")


def _checkpoint_point(row: dict[str, Any], name: str, chosen: str | None) -> CheckpointPoint:
    return CheckpointPoint(
        name=name,
        step=row.get("step"),
        kl=row["kl"],
        root_kl=_root(row["kl"]),
        proxy_gain=row.get("proxy_gain"),
        proxy_gain_error=row.get("proxy_gain_error"),
        test_gain=row.get("test_gain"),
        test_gain_error=row.get("test_gain_error"),
        is_chosen=row["role"] == chosen,
    )


def _best_of_point(row: dict[str, Any], single: dict[str, Any]) -> BestOfPoint:
    return BestOfPoint(
        n=row["n"],
        kl=row["kl"],
        root_kl=_root(row["kl"]),
        proxy_gain=_minus(row.get("proxy"), single.get("proxy")),
        test_gain=_minus(row.get("test"), single.get("test")),
    )


def _root(kl: float) -> float:
    """An estimate of a KL near zero may come out below it."""
    return math.sqrt(max(kl, 0.0))


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
