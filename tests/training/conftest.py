"""A project whose loop runs on the tiny model, in a data folder of its own."""

import runpy
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import connection
from pytest_django import Settings

from annotation.models import Project
from tests.tiny import tiny_checkpoint
from training.models import LoopSettings, Run
from training.services.doorbell import doorbell_silenced
from training.services.run_process import MetricsReader
from training.services.settings import loop_settings_ensure

OVERRIDES = {
    "sft": {"num_epochs": 2, "batch_size": 4, "learning_rate": 1e-3},
    "reward_model": {"num_epochs": 2, "min_train_rankings": 2, "learning_rate": 1e-3},
    "ppo": {"num_steps": 3, "batch_size": 8, "minibatch_size": 8, "save_every_steps": 1},
}


def loop_make(project: Project) -> LoopSettings:
    loop = loop_settings_ensure(project=project)
    loop.rankings_per_round = 6
    loop.min_demonstrations = 4
    loop.queue_low_water = 0
    loop.test_reward_model = False
    loop.sampling = {"temperature": 1.0, "max_new_tokens": 12}
    loop.overrides = OVERRIDES
    loop.save()
    return loop


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Each test writes its runs and snapshots into a folder of its own."""
    settings.PREFERENDUM_DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


@pytest.fixture
def file_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """On SQLite: the database in a file, as in production. In memory, threads share one cache,
    which locks whole tables and does not wait; and another process sees nothing of it.
    """
    if connection.vendor != "sqlite":
        yield
        return
    path = tmp_path / "db.sqlite3"
    connection.ensure_connection()
    memory = connection.connection
    with closing(sqlite3.connect(path)) as target:
        memory.backup(target)
    name, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], str(path)
    connection.connection = None
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
        connection.connection = memory


@pytest.fixture
def silence() -> Iterator[None]:
    """No message is sent: the test itself does what workers would."""
    with doorbell_silenced():
        yield


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture
def loop(project: Project, tiny_base: Path, settings: Settings) -> LoopSettings:
    """The project's loop, small: rounds of 6 rankings, 4 demonstrations to begin with."""
    settings.PREFERENDUM_BASE_MODEL = str(tiny_base)
    return loop_make(project)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    """Runs start the stub stage instead of the real ones; the base model is an empty folder."""
    (tmp_path / "base").mkdir()
    settings.PREFERENDUM_BASE_MODEL = str(tmp_path / "base")

    def command(method: str, folder: Path) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("stub_stage.py")), method, str(folder)]

    monkeypatch.setattr("training.services.run_process.process_command", command)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """Collects the messages instead of sending them: (task, id, queue)."""
    messages: list[tuple[str, int, str]] = []

    def send(task: str, pk: int, queue: str) -> None:
        messages.append((task.rpartition(".")[2], pk, queue))

    monkeypatch.setattr("training.services.doorbell._send", send)
    return messages


@pytest.fixture
def small(project: Project, stub: None) -> LoopSettings:
    """As `loop`, on the stub stage."""
    return loop_make(project)


@pytest.fixture
def inline(stub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `stub`, in the worker's own process, so that a whole round takes little time."""
    path = str(Path(__file__).with_name("stub_stage.py"))

    def attempt(run: Run, folder: Path, *args: object) -> int:
        with patch.object(sys, "argv", [path, run.method, str(folder)]):
            try:
                runpy.run_path(path, run_name="__main__")
            except SystemExit as end:
                MetricsReader(run, folder).ingest()
                return int(end.code or 0)
        raise AssertionError("the stub never ends without a code")

    monkeypatch.setattr("training.services.run_execution._attempt", attempt)
