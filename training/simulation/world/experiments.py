"""The experiments that `manage.py simulate` knows: which worlds they compare, and what they say."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.simulation.drawing import Point, Series, chart_svg
from training.simulation.world.language import LanguageOptions
from training.simulation.world.outcomes import (
    Estimate,
    Factor,
    Result,
    chosen_gain,
    curve_points,
    estimate,
    label_factor,
    paired_difference,
    peak_gain,
    traces,
)
from training.simulation.world.plan import Plan
from training.simulation.world.running import Results

Seeds = Mapping[int, Result]

STEPS = 150
"""Of the policy in all, whatever the number of rounds: more rounds are not more training."""
NUM_CANDIDATES = 15
"""Checkpoints whose gold is measured, likewise."""


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown between the page's head and its end, and charts by the end of their file names."""

    text: str
    charts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Experiment:
    title: str
    question: str
    arms: Mapping[str, Plan]
    page: Callable[[Results], Page]


NUM_ROUNDS = 5
KL_COEFFICIENTS = {1: (0.02,), NUM_ROUNDS: (0.3, 0.2, 0.12, 0.07, 0.04)}
"""By the number of rounds: early ones know little and should not go far. Each arm has what it does
best with."""


def loop_plan(plan: Plan, num_rounds: int) -> Plan:
    """The plan with its steps and checkpoints dealt out over the rounds, each going on from the
    policy in use."""
    return dataclasses.replace(
        plan,
        num_rounds=num_rounds,
        num_steps=STEPS // num_rounds,
        num_candidates=NUM_CANDIDATES // num_rounds,
        policy_start="previous",
        kl_coefficients=KL_COEFFICIENTS[num_rounds],
    )


# ---- five rounds against one


def rounds_experiment(
    base: Plan, labels: Sequence[int], offline_labels: Sequence[int] | None = None
) -> Experiment:
    offline = {number: _name(1, number) for number in offline_labels or labels}
    loop = {number: _name(NUM_ROUNDS, number) for number in labels}
    arms = {
        _name(rounds, number): loop_plan(dataclasses.replace(base, num_comparisons=number), rounds)
        for rounds, numbers in ((1, offline), (NUM_ROUNDS, loop))
        for number in numbers
    }

    def page(results: Results) -> Page:
        return rounds_page(
            {number: results[name] for number, name in offline.items()},
            {number: results[name] for number, name in loop.items()},
        )

    return Experiment(
        title="One round against five",
        question="Do people's labels buy more when they come in five rounds than all at once?",
        arms=arms,
        page=page,
    )


