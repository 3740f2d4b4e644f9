"""The measurement as a Markdown table and a small chart."""

from collections.abc import Callable, Sequence
from html import escape

from training.simulation.measuring import Mean, Measured

HEADER = """\
| Seed | Round | Rankings | Pair accuracy (95 % interval, pairs) | Reward SFT | Reward policy | \
Gain ± s.e. | Hidden value SFT ± s.e. | Hidden value policy ± s.e. | Gain ± s.e. | KL, nats | \
Tokens SFT | Tokens policy |
|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""
WIDTH, HEIGHT, MARGIN = 520, 280, 48
COLORS = ("#1f6f8b", "#c2571a", "#4f772d", "#7a4ea3", "#a33b5a", "#5c5c5c")


# Data to pixels.
Place = Callable[[float, float], tuple[float, float]]


def report_markdown(measured: Sequence[Measured], *, command: str, chart: str, note: str) -> str:
    """A whole page: what was done, the table, the chart, how to read it."""
    table = HEADER + "".join(report_row(item) for item in measured)
    return f"""# The loop, measured

Scripted labelers with one fixed hidden preference write demonstrations and rank four answers at a
time; everything else is the product's own: rounds, workers' code, stored rows. All numbers are
taken on held-out prompts, which are ranked by labelers but never trained on.

{note}

```
{command}
```

{table}
![Hidden value by round]({chart})

Pair accuracy: how often the reward model orders two answers as the labeler did, chance is 0.5; its
interval is Wilson's with the pairs of one prompt counted as a cluster. Reward: the round's own
reward model, whose zero is the mean demonstration; rewards of different rounds are on different
scales. Hidden value: what the scripted labelers themselves prefer, which no model ever sees. KL:
policy to SFT, summed over an answer's tokens. Gains are paired by prompt. s.e.: standard error
over prompts.
"""


def report_row(item: Measured) -> str:
    head = item.headline
    accuracy = (
        f"{_number(head.pair_accuracy)} ({_number(head.pair_accuracy_low)} to "
        f"{_number(head.pair_accuracy_high)}, {head.pair_accuracy_n})"
    )
    reward_gain = f"{_number(head.reward_gain)} ± {_number(head.reward_gain_error)}"
    cells = (
        str(item.seed),
        str(item.round),
        str(item.num_rankings),
        accuracy,
        _number(head.reward_reference),
        _number(head.reward_policy),
        reward_gain,
        _mean(item.hidden_reference),
        _mean(item.hidden_policy),
        _mean(item.hidden_gain),
        _number(head.kl_to_reference, 1),
        _number(head.length_reference, 1),
        _number(head.length_policy, 1),
    )
    return f"| {' | '.join(cells)} |\n"


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _mean(mean: Mean) -> str:
    return f"{mean.value:.3f} ± {mean.error:.3f}"


def report_svg(measured: Sequence[Measured]) -> str:
    """Hidden value of SFT and of each round's policy, one line a seed, with standard errors."""
    lines = {seed: _line(measured, seed) for seed in sorted({item.seed for item in measured})}
    rounds = sorted({x for points in lines.values() for x, _ in points})
    lows = [mean.value - mean.error for points in lines.values() for _, mean in points]
    highs = [mean.value + mean.error for points in lines.values() for _, mean in points]
    low, high = min(lows), max(highs)
    spread = (high - low) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (WIDTH - 2 * MARGIN) * (x - rounds[0]) / ((rounds[-1] - rounds[0]) or 1)
        return MARGIN + across, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - low) / spread

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Mean hidden value of answers to held-out prompts, by round</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for x in rounds:
        left, bottom = place(x, low)
        label = "SFT" if x == 0 else f"round {x}"
        parts.append(
            f'<text x="{left:.1f}" y="{bottom + 24:.1f}" text-anchor="middle">{label}</text>'
        )
    for y in (low, (low + high) / 2, high):
        left, top = place(rounds[0], y)
        parts.append(
            f'<line x1="{left:.1f}" x2="{WIDTH - MARGIN}" y1="{top:.1f}" y2="{top:.1f}" '
            f'stroke="#ddd"/><text x="{left - 8:.1f}" y="{top + 4:.1f}" '
            f'text-anchor="end">{y:.2f}</text>'
        )
    for index, (seed, points) in enumerate(lines.items()):
        parts.extend(_line_svg(points, place, COLORS[index % len(COLORS)], index, seed))
    return "\n".join([*parts, "</svg>", ""])


def _line(measured: Sequence[Measured], seed: int) -> list[tuple[int, Mean]]:
    mine = sorted((item for item in measured if item.seed == seed), key=lambda item: item.round)
    return [(0, mine[0].hidden_reference), *((item.round, item.hidden_policy) for item in mine)]


def _line_svg(
    points: list[tuple[int, Mean]], place: Place, color: str, index: int, seed: int
) -> list[str]:
    path = " ".join("{:.1f},{:.1f}".format(*place(x, mean.value)) for x, mean in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>']
    for x, mean in points:
        left, top = place(x, mean.value + mean.error)
        _, bottom = place(x, mean.value - mean.error)
        _, middle = place(x, mean.value)
        parts.append(
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
            f'stroke="{color}"/><circle cx="{left:.1f}" cy="{middle:.1f}" r="3" fill="{color}"/>'
        )
    label = escape(f"seed {seed}")
    parts.append(f'<text x="{MARGIN + 70 * index}" y="24" fill="{color}">{label}</text>')
    return parts
