"""The checkpoints a run keeps along its way: at which steps, with which weights, across a kill."""

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny import tiny_model, tiny_tokenizer
from tests.training.algorithms.conftest import folder_for, learner, result_read
from tests.training.algorithms.test_learner import learn, logits
from tests.training.algorithms.test_processes import two_processes
from tests.training.algorithms.test_resume import _Death, _die_at
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.engine.training_loop import candidate_steps
from training.algorithms.entry import run_folder
from training.algorithms.models.checkpoint_io import policy_load
from training.algorithms.ppo import PPOConfig
from training.algorithms.run_dir import RunDir


def _bytes(folder):
    """Every file of the kept checkpoints and the output, by path."""
    paths = [p for name in ("candidates", "output") for p in (folder / name).rglob("*")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.is_file()}


@pytest.mark.parametrize(
    ("num_steps", "count", "expected"),
    [
        (40, 1, [40]),
        (40, 4, [10, 20, 30, 40]),
        (10, 3, [3, 6, 10]),  # 10/3, 20/3, 10, cut to whole steps
        (3, 5, [1, 2, 3]),  # 3/5 gives no step
        (1, 9, [1]),
    ],
)
def test_candidates_are_evenly_spaced(num_steps, count, expected):
    assert candidate_steps(num_steps, count) == expected


def test_a_run_keeps_at_least_its_last_checkpoint():
    with pytest.raises(ConfigError, match="num_candidates = 0"):
        config_resolve(PPOConfig, {"num_candidates": 0})


def test_a_candidate_is_what_a_shorter_run_ends_with(tmp_path, chain):
    """Without warm-up DPO's rate is constant, so one epoch is the first half of two."""
    options = {"warmup_share": 0.0, "num_candidates": 2}
    longer = folder_for("dpo", tmp_path / "longer", chain, num_epochs=2, **options)
    shorter = folder_for("dpo", tmp_path / "shorter", chain, num_epochs=1, **options)
    assert run_folder("dpo", str(longer)) == 0
    assert run_folder("dpo", str(shorter)) == 0
    # 30 training rankings in batches of 12: 3 steps an epoch
    assert result_read(longer)["data"]["candidates"] == [
        {"step": 3, "folder": "candidates/000003"},
        {"step": 6, "folder": "output"},
    ]
    kept = {p.name: p.read_bytes() for p in (longer / "candidates/000003").iterdir()}
    assert kept == {p.name: p.read_bytes() for p in (shorter / "output").iterdir()}
    assert kept["model.safetensors"] != (longer / "output/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("method", "steps"),
    [("ppo", [2, 5]), ("rloo", [1, 3]), ("grpo", [1, 3]), ("reinforce", [1, 3]),
     ("rejection_sampling", [1, 3]), ("ipo", [3, 6]), ("kto", [3, 6])],
)  # fmt: skip
def test_every_method_keeps_what_it_had_at_that_step(tmp_path, chain, monkeypatch, method, steps):
    folder = folder_for(method, tmp_path / "run", chain, num_candidates=2, save_every_steps=1)
    states, save = {}, RunDir.state_save

    def saving(run_dir, write):
        save(run_dir, write)
        state = torch.load(run_dir.state_path() / "state.pt", weights_only=True)
        states[state["done"]] = state["learners"]["policy"]["model"]

    monkeypatch.setattr(RunDir, "state_save", saving)
    assert run_folder(method, str(folder)) == 0
    assert [c["step"] for c in result_read(folder)["data"]["candidates"]] == steps
    assert [path.name for path in (folder / "candidates").iterdir()] == [f"{steps[0]:06d}"]
    kept = load_file(folder / "candidates" / f"{steps[0]:06d}" / "model.safetensors")
    for name, tensor in kept.items():
        assert torch.equal(tensor, states[steps[0]][f"model.{name}"]), name
    # Keeping changes nothing else: the end is that of the chain's run, which kept none.
    without = (getattr(chain, method) / "output/model.safetensors").read_bytes()
    assert (folder / "output/model.safetensors").read_bytes() == without


@pytest.mark.parametrize(
    ("where", "number"),
    [("candidate_save", 1), ("candidate_save", 2), ("state_save", 1), ("progress_write", 4),
     ("output_save", 1)],
)  # fmt: skip
def test_death_anywhere_leaves_the_same_candidates(tmp_path, chain, monkeypatch, where, number):
    folders = [
        folder_for("rloo", tmp_path / name, chain, num_steps=4, num_candidates=3)
        for name in ("undisturbed", "killed")
    ]
    with monkeypatch.context() as patch:
        _die_at(patch, where, number)
        with pytest.raises(_Death):
            run_folder("rloo", str(folders[1]))
    for folder in folders:
        assert run_folder("rloo", str(folder)) == 0
    undisturbed, killed = map(_bytes, folders)
    assert killed == undisturbed
    assert {name.split("/")[1] for name in killed if name.startswith("can")} == {"000001", "000002"}


def test_death_within_writing_leaves_no_half_candidate(tmp_path, chain, monkeypatch):
    folder = folder_for("rloo", tmp_path / "run", chain, num_candidates=3)

    def die(*args):
        raise _Death

    with monkeypatch.context() as patch:
        patch.setattr("training.algorithms.run_dir._sync_files", die)
        with pytest.raises(_Death):
            run_folder("rloo", str(folder))
    assert [path.name for path in (folder / "candidates").iterdir()] == ["000001.new"]
    assert run_folder("rloo", str(folder)) == 0
    assert sorted(path.name for path in (folder / "candidates").iterdir()) == ["000001", "000002"]


def test_an_adapter_is_merged_into_a_candidate_and_trained_on(tmp_path):
    ours, undisturbed = (learner(tiny_model(), lora_rank=2) for _ in range(2))
    for each in (ours, undisturbed):
        learn(each)
    ours.save(tiny_tokenizer(), tmp_path)
    kept = policy_load(str(tmp_path), tiny_tokenizer())
    torch.testing.assert_close(logits(kept), ours.read(logits), atol=1e-5, rtol=1e-5)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    for each in (ours, undisturbed):
        learn(each)
    assert torch.equal(ours.read(logits), undisturbed.read(logits))
    assert not torch.allclose(logits(kept), ours.read(logits), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_keep_what_one_keeps(tmp_path, chain, sharding):
    alone, folder = (
        folder_for("rloo", tmp_path / name, chain, num_candidates=3, micro_batch_tokens=96)
        for name in ("alone", "two")
    )
    assert run_folder("rloo", str(alone)) == 0
    process = two_processes("rloo", folder, sharding=sharding)
    assert process.wait(timeout=120) == 0, (folder / "stderr.log").read_text()[-3000:]
    assert _bytes(folder).keys() == _bytes(alone).keys()
    for name in ("candidates/000001", "candidates/000002", "output"):
        ours, theirs = (load_file(f / name / "model.safetensors") for f in (folder, alone))
        assert ours.keys() == theirs.keys()
        for key, tensor in theirs.items():
            torch.testing.assert_close(ours[key], tensor, atol=2e-4, rtol=2e-3)
