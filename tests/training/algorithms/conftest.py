"""One tiny chain of runs, shared by the tests that read its folders."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import (
    demonstration_records,
    prompt_records,
    ranking_records,
    rating_records,
    run_folder_make,
    tiny_checkpoint,
    tiny_model,
    tiny_tokenizer,
)
from training.algorithms.engine.learner import Learner
from training.algorithms.engine.learner_config import LearnerConfig
from training.algorithms.entry import run_folder
from training.algorithms.run_dir import Hardware


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture
def model() -> Any:
    return tiny_model()


def learner(model: Any, **config: Any) -> Learner:
    """A learner in this process, fp32, with the given fields of LearnerConfig."""
    return Learner(model, LearnerConfig(**config), Hardware(), seed=0)


@dataclass
class Chain:
    """Run folders of a finished sft -> reward_model -> ppo -> evaluate, sample."""

    base: Path
    sft: Path
    reward_model: Path
    ppo: Path
    evaluate: Path
    sample: Path
    dpo: Path
    ipo: Path
    kto: Path
    rloo: Path
    grpo: Path
    reinforce: Path
    rejection_sampling: Path

    def stages(self) -> list[Path]:
        return [
            self.sft,
            self.reward_model,
            self.ppo,
            self.evaluate,
            self.sample,
            self.dpo,
            self.ipo,
            self.kto,
            self.rloo,
            self.grpo,
            self.reinforce,
            self.rejection_sampling,
        ]


CONFIGS: dict[str, dict[str, Any]] = {
    "sft": {"num_epochs": 3, "learning_rate": 1e-3, "batch_size": 8, "save_every_steps": 2},
    "reward_model": {"learning_rate": 1e-3, "batch_size": 4, "save_every_steps": 2},
    "ppo": {
        "num_steps": 5,
        "batch_size": 12,
        "minibatch_size": 5,
        "num_epochs": 2,
        "max_new_tokens": 10,
        "learning_rate": 1e-3,
        "value_learning_rate": 1e-3,
        "save_every_steps": 2,
    },
    "evaluate": {"max_new_tokens": 10, "completions_per_prompt": 2},
    "sample": {"max_new_tokens": 10, "batch_rows": 8},
    "dpo": {"num_epochs": 2, "learning_rate": 1e-3, "batch_size": 12, "save_every_steps": 2},
    "ipo": {"num_epochs": 2, "learning_rate": 1e-3, "batch_size": 12, "save_every_steps": 2},
    "kto": {"num_epochs": 2, "learning_rate": 1e-3, "batch_size": 12, "save_every_steps": 2},
}

ONLINE = ("rloo", "grpo", "reinforce", "rejection_sampling")
_ONLINE = {"num_steps": 3, "batch_size": 12, "max_new_tokens": 10, "learning_rate": 1e-3}
CONFIGS |= {
    "rloo": _ONLINE | {"completions_per_prompt": 4, "save_every_steps": 2},
    "grpo": _ONLINE | {"completions_per_prompt": 3, "save_every_steps": 2},
    "reinforce": _ONLINE | {"save_every_steps": 2},
    "rejection_sampling": _ONLINE
    | {"batch_size": 24, "max_new_tokens": 40, "completions_per_prompt": 6, "learn_batch_size": 2},
}


def folder_for(method: str, folder: Path, chain: Chain, **config: Any) -> Path:
    """A fresh run folder of one method, reading the checkpoints of the chain."""
    sft, reward_model, ppo = (s / "output" for s in (chain.sft, chain.reward_model, chain.ppo))
    demonstrations = demonstration_records(24, 6)
    rankings = ranking_records(40, 10)
    prompts = prompt_records(20, 6)
    inputs = {
        "sft": {"init": chain.base},
        "reward_model": {"init": sft},
        "ppo": {"reference": sft, "reward_model": reward_model},
        "evaluate": {"policy": ppo, "reference": sft, "reward_model": reward_model},
        "sample": {"policy": ppo},
        "dpo": {"reference": sft},
        "ipo": {"reference": sft},
        "kto": {"reference": sft},
        **{name: {"reference": sft, "reward_model": reward_model} for name in ONLINE},
    }
    data = {
        "sft": {"demonstrations": demonstrations},
        "reward_model": {"demonstrations": demonstrations, "rankings": rankings},
        "ppo": {"prompts": prompts},
        "evaluate": {"prompts": prompts, "rankings": rankings},
        "sample": {"prompts": prompts},
        "dpo": {"rankings": rankings},
        "ipo": {"rankings": rankings},
        "kto": {"ratings": rating_records(42, 7)},
        **{name: {"prompts": prompts} for name in ONLINE},
    }
    return run_folder_make(folder, method, CONFIGS[method] | config, inputs[method], data[method])


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    root = tmp_path_factory.mktemp("chain")
    names = ("sft", "reward_model", "ppo", "evaluate", "sample", "dpo", "ipo", "kto")
    names += ONLINE
    made = Chain(tiny_checkpoint(root / "base"), *(root / name for name in names))
    for name in names:
        folder = folder_for(name, root / name, made)
        assert run_folder(name, str(folder)) == 0, (folder / "error.json").read_text()
    return made


def result_read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def metrics_read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """metrics.jsonl as {name: [(step, value), ...]}."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, value in row["metrics"].items():
            curves.setdefault(name, []).append((row["step"], value))
    return curves
