"""Killing the worker in mid-run: the real stage, a real process, SIGKILL."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from annotation.models import Demonstration, Project, Ranking
from tests.training.people import demonstrations_make, prompts_make, rank_all
from training.algorithms.methods import method_get
from training.choices import RunStatus
from training.models import Checkpoint, LoopSettings, Metric, Run
from training.services.base_model import base_checkpoint_get
from training.services.run_execution import run_execute
from training.services.runs import run_create, runs_recover
from training.services.snapshots import snapshot_create

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.usefixtures("file_database", "silence"),
]
# Long enough to be killed in the middle, also on a fast machine.
NUM_EPOCHS = 60


@pytest.fixture
def two_runs(project: Project, bob: User, loop: LoopSettings) -> tuple[Run, Run]:
    """The same SFT twice: one to be left alone, one to be killed."""
    demonstrations_make(project, bob, prompts_make(project, 12))
    loop.overrides = {"sft": {"num_epochs": NUM_EPOCHS, "batch_size": 4, "save_every_steps": 2}}
    loop.save()
    snapshot = snapshot_create(project=project, settings=loop)
    first, second = (
        run_create(
            settings=loop,
            step="sft",
            method=method_get("sft"),
            seed=7,
            snapshot=snapshot,
            parents={"init": base_checkpoint_get()},
        )
        for _ in range(2)
    )
    return first, second


def worker_start(run: Run) -> subprocess.Popen[bytes]:
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "PREFERENDUM_DATA_DIR": str(django_settings.PREFERENDUM_DATA_DIR),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    command = [sys.executable, "-m", "tests.training.worker", str(run.pk)]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_worker_killed_in_mid_run_changes_nothing_in_the_end(
    two_runs: tuple[Run, Run], project: Project, bob: User
) -> None:
    undisturbed, killed = two_runs
    run_execute(run_id=undisturbed.pk)

    worker = worker_start(killed)
    try:
        wait_for(lambda: (killed.folder / "state").exists(), 120)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    assert not (killed.folder / "result.json").exists()
    killed.refresh_from_db()
    assert killed.status == RunStatus.RUNNING
    done_before = killed.progress_done

    # Its heartbeat stops; half a minute later the tick notices.
    assert runs_recover(now=timezone.now() + timedelta(seconds=31)) == 1
    killed.refresh_from_db()
    assert killed.status == RunStatus.INTERRUPTED
    run_execute(run_id=killed.pk)
    killed.refresh_from_db()
    assert (killed.status, killed.attempt, killed.error_text) == (RunStatus.SUCCEEDED, 2, "")
    assert killed.progress_done > done_before

    outputs = [digests(Path(Checkpoint.objects.get(run=run).location)) for run in two_runs]
    assert "model.safetensors" in outputs[0]
    assert outputs[0] == outputs[1]
    curves = [
        list(
            Metric.objects.filter(run=run)
            .order_by("name", "step")
            .values_list("name", "step", "value")
        )
        for run in two_runs
    ]
    assert curves[0]
    assert curves[0] == curves[1]
    # No label was touched, and the next ones are taken as ever.
    assert Demonstration.objects.count() == 12
    assert Ranking.objects.count() == rank_all(project, bob) == 0


def test_a_killed_training_process_is_taken_up_again_by_the_same_worker(
    two_runs: tuple[Run, Run],
) -> None:
    undisturbed, killed = two_runs
    run_execute(run_id=undisturbed.pk)
    worker = worker_start(killed)
    try:
        wait_for(lambda: (killed.folder / "state").exists(), 120)
        stage = _stage_pid(killed)
        os.kill(stage, signal.SIGKILL)
        worker.wait(timeout=60)
    finally:
        worker.kill()
        worker.wait()
    killed.refresh_from_db()
    assert killed.status == RunStatus.INTERRUPTED
    run_execute(run_id=killed.pk)
    outputs = [digests(Path(Checkpoint.objects.get(run=run).location)) for run in two_runs]
    assert outputs[0] == outputs[1]


def test_the_training_process_ends_with_its_worker(two_runs: tuple[Run, Run]) -> None:
    _, killed = two_runs
    worker = worker_start(killed)
    try:
        wait_for(lambda: (killed.folder / "state").exists(), 120)
        stage = _stage_pid(killed)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    wait_for(lambda: not _is_training(stage), 10)


def _stage_pid(run: Run) -> int:
    """The process whose command line names the run's folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_training(int(entry.name), str(run.folder)):
            return int(entry.name)
    raise AssertionError("no training process")


def _is_training(pid: int, folder: str = "") -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return False
    return "training.algorithms.sft" in command and folder in command
