"""An experiment's page: what was asked, how, the numbers, and how to read them."""

import re
from collections.abc import Sequence

from training.simulation.world.experiments import Experiment, Page
from training.simulation.world.plan import Plan

READING = """\
Gold: the hidden value that the people of a world judge by, in standard deviations of the base
model's answers, over the base model's own; it is measured by the simulation on prompts that the
project never had, and the loop never sees it. Peak: the best of all checkpoints that the rounds
kept; deployed: the one in use at the end. Proxy: the reward model that the policy was trained on,
in standard deviations over the base model's answers; test: the one trained on held-out judgements.
One label is one comparison; a ranking of K answers counts as K (K - 1) / 2. ±: one standard error
over seeds; differences are paired by seed. [simulation.md](../simulation.md) describes the worlds.
"""


def page_markdown(
    experiment: Experiment,
    page: Page,
    charts: Sequence[str],
    *,
    command: str,
    seeds: Sequence[int],
    code: str,
) -> str:
    pictures = "\n".join(
        f"![{_title(svg)}]({chart})"
        for svg, chart in zip(page.charts.values(), charts, strict=True)
    )
    return f"""# {experiment.title}

{experiment.question}

{_setting(next(iter(experiment.arms.values())))} Seeds: {", ".join(map(str, seeds))}. Code: {code}.

```
{command}
```

{page.text}

{pictures}

{READING}"""


def _setting(plan: Plan) -> str:
    people = plan.population
    bad = [f"{people.flips:.0%} of judgements the wrong way round"] if people.flips else []
    bad += [f"{people.spammers:.0%} of them spammers"] if people.spammers else []
    return (
        f"{people.num} simulated people, two of whom agree on {people.agreement:.0%} of the pairs"
        f"{''.join(', ' + each for each in bad)}; they rank {plan.num_completions} answers at a "
        "time through the HTTP API."
    )


def _title(svg: str) -> str:
    found = re.search("<title>(.*)</title>", svg)
    return found.group(1) if found else "Chart"
