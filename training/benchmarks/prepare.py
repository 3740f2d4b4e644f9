"""Models and data that runs start from, made once and kept in the work folder."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training.benchmarks import workload
from training.benchmarks.tasks import MODELS, TASKS, Task

SFT = {"num_epochs": 1, "batch_size": 16, "learning_rate": 3e-3}
NUM_DEMONSTRATIONS = 640
REWARD_MODEL = {"num_epochs": 1, "batch_size": 8, "learning_rate": 1e-3}
NUM_RANKINGS = 96


def data_prepare(task: Task, work: Path) -> Path:
    """The task's records, written anew: they are cheap."""
    folder = work / "data" / task.name
    workload.data_write(task, folder)
    return folder


def random_model(name: str, work: Path) -> Path:
    """The random checkpoint of a model size."""
    folder = work / f"{name}-{_key(name)}"
    if not (folder / "config.json").exists():
        workload.checkpoint_make(name, folder)
    return folder


def policy(name: str, work: Path, threads: int) -> Path:
    """The random model after a short SFT, so that it ends its completions."""
    task = replace(TASKS["sft"], model=name)
    records = workload.demonstrations(task, NUM_DEMONSTRATIONS, "train", seed=1)
    folder = work / f"policy-{_key(name)}"
    inputs = {"init": random_model(name, work)}
    return _run(folder, "sft", SFT, inputs, {"demonstrations": records}, threads)


def reward_model(name: str, work: Path, threads: int) -> Path:
    """A reward model fitted to a few rankings, from the policy."""
    task = replace(TASKS["reward_model_k4"], model=name)
    records = workload.rankings(task, NUM_RANKINGS, "train", seed=1)
    folder = work / f"reward_model-{_key(name)}"
    inputs = {"init": policy(name, work, threads)}
    return _run(folder, "reward_model", REWARD_MODEL, inputs, {"rankings": records}, threads)


def _key(name: str) -> str:
    parts = [asdict(MODELS[name]), SFT, NUM_DEMONSTRATIONS, REWARD_MODEL, NUM_RANKINGS]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def _run(
    folder: Path,
    method: str,
    config: dict[str, Any],
    inputs: dict[str, Path],
    data: dict[str, list[workload.Record]],
    threads: int,
) -> Path:
    """The output of a finished run of ours; a folder that has one is taken as it is."""
    if not (folder / "result.json").exists():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        document = {
            "method": method, "config": config, "seed": 1, "num_threads": threads,
            "inputs": {role: str(path.absolute()) for role, path in inputs.items()},
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
        for name, records in data.items():
            workload.jsonl_write(folder / "data" / f"{name}.jsonl", records)
        command = [sys.executable, "-m", f"training.algorithms.{method}", str(folder)]
        subprocess.run(command, check=True)
    return folder / "output"
