from typing import Any

from django.core.management.base import BaseCommand

from training.simulation.demo import accounts_path, demo_prepare
from training.terminal import ProgressBar


class Command(BaseCommand):
    help = "Makes the demo project and its accounts, or completes them. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        bar = ProgressBar("demo project")
        try:
            project = demo_prepare(report=bar)
        finally:
            bar.close()
        self.stdout.write(f"Project {project.slug}; its accounts are in {accounts_path()}.")
