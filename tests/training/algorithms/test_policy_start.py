"""A policy may go on from an earlier one; the KL is still to the reference."""

import json
from pathlib import Path

import pytest

from tests.training.algorithms.conftest import Chain, folder_for, metrics_read
from training.algorithms.entry import run_folder

METHOD = "reinforce"


def first_k3(folder: Path) -> float:
    """KL of the first rollout, before anything is learned here; k3 is never negative."""
    return metrics_read(folder)["policy/kl_to_reference_k3"][0][1]


def folder_from(chain: Chain, path: Path, start: Path | None, **config: object) -> Path:
    """A run of one step that begins from `start`, or as the reference."""
    folder = folder_for(METHOD, path, chain, num_steps=1, **config)
    if start is not None:
        document = json.loads((folder / "run.json").read_text())
        document["inputs"]["start"] = str(start)
        document["config"]["start"] = "policy"
        (folder / "run.json").write_text(json.dumps(document))
    assert run_folder(METHOD, str(folder)) == 0
    return folder


def test_a_policy_that_goes_on_has_left_the_reference_already(chain: Chain, tmp_path: Path) -> None:
    assert first_k3(folder_from(chain, tmp_path / "fresh", None)) == pytest.approx(0.0, abs=1e-5)
    assert first_k3(folder_from(chain, tmp_path / "on", chain.ppo / "output")) > 0.001


def test_going_on_from_the_reference_itself_changes_nothing(chain: Chain, tmp_path: Path) -> None:
    fresh = folder_from(chain, tmp_path / "fresh", None)
    same = folder_from(chain, tmp_path / "same", chain.sft / "output")
    weights = "output/model.safetensors"
    assert (fresh / weights).read_bytes() == (same / weights).read_bytes()


def test_with_an_adapter_the_kl_is_to_the_reference_too(chain: Chain, tmp_path: Path) -> None:
    # An adapter begins as no change: switched off it would be the earlier policy, and the KL 0.
    folder = folder_from(chain, tmp_path / "on", chain.ppo / "output", lora_rank=2)
    assert first_k3(folder) > 0.001
