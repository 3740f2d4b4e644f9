"""An installation of its own for every world: a data folder, a database, nobody else in it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from django.conf import settings as django_settings

from training.simulation.world.plan import Plan

TAIL_CHARACTERS = 3_000


class WorldProcessFailed(Exception):
    """A world's process ended without a result."""


def database_ensure(cache: Path) -> Path:
    """A migrated, empty SQLite file, made once for each set of migrations."""
    names = sorted(path.name for path in Path(django_settings.BASE_DIR).glob("*/migrations/0*.py"))
    contents = b"".join(
        path.read_bytes()
        for path in sorted(Path(django_settings.BASE_DIR).glob("*/migrations/0*.py"))
    )
    key = hashlib.sha256(json.dumps(names).encode() + contents).hexdigest()[:16]
    path = cache / f"migrated-{key}.sqlite3"
    if not path.exists():
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            environment = _environment(Path(name), launcher="", base_model=Path(name))
            subprocess.run(command, check=True, cwd=django_settings.BASE_DIR, env=environment)
            temporary = path.with_suffix(".new")
            cache.mkdir(parents=True, exist_ok=True)
            # Into one file: the write-ahead log stays behind otherwise.
            shutil.copyfile(Path(name) / "db.sqlite3", temporary)
            temporary.rename(path)
    return path


def world_process(plan: Plan, *, database: Path, base_model: Path, launcher: str) -> dict:
    """Runs the plan in a process and a temporary folder of its own; returns its result.

    Raises WorldProcessFailed.
    """
    with tempfile.TemporaryDirectory(prefix="preferendum-world-") as name:
        folder = Path(name)
        shutil.copyfile(database, folder / "db.sqlite3")
        plan_path, result_path, log = folder / "plan.json", folder / "result.json", folder / "log"
        plan_path.write_text(json.dumps(plan.as_json()))
        module = "training.simulation.world"
        with log.open("wb") as handle:
            # Its stdin is our pipe: it ends when we do, however we end.
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(plan_path), str(result_path)],
                cwd=django_settings.BASE_DIR,
                env=_environment(folder, launcher=launcher, base_model=base_model),
                stdin=subprocess.PIPE,
                stdout=handle,
                stderr=handle,
            )
            with process:
                process.wait()
        if process.returncode != 0 or not result_path.exists():
            tail = log.read_text(errors="replace")[-TAIL_CHARACTERS:]
            raise WorldProcessFailed(f"World of seed {plan.seed}: {tail}")
        result: dict = json.loads(result_path.read_text())
    return result


def _environment(folder: Path, *, launcher: str, base_model: Path) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.embedded",
        "PREFERENDUM_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "CELERY_BROKER_URL": "files://localhost/",
        "PREFERENDUM_BASE_MODEL": str(base_model),
        "PREFERENDUM_LAUNCHER": launcher,
        "PREFERENDUM_TRAIN_THREADS": "1",
        "PREFERENDUM_TRAIN_PROCESSES": "1",
        "THROTTLE_USER": "1000000/min",
        "SECRET_KEY": "simulation",
        "LOG_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
    }
