from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import DomainError
from annotation.models import Project
from annotation.services.prompts import prompts_import


class Command(BaseCommand):
    help = "Imports prompts from a file of JSON Lines: all of them, or none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="Slug of the project.")
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        try:
            result = prompts_import(actor=None, project=project, lines=self._lines(options["file"]))
        except DomainError as error:
            for line in error.extra.get("errors", []):
                self.stderr.write(f"line {line['line']}: {line['message']}")
            raise CommandError(error.message) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"Cannot read {options['file']}: {error}") from error
        self.stdout.write(
            f"{result.created} prompts imported, {result.duplicates} were there before."
        )

    def _lines(self, path: Path) -> Iterator[str]:
        """The file's lines; on a terminal with a progress bar by bytes."""
        size, num_read, shown = path.stat().st_size, 0, -1
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                yield line
                num_read += len(line.encode())
                percent = min(100, 100 * num_read // max(size, 1))
                if percent > shown and self.stderr.isatty():
                    shown = percent
                    bar = "#" * (percent // 4)
                    self.stderr.write(f"\rreading [{bar:<25}] {percent:3} %", ending="")
        if shown >= 0:
            self.stderr.write("")
