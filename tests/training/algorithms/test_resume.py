"""A killed run, started again, ends in the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys

import pytest

from tests.training.algorithms.conftest import folder_for
from tests.training.algorithms.test_configs import ROOT
from training.algorithms.entry import run_folder
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling import generation


class _Death(BaseException):
    """Stands for SIGKILL where a process of its own would be slow: nothing catches it."""


def _outcome(folder):
    """Everything a run leaves for others, as bytes."""
    names = ["metrics.jsonl", "result.json", "samples.jsonl"]
    paths = [folder / name for name in names if (folder / name).exists()]
    paths += sorted((folder / "output").glob("*")) if (folder / "output").exists() else []
    return {path.name: path.read_bytes() for path in paths}


def _die_at(monkeypatch, method, number):
    """Makes the number-th call of a RunDir method the last thing the process does."""
    original, calls = getattr(RunDir, method), [0]

    def dying(self, *args, **kwargs):
        calls[0] += 1
        if calls[0] == number:
            raise _Death
        return original(self, *args, **kwargs)

    monkeypatch.setattr(RunDir, method, dying)


@pytest.mark.parametrize(
    ("method", "where", "number"),
    [
        ("sft", "progress_write", 1),
        ("sft", "progress_write", 6),
        ("sft", "state_save", 3),
        ("sft", "output_save", 1),
        ("reward_model", "progress_write", 5),
        ("reward_model", "output_save", 1),
        ("ppo", "progress_write", 1),
        ("ppo", "metrics_write", 4),
        ("ppo", "progress_write", 4),
        ("ppo", "progress_write", 5),
        ("ppo", "result_write", 1),
        ("rloo", "progress_write", 3),
        ("grpo", "progress_write", 3),
        ("reinforce", "progress_write", 3),
        ("rejection_sampling", "progress_write", 2),
        ("sample", "progress_write", 3),
        ("evaluate", "progress_write", 2),
        ("dpo", "progress_write", 1),
        ("dpo", "progress_write", 5),
        ("dpo", "output_save", 1),
        ("ipo", "progress_write", 3),
        ("kto", "progress_write", 1),
        ("kto", "progress_write", 5),
        ("kto", "metrics_write", 4),
    ],
)
def test_death_anywhere_changes_nothing(tmp_path, chain, monkeypatch, method, where, number):
    folder = folder_for(method, tmp_path / "run", chain)
    with monkeypatch.context() as patch:
        _die_at(patch, where, number)
        with pytest.raises(_Death):
            run_folder(method, str(folder))
    assert not (folder / "result.json").exists()
    assert run_folder(method, str(folder)) == 0
    assert _outcome(folder) == _outcome(getattr(chain, method))


def test_two_deaths_change_nothing(tmp_path, chain, monkeypatch):
    folder = folder_for("ppo", tmp_path / "run", chain)
    for number in (3, 2):
        with monkeypatch.context() as patch:
            _die_at(patch, "progress_write", number)
            with pytest.raises(_Death):
                run_folder("ppo", str(folder))
    assert run_folder("ppo", str(folder)) == 0
    assert _outcome(folder) == _outcome(chain.ppo)


KILL_ITSELF = """
import os, signal, sys
from training.algorithms.entry import main
from training.algorithms.run_dir import RunDir
write, calls = RunDir.progress_write, []
def dying(self, *args):
    write(self, *args)
    calls.append(args)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
RunDir.progress_write = dying
main(sys.argv.pop(1))
"""


def test_sigkill_then_restart_gives_the_same_bytes(tmp_path, chain):
    """Real processes, killed by the kernel; taken up by this one."""
    methods = ("sft", "reward_model", "ppo")
    folders = {method: folder_for(method, tmp_path / method, chain) for method in methods}
    processes = [
        subprocess.Popen([sys.executable, "-c", KILL_ITSELF, method, str(folder)], cwd=ROOT)
        for method, folder in folders.items()
    ]
    assert [process.wait(timeout=120) for process in processes] == [-9, -9, -9]
    for method, folder in folders.items():
        assert (folder / "state").exists()
        assert not (folder / "output").exists()
        assert run_folder(method, str(folder)) == 0
        assert _outcome(folder) == _outcome(getattr(chain, method))


@pytest.mark.parametrize("draw", [5, 12])
@pytest.mark.parametrize("method", ["ppo", "rejection_sampling", "sample", "evaluate"])
def test_sigterm_while_sampling_leaves_at_once_and_changes_nothing(
    tmp_path, chain, monkeypatch, method, draw
):
    """SIGTERM comes with the fifth draw of tokens, or the twelfth."""
    folder = folder_for(method, tmp_path / "run", chain)
    original, calls = generation._step, []

    def asked_to_stop(*args):
        calls.append(1)
        if len(calls) == draw:
            os.kill(os.getpid(), signal.SIGTERM)
        assert len(calls) < draw + 50, "it went on"
        original(*args)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(generation, "_step", asked_to_stop)
            assert run_folder(method, str(folder)) == 143
        assert not (folder / "result.json").exists()
        assert run_folder(method, str(folder)) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert _outcome(folder) == _outcome(getattr(chain, method))
