"""Runs one run in a process of its own, as a worker would: python -m tests.training.worker ID."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

import django

django.setup()

from pathlib import Path  # noqa: E402

from django.conf import settings  # noqa: E402

from training.services.doorbell import doorbell_silenced  # noqa: E402
from training.services.run_execution import run_execute  # noqa: E402

if __name__ == "__main__":
    settings.PREFERENDUM_DATA_DIR = Path(os.environ["PREFERENDUM_DATA_DIR"])
    with doorbell_silenced():
        run_execute(run_id=int(sys.argv[1]))
