"""The embedded base model: made once, waited for by the second, taken up after a death."""

import json
import threading
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from training.errors import BaseModelFailed
from training.models import Checkpoint
from training.services.base_model import (
    base_checkpoint_ensure,
    base_checkpoint_get,
    base_model_is_ready,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("file_database")]


@pytest.fixture
def embedded(stub: None, settings: Settings) -> None:
    settings.PREFERENDUM_BASE_MODEL = ""


def test_the_embedded_model_is_made_once_and_shared(embedded: None, data_dir: Path) -> None:
    reports: list[tuple[int, int, str]] = []
    checkpoint = base_checkpoint_get()
    assert not base_model_is_ready(checkpoint)
    made = base_checkpoint_ensure(report=lambda *report: reports.append(report))
    assert made == checkpoint
    assert base_model_is_ready(checkpoint)
    assert reports[-1] == (3, 3, "done")
    folder = Path(checkpoint.location)
    assert folder.is_relative_to(data_dir / "base_model")
    written = (folder / "weights").stat().st_mtime_ns
    base_checkpoint_ensure()
    assert (folder / "weights").stat().st_mtime_ns == written
    assert Checkpoint.objects.count() == 1


def test_two_makers_at_once_make_one(embedded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[str] = []
    from training.services import run_process

    command = run_process.process_command

    def counted(method: str, folder: Path) -> list[str]:
        starts.append(method)
        return command(method, folder)

    monkeypatch.setattr("training.services.run_process.process_command", counted)

    def make() -> None:
        try:
            base_checkpoint_ensure()
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert starts == ["pretrain"]


def test_a_failure_says_why_and_where(embedded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "crash")
    with pytest.raises(BaseModelFailed) as failure:
        base_checkpoint_ensure()
    assert "ZeroDivisionError" in failure.value.message
    assert failure.value.extra["exit_code"] == 1


def test_a_killed_maker_is_followed_by_one_that_goes_on(
    embedded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "die")
    with pytest.raises(BaseModelFailed):
        base_checkpoint_ensure()
    folder = Path(base_checkpoint_get().location).parent
    before = json.loads((folder / "run.json").read_text())
    assert base_model_is_ready(base_checkpoint_ensure())
    assert json.loads((folder / "run.json").read_text()) == before


def test_a_named_model_is_taken_as_it_is(embedded: None, settings: Settings) -> None:
    settings.PREFERENDUM_BASE_MODEL = "some-lab/some-model"
    checkpoint = base_checkpoint_ensure()
    assert (checkpoint.name, checkpoint.location) == ("some-lab/some-model",) * 2
    own = base_checkpoint_get(base_model="/models/ours")
    assert (own.location, own.pk != checkpoint.pk) == ("/models/ours", True)
