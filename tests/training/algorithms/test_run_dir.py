"""Run folders: reading, atomic writing, locking, and the exit codes of a process."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.tiny import demonstration_records, run_folder_make
from tests.training.algorithms.conftest import folder_for, metrics_read
from tests.training.algorithms.test_configs import ROOT
from training.algorithms.entry import EXIT_EXPECTED, EXIT_LOCKED, run_folder
from training.algorithms.errors import (
    CheckpointInvalid,
    LossNotFinite,
    RunFolderInvalid,
    RunLocked,
)
from training.algorithms.run_dir import Result, RunDir


@pytest.fixture
def folder(tmp_path):
    return run_folder_make(tmp_path / "run", "sft", data={"demonstrations": []})


def test_records_come_by_split_in_file_order(tmp_path):
    records = demonstration_records(6, num_held_out=2)
    run_dir = RunDir(run_folder_make(tmp_path / "r", "sft", data={"demonstrations": records}))
    assert [r["id"] for r in run_dir.records("demonstrations", "train")] == [0, 1, 2, 3]
    assert [r["id"] for r in run_dir.records("demonstrations", "held_out")] == [4, 5]
    assert run_dir.records("rankings") == []


def test_a_broken_line_or_document_is_named(folder):
    (folder / "data" / "demonstrations.jsonl").write_text('{"id": 1}\n{"id":\n')
    with pytest.raises(RunFolderInvalid, match="line 2"):
        RunDir(folder).records("demonstrations")
    (folder / "run.json").write_text('{"method": "sft"}')
    with pytest.raises(RunFolderInvalid, match="config"):
        RunDir(folder)


def test_inputs_are_relative_to_the_folder_or_hub_ids(folder):
    (folder.parent / "other" / "output").mkdir(parents=True)
    run_dir = RunDir(folder)
    run_dir.inputs = {
        "near": "../other/output",
        "hub": "someone/some-model",
        "gone": "../nowhere/output",
    }
    assert run_dir.input_path("near") == str(folder.parent.resolve() / "other" / "output")
    assert run_dir.input_path("hub") == "someone/some-model"
    with pytest.raises(CheckpointInvalid, match="nowhere"):
        run_dir.input_path("gone")
    with pytest.raises(RunFolderInvalid, match="'policy'"):
        run_dir.input_path("policy")


def test_replayed_metrics_are_not_written_twice_and_torn_lines_go(folder):
    RunDir(folder).metrics_write(1, {"loss": 0.5})
    with (folder / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 2, "metr')  # a kill in the middle of a write
    resumed = RunDir(folder)
    resumed.metrics_write(1, {"loss": 0.5, "extra": 1.0})
    resumed.metrics_write(2, {"loss": 0.25})
    assert metrics_read(folder) == {"loss": [(1, 0.5), (2, 0.25)], "extra": [(1, 1.0)]}


def test_a_metric_that_is_not_finite_is_an_expected_failure(folder):
    with pytest.raises(LossNotFinite, match="loss is nan at step 7"):
        RunDir(folder).metrics_write(7, {"loss": float("nan")})


def test_state_is_replaced_whole_or_not_at_all(folder):
    run_dir = RunDir(folder)
    assert run_dir.state_path() is None
    run_dir.state_save(lambda path: (path / "a").write_text("one") and None)

    def fail(path):
        (path / "a").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_dir.state_save(fail)
    assert (run_dir.state_path() / "a").read_text() == "one"


def test_a_death_between_the_two_renames_loses_nothing(folder):
    run_dir = RunDir(folder)
    run_dir.state_save(lambda path: (path / "a").write_text("one") and None)
    (folder / "state").rename(folder / "state.old")  # where a kill may leave it
    assert (RunDir(folder).state_path() / "a").read_text() == "one"


def test_a_second_holder_is_refused(folder):
    with RunDir(folder).lock(), pytest.raises(RunLocked), RunDir(folder).lock():
        pass
    with RunDir(folder).lock():
        assert run_folder("sft", str(folder)) == EXIT_LOCKED
    assert not (folder / "error.json").exists()


def test_a_finished_run_is_not_run_again(folder):
    RunDir(folder).result_write(Result({"x": 1.0}))
    assert run_folder("sft", str(folder)) == 0  # it names no input, so running would fail


def test_expected_failures_leave_error_json(tmp_path, chain):
    short = folder_for("sft", tmp_path / "a", chain, min_demonstrations=100)
    assert run_folder("sft", str(short)) == EXIT_EXPECTED
    error = json.loads((short / "error.json").read_text())
    assert error["code"] == "data_too_small"
    assert error["extra"] == {"what": "demonstrations", "have": 18, "need": 100}
    wrong = folder_for("ppo", tmp_path / "b", chain, num_stepz=3)
    assert run_folder("ppo", str(wrong)) == EXIT_EXPECTED
    assert json.loads((wrong / "error.json").read_text())["code"] == "config_invalid"
    swapped = folder_for("ppo", tmp_path / "c", chain)
    document = json.loads((swapped / "run.json").read_text())
    document["inputs"]["reward_model"] = document["inputs"]["reference"]
    (swapped / "run.json").write_text(json.dumps(document))
    assert run_folder("ppo", str(swapped)) == EXIT_EXPECTED
    assert json.loads((swapped / "error.json").read_text())["code"] == "checkpoint_invalid"


def test_a_diverging_run_says_so(tmp_path, chain):
    folder = folder_for("sft", tmp_path / "a", chain, learning_rate=1e30, max_grad_norm=1e30)
    assert run_folder("sft", str(folder)) == EXIT_EXPECTED
    assert json.loads((folder / "error.json").read_text())["code"] == "loss_not_finite"
    assert not (folder / "result.json").exists()


def _start(method, folder, **kwargs):
    command = [sys.executable, "-m", f"training.algorithms.{method}", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | kwargs.pop("env", {})
    return subprocess.Popen(command, cwd=ROOT, env=environment, **kwargs)


def _wait_for(path, process, timeout_seconds=60):
    deadline = time.monotonic() + timeout_seconds
    while not path.exists():
        assert process.poll() is None, "the process ended early"
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.02)


def test_end_of_stdin_ends_a_supervised_process(tmp_path, chain):
    folder = folder_for("ppo", tmp_path / "run", chain, num_steps=100_000)
    process = _start("ppo", folder, stdin=subprocess.PIPE, env={"PREFERENDUM_SUPERVISED": "1"})
    _wait_for(folder / "progress.json", process)
    process.stdin.close()
    assert process.wait(timeout=10) == 143


def test_sigterm_saves_the_state_and_leaves_no_error(tmp_path, chain):
    folder = folder_for("sft", tmp_path / "run", chain, num_epochs=3000, save_every_steps=10**6)
    process = _start("sft", folder, stdin=subprocess.DEVNULL)
    _wait_for(folder / "progress.json", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert (folder / "state" / "state.pt").exists()
    assert not (folder / "error.json").exists()
