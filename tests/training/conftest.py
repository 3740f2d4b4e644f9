"""A project whose loop runs on the tiny model, in a data folder of its own."""

from pathlib import Path

import pytest
from pytest_django import Settings

from annotation.models import Project
from tests.tiny import tiny_checkpoint
from training.models import LoopSettings
from training.services.doorbell import doorbell_silenced
from training.services.settings import loop_settings_ensure

OVERRIDES = {
    "sft": {"num_epochs": 2, "batch_size": 4, "learning_rate": 1e-3},
    "reward_model": {"num_epochs": 2, "min_train_rankings": 2, "learning_rate": 1e-3},
    "ppo": {"num_steps": 3, "batch_size": 8, "minibatch_size": 8, "save_every_steps": 1},
}


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Each test writes its runs and snapshots into a folder of its own."""
    settings.PREFERENDUM_DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


@pytest.fixture
def silence():
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
    loop = loop_settings_ensure(project=project)
    loop.rankings_per_round = 6
    loop.min_demonstrations = 4
    loop.queue_low_water = 0
    loop.sampling = {"temperature": 1.0, "max_new_tokens": 12}
    loop.overrides = OVERRIDES
    loop.save()
    return loop
