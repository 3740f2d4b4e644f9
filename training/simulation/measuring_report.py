"""The measurement as a Markdown table and a small chart."""

from collections.abc import Sequence

from training.simulation.drawing import Point, Series, chart_svg
from training.simulation.measuring import Mean, Measured

HEADER = """\
| Seed | Round | Rankings | Pair accuracy (95 % interval, pairs) | Reward SFT | Reward policy | \
Gain ± s.e. | Hidden value SFT ± s.e. | Hidden value policy ± s.e. | Gain ± s.e. | KL, nats | \
Tokens SFT | Tokens policy |
|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


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
    rounds = sorted({item.round for item in measured})
    return chart_svg(
        [Series(f"seed {seed}", _line(measured, seed)) for seed in _seeds(measured)],
        title="Mean hidden value of answers to held-out prompts, by round",
        x_names={0.0: "SFT"} | {float(number): f"round {number}" for number in rounds},
    )


def _seeds(measured: Sequence[Measured]) -> list[int]:
    return sorted({item.seed for item in measured})


def _line(measured: Sequence[Measured], seed: int) -> list[Point]:
    mine = sorted((item for item in measured if item.seed == seed), key=lambda item: item.round)
    means = [(0, mine[0].hidden_reference), *((item.round, item.hidden_policy) for item in mine)]
    return [Point(number, mean.value, mean.error) for number, mean in means]