def rounds_page(offline: Mapping[int, Seeds], loop: Mapping[int, Seeds]) -> Page:
    lines = [
        "| Labels | One round: peak | deployed | Five rounds: peak | deployed | "
        "Difference of peaks | in s.e. | Five ahead |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for number in sorted({*offline, *loop}):
        cells = [f"{number:,}"]
        for arm in (offline, loop):
            cells += (
                [str(_over_seeds(arm[number], gain)) for gain in (peak_gain, chosen_gain)]
                if number in arm
                else ["", ""]
            )
        if number in offline and number in loop:
            difference, ahead = paired_difference(loop[number], offline[number], peak_gain)
            cells += [
                str(difference),
                f"{difference.in_errors:+.1f}",
                f"{ahead} of {difference.num}",
            ]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    # Of the fewest labels of all there is nothing fewer to compare with.
    for number in sorted(offline)[len(offline) > 1 :]:
        factor = label_factor(loop, (number, offline[number]), peak_gain)
        lines.append(f"- {_factor_sentence(number, factor)}")
    largest = max(set(offline) & set(loop))
    charts = {
        "": chart_svg(
            [
                Series("one round", curve_points(offline, peak_gain)),
                Series("five rounds", curve_points(loop, peak_gain)),
            ],
            title="Peak gold over the base model against labels",
            x_label="labels (comparisons)",
            x_names={float(number): f"{number:,}" for number in sorted({*offline, *loop})},
            is_log=True,
        ),
        "-kl": chart_svg(
            [
                Series("one round: gold", traces(list(offline[largest].values()), "gold")),
                Series(
                    "one round: proxy", traces(list(offline[largest].values()), "proxy_gain"), True
                ),
            ],
            title=f"Gold and proxy against the square root of KL, {largest:,} labels in one round",
            x_label="square root of KL to the base model, nats",
        ),
    }
    return Page("\n".join(lines), charts)


def _factor_sentence(number: int, factor: Factor) -> str:
    if factor.value is None:
        return f"What one round gains from {number:,} labels, five rounds did not reach."
    least = "at least " if factor.is_bound else ""
    bound = "none" if factor.low is None else f"{factor.low:.1f}"
    return (
        f"What one round gains from {number:,} labels, five rounds gain from {least}"
        f"**{factor.value:.1f} times fewer** (95 % lower bound over seeds: {bound})."
    )


# ---- over-optimization


def overoptimization_experiment(base: Plan, labels: Sequence[int]) -> Experiment:
    arms = {
        _name(1, number): dataclasses.replace(
            base,
            num_comparisons=number,
            num_rounds=1,
            num_steps=STEPS,
            num_candidates=NUM_CANDIDATES,
            test_reward_model=True,
            held_out_percent=50,
            # Slowly and without a penalty, so that checkpoints lie close on the way out.
            policy={"kl_coefficient": 0.0, "learning_rate": 2e-4},
        )
        for number in labels
    }

    def page(results: Results) -> Page:
        return overoptimization_page({n: results[_name(1, n)] for n in labels})

    return Experiment(
        title="Over-optimization",
        question="How far does a policy get on few labels before its reward model misleads it, "
        "and does the test reward model see it?",
        arms=arms,
        page=page,
    )


def overoptimization_page(arms: Mapping[int, Seeds]) -> Page:
    lines = [
        "| Labels | Gold at its highest | at step | at the end | Fall from the highest | "
        "Proxy there | Proxy at the end | Chosen checkpoint | Below the highest |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    charts = {}
    for number in sorted(arms):
        results = list(arms[number].values())
        gold, proxy = traces(results, "gold"), traces(results, "proxy_gain")
        best = max(range(1, len(gold)), key=lambda place: gold[place].y)
        fall = estimate([_gold_at(r, best - 1) - _gold_at(r, -1) for r in results])
        short = estimate([_gold_at(r, best - 1) - chosen_gain(r) for r in results])
        step = results[0]["rounds"][-1]["candidates"][best - 1]["step"] or STEPS
        cells = [
            f"{number:,}",
            _plus(gold[best]),
            str(step),
            _plus(gold[-1]),
            str(fall),
            _plus(proxy[best]),
            _plus(proxy[-1]),
            str(estimate([chosen_gain(result) for result in results])),
            str(short),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        chosen = estimate([chosen_gain(result) for result in results])
        roots = [_chosen(result)["kl"] ** 0.5 for result in results]
        charts[f"-{number}"] = chart_svg(
            [
                Series("gold", gold),
                Series("proxy", proxy, is_dashed=True),
                Series("test", traces(results, "test_gain"), is_dashed=True),
                Series("chosen", [Point(sum(roots) / len(roots), chosen.value, chosen.error)]),
            ],
            title=f"Gold, proxy and test reward against the square root of KL, {number:,} labels",
            x_label="square root of KL to the base model, nats",
        )
    return Page("\n".join(lines), charts)


def _gold_at(result: Result, place: int) -> float:
    last = result["rounds"][-1]
    return float(last["candidates"][place]["gold"] - last["reference"]["gold"])


def _chosen(result: Result) -> dict[str, Any]:
    last = result["rounds"][-1]
    return next(each for each in last["candidates"] if each["role"] == last["chosen"])


# ---- what to ask


def active_experiment(base: Plan, labels: Sequence[int]) -> Experiment:
    language = LanguageOptions(num_easy_topics=2, num_hard_topics=2)
    pools = {"mostly easy": 0.1, "even": None}
    arms = {
        f"{pool}, {strategy}, {number:,}": loop_plan(
            dataclasses.replace(
                base,
                language=language,
                hard_share=share,
                strategy=strategy,
                num_comparisons=number,
            ),
            NUM_ROUNDS,
        )
        for pool, share in pools.items()
        for strategy in STRATEGIES
        for number in labels
    }

    def page(results: Results) -> Page:
        return active_page(results, list(pools), labels)

    return Experiment(
        title="Random against active",
        question="Do labels buy more when the reward model's doubt chooses what people are asked?",
        arms=arms,
        page=page,
    )


STRATEGIES = ("random", "disagreement")


def active_page(results: Results, pools: Sequence[str], labels: Sequence[int]) -> Page:
    lines = [
        "| Pool of prompts | Labels | Random: peak | deployed | Disagreement: peak | deployed | "
        "Difference of peaks | in s.e. | Active ahead |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    series = []
    for pool in pools:
        arms = {
            strategy: {n: results[f"{pool}, {strategy}, {n:,}"] for n in labels}
            for strategy in STRATEGIES
        }
        for number in labels:
            random, active = (arms[strategy][number] for strategy in STRATEGIES)
            difference, ahead = paired_difference(active, random, peak_gain)
            cells = [pool, f"{number:,}"]
            for arm in (random, active):
                cells += [str(_over_seeds(arm, gain)) for gain in (peak_gain, chosen_gain)]
            cells += [
                str(difference),
                f"{difference.in_errors:+.1f}",
                f"{ahead} of {difference.num}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        series += [
            Series(f"{pool}, {name}", curve_points(arms[name], peak_gain), name == "random")
            for name in STRATEGIES
        ]
    chart = chart_svg(
        series,
        title="Peak gold over the base model against labels",
        x_label="labels (comparisons)",
        x_names={float(number): f"{number:,}" for number in labels},
        is_log=True,
    )
    return Page("\n".join(lines), {"": chart})


# ---- how many people for each task


def overlap_experiment(base: Plan, labels: Sequence[int]) -> Experiment:
    overlaps = (1, 3)
    arms = {
        f"{overlap} for each task, {number:,}": loop_plan(
            dataclasses.replace(base, overlap=overlap, num_comparisons=number), NUM_ROUNDS
        )
        for number in labels
        for overlap in overlaps
    }

    def page(results: Results) -> Page:
        lines = [
            "| Labels | One person a task: peak | deployed | Three: peak | deployed | "
            "One less three | in s.e. | One ahead |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        curves: dict[int, dict[int, Seeds]] = {overlap: {} for overlap in overlaps}
        for number in labels:
            one, three = (results[f"{overlap} for each task, {number:,}"] for overlap in overlaps)
            curves[1][number], curves[3][number] = one, three
            difference, ahead = paired_difference(one, three, peak_gain)
            cells = [f"{number:,}"]
            for arm in (one, three):
                cells += [str(_over_seeds(arm, gain)) for gain in (peak_gain, chosen_gain)]
            cells += [
                str(difference),
                f"{difference.in_errors:+.1f}",
                f"{ahead} of {difference.num}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        chart = chart_svg(
            [
                Series("one person a task", curve_points(curves[1], peak_gain)),
                Series("three", curve_points(curves[3], peak_gain)),
            ],
            title="Peak gold over the base model against labels",
            x_label="labels (comparisons)",
            x_names={float(number): f"{number:,}" for number in labels},
            is_log=True,
        )
        return Page("\n".join(lines), {"": chart})

    return Experiment(
        title="One person for each task, or three",
        question="At the same number of labels, should each task be judged once or three times?",
        arms=arms,
        page=page,
    )


# ---- small things


def _name(num_rounds: int, num_labels: int) -> str:
    return f"{num_rounds} rounds, {num_labels:,} labels"


def _over_seeds(arm: Seeds, gain: Callable[[Result], float]) -> Estimate:
    return estimate([gain(result) for result in arm.values()])


def _plus(point: Point) -> str:
    return f"{point.y:+.2f} ± {point.error:.2f}"
