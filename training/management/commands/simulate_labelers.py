from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Project
from training.simulation.labelers import agreement_measure, labelers_ensure, simulate
from training.simulation.preference import DEFAULT_SCALE
from training.terminal import ProgressBar

DEFAULT_RANKINGS = 300


class Command(BaseCommand):
    help = "Scripted labelers write and rank in a project, through the services people use."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", default="demo", help="slug of the project")
        parser.add_argument("--labelers", type=int, default=8, help="how many play")
        parser.add_argument(
            "--rankings",
            type=int,
            help=f"how many rankings to make (default {DEFAULT_RANKINGS}, with --until-round: any)",
        )
        parser.add_argument("--demonstrations", type=int, default=0, help="written first")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--scale",
            type=float,
            default=DEFAULT_SCALE,
            help="noise: larger means more disagreement (default %(default)s)",
        )
        parser.add_argument("--rate", type=float, help="judgements per minute, all together")
        parser.add_argument("--until-round", type=int, help="stop when this round is over")
        parser.add_argument(
            "--patience",
            type=float,
            default=600.0,
            help="seconds to wait for new tasks before giving up",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        if options["labelers"] < 1:
            raise CommandError(f"--labelers {options['labelers']}: at least 1 is needed.")
        rankings, until_round = options["rankings"], options["until_round"]
        if rankings is None and until_round is None:
            rankings = DEFAULT_RANKINGS
        bar = ProgressBar("labelers")
        try:
            done = simulate(
                project=project,
                labelers=labelers_ensure(project=project, num=options["labelers"]),
                num_rankings=rankings,
                num_demonstrations=options["demonstrations"],
                seed=options["seed"],
                scale=options["scale"],
                per_minute=options["rate"],
                until_round=until_round,
                patience_seconds=options["patience"],
                report=bar,
            )
        finally:
            bar.close()
        self.stdout.write(
            f"{done.num_demonstrations} demonstrations, {done.num_rankings} rankings and "
            f"{done.num_skips} skips, seed {options['seed']}."
        )
        if done.ran_dry:
            self.stdout.write("Stopped early: there was nothing left to do.")
        agreement = agreement_measure(project)
        if agreement.num_pairs:
            self.stdout.write(
                f"Agreement on tasks ranked twice: {agreement.share:.1%} of "
                f"{agreement.num_pairs} pairs that both ordered."
            )
