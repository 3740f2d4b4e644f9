from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import DomainError
from training.services.base_model import base_checkpoint_ensure
from training.terminal import ProgressBar


class Command(BaseCommand):
    help = "Makes the embedded base model unless it is there already, or names the chosen one."

    def handle(self, *args: Any, **options: Any) -> None:
        bar = ProgressBar("base model")
        try:
            checkpoint = base_checkpoint_ensure(report=bar)
        except DomainError as error:
            raise CommandError(error.message) from None
        finally:
            bar.close()
        self.stdout.write(f"Base model: {checkpoint.name} ({checkpoint.location})")
