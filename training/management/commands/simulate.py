import dataclasses
import shlex
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from training.services.code_version import code_version
from training.simulation.world.experiments import (
    Experiment,
    active_experiment,
    overlap_experiment,
    overoptimization_experiment,
    rounds_experiment,
)
from training.simulation.world.gold import GoldOptions
from training.simulation.world.installation import WorldProcessFailed
from training.simulation.world.plan import Plan
from training.simulation.world.population import PopulationOptions
from training.simulation.world.report import page_markdown
from training.simulation.world.running import worlds_run
from training.terminal import ProgressBar

EXPERIMENTS = {
    "rounds": (rounds_experiment, [1000, 4000]),
    "overoptimization": (overoptimization_experiment, [500]),
    "active": (active_experiment, [600]),
    "overlap": (overlap_experiment, [1000]),
    "budget": (rounds_experiment, [250, 500, 1000, 2000]),
}


class Command(BaseCommand):
    help = (
        "Runs whole loops with simulated people against hidden preferences and says how many "
        "labels buy how much. Started again it goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "experiment",
            choices=EXPERIMENTS,
            help="rounds, overoptimization, active and overlap are the measurements of "
            "docs/results; budget is for your own people: say how well they agree.",
        )
        parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
        parser.add_argument("--jobs", type=int, default=2, help="worlds at a time")
        parser.add_argument("--labels", type=int, nargs="+", help="comparisons in all")
        parser.add_argument(
            "--offline-labels", type=int, nargs="+", help="of the loops of one round, if others"
        )
        parser.add_argument("--output", type=Path, help="a .md file; charts go beside it")
        people = PopulationOptions()
        parser.add_argument("--people", type=int, default=people.num)
        parser.add_argument(
            "--agreement",
            type=float,
            default=people.agreement,
            help="share of pairs two careful people agree on; the papers report 0.63 to 0.77",
        )
        parser.add_argument("--spread", type=float, default=people.spread)
        parser.add_argument("--flips", type=float, help="share of judgements the wrong way round")
        parser.add_argument("--spammers", type=float, default=people.spammers)
        parser.add_argument("--moderation", type=float, default=GoldOptions().moderation)

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        name = options["experiment"]
        make, labels = EXPERIMENTS[name]
        more = {}
        if options["offline_labels"]:
            if make is not rounds_experiment:
                raise CommandError("--offline-labels is for the experiments rounds and budget.")
            more = {"offline_labels": options["offline_labels"]}
        experiment = make(self._base(options), options["labels"] or labels, **more)
        bar = ProgressBar(name)
        try:
            results = worlds_run(
                experiment.arms, options["seeds"], jobs=options["jobs"], report=bar
            )
        except (WorldProcessFailed, ValueError) as error:
            raise CommandError(str(error)) from None
        finally:
            bar.close()
        page = experiment.page(results)
        self.stdout.write(page.text)
        if options["output"] is not None:
            self._write(options["output"], experiment, options["seeds"], page)
        self.stdout.write(f"{time.monotonic() - began:.0f} s.")

    def _base(self, options: dict[str, Any]) -> Plan:
        flips = options["flips"]
        if flips is None:
            # Telling a task's three judgements apart is only of use where some are wrong.
            flips = 0.25 if options["experiment"] == "overlap" else 0.0
        for option, value in (("flips", flips), ("spammers", options["spammers"])):
            if not 0 <= value < 1:
                raise CommandError(f"--{option} {value}: expected 0 or more and below 1.")
        return Plan(
            population=PopulationOptions(
                num=options["people"],
                agreement=options["agreement"],
                spread=options["spread"],
                flips=flips,
                spammers=options["spammers"],
            ),
            gold=dataclasses.replace(GoldOptions(), moderation=options["moderation"]),
        )

    def _write(self, output: Path, experiment: Experiment, seeds: list[int], page: Any) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        charts = {f"{output.stem}{end}.svg": svg for end, svg in page.charts.items()}
        for chart, svg in charts.items():
            (output.parent / chart).write_text(svg)
        command = shlex.join(["python", "manage.py", *sys.argv[1:]])
        text = page_markdown(
            experiment, page, list(charts), command=command, seeds=seeds, code=code_version()
        )
        output.write_text(text)
        self.stdout.write(f"Wrote {output}.")
