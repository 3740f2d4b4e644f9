"""From raw runs to medians, spread, ratios and the table."""

import statistics
from dataclasses import dataclass
from typing import Any

from training.benchmarks.flops import Lengths, mean_lengths, unit_flops
from training.benchmarks.tasks import MODELS, Task

Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of some repeats."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """`median (low to high)`; one repeat has no spread to show."""
        if self.low == self.high:
            return short(self.median, digits)
        median, low, high = (short(x, digits) for x in (self.median, self.low, self.high))
        return f"{median} ({low} to {high})"


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def short(value: float, digits: int = 3) -> str:
    """At least `digits` significant digits, no exponent, thousands with commas."""
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(0, digits - magnitude)}f}"


def rate(run: Run) -> float:
    """Units per second; time spent once before the first step is charged to its steps."""
    whole = run["steps"] + 1  # the warm-up step
    prepare = run.get("prepare_seconds", 0.0) * run["steps"] / whole
    return run["units"] / (run["seconds"] + prepare)


def ratios(ours: list[Run], theirs: list[Run]) -> Spread:
    """Our rate over TRL's, repeat by repeat: the runs of a repeat followed each other."""
    return spread([rate(a) / rate(b) for a, b in zip(ours, theirs, strict=True)])


def matmul_share(task: Task, runs: list[Run], gflops: float) -> float:
    """Share of the machine's matrix-multiply rate that went into necessary work."""
    lengths = mean_lengths(task)
    measured = [run.get("quality", {}).get("length_tokens") for run in runs]
    if all(length is not None for length in measured):
        lengths = Lengths(lengths.prompt, statistics.median(measured))
    elif task.trainer == "generate":
        completions = task.batch * (task.num_steps - 1)
        lengths = Lengths(lengths.prompt, statistics.median(r["units"] for r in runs) / completions)
    median = statistics.median(rate(run) for run in runs)
    return median * unit_flops(task, MODELS[task.model], lengths) / (gflops * 1e9)


def quality_text(runs: list[Run]) -> str:
    """Medians of what was measured on held-out data."""
    names = {name: None for run in runs for name in run.get("quality", {})}
    return ", ".join(
        f"{QUALITY.get(name, name)} {spread([run['quality'][name] for run in runs]).text()}"
        for name in names
    )


QUALITY = {
    "held_out_accuracy": "accuracy",
    "held_out_loss": "loss",
    "score": "score",
    "kl_to_reference": "KL",
    "length_tokens": "length",
}


def task_summary(task: Task, sides: dict[str, list[Run]], gflops: float) -> dict[str, Any]:
    """Medians of both sides; `failed` names what went wrong instead."""
    failed = {
        side: next(run["failed"] for run in runs if "failed" in run)
        for side, runs in sides.items()
        if any("failed" in run for run in runs)
    }
    summary: dict[str, Any] = {"title": task.title, "unit": task.unit, "failed": failed}
    good = {side: runs for side, runs in sides.items() if side not in failed}
    for side, runs in good.items():
        summary[side] = {
            "rate": spread([rate(run) for run in runs]).text(),
            "peak_mib": spread([run["peak_mib"] for run in runs]).median,
            "over_loaded_mib": spread([run["peak_mib"] - run["loaded_mib"] for run in runs]).median,
            "matmul_share": matmul_share(task, runs, gflops),
            "quality": quality_text(runs),
        }
    if len(good) == 2:
        summary["ratio"] = ratios(sides["ours"], sides["trl"]).text()
    return summary


def table(summaries: dict[str, dict[str, Any]]) -> str:
    """A Markdown table for speed and memory, one for held-out numbers, and the failures."""
    lines = [
        "| task | per second | ours | TRL | ours / TRL | peak MiB, ours and TRL "
        "| of the multiply rate, ours and TRL |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for summary in summaries.values():
        ours, theirs = summary.get("ours"), summary.get("trl")
        cells = [
            summary["title"], summary["unit"], _cell(ours, "rate"), _cell(theirs, "rate"),
            summary.get("ratio", "-"),
            f"{_mib(ours)}, {_mib(theirs)}", f"{_share(ours)}, {_share(theirs)}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| task | held-out, ours | held-out, TRL |", "|---|---|---|"]
    for summary in summaries.values():
        ours, theirs = summary.get("ours"), summary.get("trl")
        if (ours or theirs or {}).get("quality"):
            cells = [summary["title"], _cell(ours, "quality"), _cell(theirs, "quality")]
            lines.append("| " + " | ".join(cells) + " |")
    failures = [
        f"- {summary['title']}, {side}: {reason}"
        for summary in summaries.values()
        for side, reason in summary["failed"].items()
    ]
    if failures:
        lines += ["", "Failed:", "", *failures]
    return "\n".join(lines) + "\n"


def _cell(side: dict[str, Any] | None, name: str) -> str:
    return str(side[name]) if side else "failed"


def _mib(side: dict[str, Any] | None) -> str:
    return f"{side['peak_mib']:,.0f} (+{side['over_loaded_mib']:,.0f})" if side else "failed"


def _share(side: dict[str, Any] | None) -> str:
    return f"{100 * side['matmul_share']:.0f} %" if side else "failed"
