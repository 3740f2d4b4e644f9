import shlex
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from training.models import Run
from training.services.base_model import Report, base_checkpoint_ensure
from training.services.code_version import code_version
from training.simulation.measuring import (
    Measured,
    MeasureFailed,
    Plan,
    plan_measure,
    plan_work,
)
from training.simulation.measuring_report import report_markdown, report_row, report_svg
from training.terminal import ProgressBar


class Command(BaseCommand):
    help = (
        "Runs the whole loop with scripted labelers, a fresh project for each seed, and writes a "
        "table and a chart. Started again it goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
        parser.add_argument("--rankings", type=int, default=600, help="in all, for each seed")
        parser.add_argument("--rounds", type=int, default=2)
        parser.add_argument("--labelers", type=int, default=8)
        parser.add_argument("--output", type=Path, default=Path("docs/results/loop.md"))

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        began = time.monotonic()
        bar = ProgressBar("base model")
        checkpoint = base_checkpoint_ensure(report=bar)
        bar.close()
        measured: list[Measured] = []
        for seed in options["seeds"]:
            plan = Plan(seed, options["rankings"], options["rounds"], options["labelers"])
            measured += self._seed(plan)
        output: Path = options["output"]
        chart = output.with_suffix(".svg")
        output.parent.mkdir(parents=True, exist_ok=True)
        chart.write_text(report_svg(measured))
        command = shlex.join(["python", "manage.py", *sys.argv[1:]])
        note = (
            f"Base model: {checkpoint.name}. Seeds: {', '.join(map(str, options['seeds']))}. "
            f"Code: {code_version()}."
        )
        output.write_text(report_markdown(measured, command=command, chart=chart.name, note=note))
        self.stdout.write(f"{command}\nseeds {options['seeds']}")
        self.stdout.write(f"Wrote {output} and {chart} in {time.monotonic() - began:.0f} s.")

    def _seed(self, plan: Plan) -> list[Measured]:
        bars: list[ProgressBar] = []

        def report_of(run: Run) -> Report:
            for bar in bars[-1:]:
                bar.close()
            round_name = f" round {run.round.number}" if run.round else ""
            bars.append(ProgressBar(f"seed {plan.seed}{round_name} {run.method}"))
            return bars[-1]

        labelers = ProgressBar(f"seed {plan.seed} labelers")
        try:
            plan_work(plan, report=labelers, report_of=report_of)
        except MeasureFailed as error:
            raise CommandError(str(error)) from None
        finally:
            for bar in bars[-1:]:
                bar.close()
        rows = plan_measure(plan)
        for row in rows:
            self.stdout.write(report_row(row), ending="")
        return rows
