"""How a training process is started, by settings."""

import json
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from config.env import read_choice
from training.algorithms.methods import method_get
from training.models import LoopSettings, Run
from training.services.base_model import base_checkpoint_get
from training.services.run_folder import run_folder_prepare
from training.services.run_process import process_command
from training.services.runs import run_create

FOLDER = Path("/data/runs/1")


def test_one_process_is_the_default() -> None:
    expected = [sys.executable, "-m", "training.algorithms.sft", "/data/runs/1"]
    assert process_command("sft", FOLDER) == expected


def test_several_processes_are_a_torchrun_of_the_launcher(settings: Settings) -> None:
    settings.PREFERENDUM_LAUNCHER = "srun --gres=gpu:4 python"
    settings.PREFERENDUM_TRAIN_PROCESSES = 4
    assert process_command("ppo", FOLDER) == [
        *["srun", "--gres=gpu:4", "python", "-m", "torch.distributed.run", "--standalone"],
        *["--nproc-per-node", "4", "-m", "training.algorithms.ppo", "/data/runs/1"],
    ]
    # Sampling has nothing to add up: one process.
    assert "torch.distributed.run" not in process_command("sample", FOLDER)


def test_a_choice_outside_the_list_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_CHOICE", "fp8")
    with pytest.raises(ImproperlyConfigured, match="'fp8' is none of: fp32, bf16"):
        read_choice("SOME_CHOICE", default="fp32", choices=("fp32", "bf16"))
    monkeypatch.delenv("SOME_CHOICE")
    assert read_choice("SOME_CHOICE", default="fp32", choices=("fp32", "bf16")) == "fp32"


@pytest.fixture
def run(small: LoopSettings, silence: None) -> Run:
    return run_create(
        settings=small,
        step="policy",
        method=method_get("ppo"),
        seed=1,
        parents={"reference": base_checkpoint_get(), "reward_model": base_checkpoint_get()},
    )


@pytest.mark.django_db
def test_hardware_and_texts_are_frozen_into_the_folder(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "Once."}\n')
    settings.PREFERENDUM_PRETRAINING_TEXTS = str(texts)
    settings.PREFERENDUM_TRAIN_PRECISION = "bf16"
    settings.PREFERENDUM_TRAIN_SHARDING = "fsdp"
    folder = run_folder_prepare(run)
    document = json.loads((folder / "run.json").read_text())
    assert (document["precision"], document["sharding"]) == ("bf16", "fsdp")
    texts.write_text("changed afterwards")
    if "texts" in method_get("ppo").data:
        assert (folder / "data" / "texts.jsonl").read_text() == '{"text": "Once."}\n'
