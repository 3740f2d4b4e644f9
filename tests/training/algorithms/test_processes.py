"""Two processes on gloo follow the trajectory of one process with accumulation."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.tiny import tiny_model, tiny_tokenizer
from tests.training.algorithms.conftest import folder_for, metrics_read
from tests.training.algorithms.test_configs import ROOT
from training.algorithms.engine import training_loop
from training.algorithms.engine.processes import Processes
from training.algorithms.engine.training_loop import TrainingLoop
from training.algorithms.errors import RunStopped
from training.algorithms.models import checkpoint_io
from training.algorithms.run_dir import RunDir

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def two_processes(method, folder, **fields):
    """Starts the run in two processes; `fields` go into run.json."""
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | fields))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [*LAUNCHER, "-m", f"training.algorithms.{method}", str(folder)]
    with (folder / "stderr.log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)


def assert_same_trajectory(folder, alone):
    ours, theirs = metrics_read(folder), metrics_read(alone)
    assert ours.keys() == theirs.keys()
    for name, curve in theirs.items():
        assert [step for step, _ in ours[name]] == [step for step, _ in curve]
        values, expected = ([value for _, value in points] for points in (ours[name], curve))
        assert values == pytest.approx(expected, rel=2e-3, abs=2e-4), name
    weights, expected_weights = (
        load_file(path / "output" / "model.safetensors") for path in (folder, alone)
    )
    assert weights.keys() == expected_weights.keys()
    for name, tensor in expected_weights.items():
        assert_close(weights[name], tensor, atol=2e-4, rtol=2e-3)
    # and it did learn: the two ends differ less from each other than from the start
    assert any(len(curve) > 1 and curve[0][1] != curve[-1][1] for curve in theirs.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "sharding"),
    [("sft", "none"), ("sft", "fsdp"), ("reward_model", "none"), ("reward_model", "fsdp"),
     ("ppo", "none"), ("rloo", "fsdp"), ("rejection_sampling", "none"), ("dpo", "fsdp"),
     ("kto", "none")],
)  # fmt: skip
def test_two_processes_follow_one(tmp_path, chain, method, sharding):
    folder = folder_for(method, tmp_path / "run", chain, micro_batch_tokens=96)
    process = two_processes(method, folder, sharding=sharding)
    assert process.wait(timeout=120) == 0, (folder / "stderr.log").read_text()[-3000:]
    assert_same_trajectory(folder, getattr(chain, method))


@pytest.mark.slow
def test_sigterm_to_both_saves_once_and_the_next_start_goes_on(tmp_path, chain):
    folder = folder_for("sft", tmp_path / "run", chain, num_epochs=200, save_every_steps=1000)
    process = two_processes("sft", folder)
    deadline = time.monotonic() + 60
    # A step needs both: from the first one on, both have their signal handlers.
    while num_done(folder) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    done, saved = num_done(folder), folder / "state" / "state.pt"
    assert saved.exists(), (folder / "stderr.log").read_text()[-3000:]
    state = torch.load(saved, weights_only=True)
    assert 0 < state["done"] == done < 600
    assert not (folder / "result.json").exists()


def num_done(folder):
    try:
        return json.loads((folder / "progress.json").read_text())["done"]
    except FileNotFoundError:
        return 0


def test_a_signal_that_comes_while_all_agree_stops_the_run_after_the_next_step(
    tmp_path, chain, monkeypatch
):
    """Neither lost nor followed by one process alone: the others would wait for it for ever."""
    folder = folder_for("sft", tmp_path / "run", chain, num_epochs=200, save_every_steps=1000)
    run_dir = RunDir(folder)

    class Group:
        def any(self, flag):
            run_dir.stop_requested = True
            return flag

    monkeypatch.setattr(training_loop, "processes", Group)
    loop = TrainingLoop(run_dir, {}, num_steps=10, save_every_steps=1000)
    with pytest.raises(RunStopped):
        for _ in loop.steps():
            pass
    state = torch.load(folder / "state" / "state.pt", weights_only=True)
    assert state["done"] == 2


def test_a_model_is_prepared_on_the_device_of_its_process(monkeypatch):
    """Of several GPUs each process has its own, also before anything is trained."""
    mine = Processes(rank=1, count=2, device=torch.device("meta"))
    monkeypatch.setattr(checkpoint_io, "processes", lambda: mine)
    model = tiny_model()
    checkpoint_io._prepare(model, tiny_tokenizer())
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
