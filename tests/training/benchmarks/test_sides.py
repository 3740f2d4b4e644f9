"""Our side end to end on a tiny model, and the evaluation both sides share."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from training.benchmarks import ours, side, tasks
from training.benchmarks.evaluation import (
    completion_logprobs,
    demonstration_loss,
    ordered_alike,
    pair_accuracy,
    policy_report,
    reward_scores,
)
from training.benchmarks.measure import Clock, result_parse
from training.benchmarks.workload import (
    checkpoint_make,
    completion_ids,
    data_write,
    jsonl_read,
    prompt_ids,
)

SHORT = {"model": "tiny", "prompt_words": (6, 9), "completion_words": (3, 6), "num_held_out": 6}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "tiny"
    checkpoint_make("tiny", folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint)


def test_our_side_prints_what_the_driver_needs(checkpoint, tmp_path, monkeypatch, capsys):
    task = replace(tasks.TASKS["dpo"], **SHORT, batch=4, num_steps=3)
    monkeypatch.setitem(side.TASKS, task.name, task)
    data_write(task, tmp_path / "data")
    (tmp_path / "scratch").mkdir()
    spec = side.Spec(
        task=task.name, smoke=False, seed=1, data=str(tmp_path / "data"), model=str(checkpoint),
        reward_model="", scratch=str(tmp_path / "scratch"), threads=1, precision="fp32",
        trl_batch=0,
    )  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps(asdict(spec)))
    monkeypatch.setattr("sys.argv", ["ours", str(tmp_path / "spec.json")])
    # the clock replaces two methods of RunDir; put them back afterwards
    for name in ("metrics_write", "progress_write"):
        monkeypatch.setattr(ours.RunDir, name, getattr(ours.RunDir, name))
    ours.main()
    result = result_parse(capsys.readouterr().out)
    assert result is not None
    assert result["steps"] == 2
    assert result["units"] == 8  # pairs of the two timed steps
    assert result["prepare_seconds"] > 0  # the reference's log-probabilities
    assert result["seconds"] == pytest.approx(sum(result["step_seconds"]))
    assert result["peak_mib"] >= result["loaded_mib"] > 0
    assert 0 <= result["quality"]["held_out_accuracy"] <= 1


def test_config_of_an_online_method_has_the_tasks_sizes():
    task = tasks.TASKS["ppo"]
    config = ours.config_of(task)
    assert config["num_steps"] == task.num_steps
    assert config["num_epochs"] == task.trl["num_ppo_epochs"]
    assert config["kl_coefficient"] == task.trl["kl_coef"]


def test_pairs_ordered_alike_leave_ties_of_the_ranking_out():
    # pairs (0, 1), (0, 2); 1 and 2 are tied. 3 > 1 is right, 3 = 3 counts half
    assert ordered_alike([3.0, 1.0, 3.0], [1, 2, 2]) == (1.5, 2)


def test_logprobs_are_those_of_one_sequence_at_a_time(checkpoint, tokenizer):
    (model,) = side.evaluation_models(str(checkpoint))
    prompts, completions = [[5, 6, 7], [8, 9]], [[10, 1], [11, 12, 13, 1]]
    got = completion_logprobs(model, prompts, completions, tokenizer.pad_token_id)
    for prompt, completion, value in zip(prompts, completions, got, strict=True):
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]
        logprobs = torch.log_softmax(logits, dim=-1)
        first = len(prompt) - 1
        expected = sum(logprobs[first + t, token].item() for t, token in enumerate(completion))
        assert value == pytest.approx(expected, abs=1e-4)


def test_demonstration_loss_is_per_completion_token(checkpoint, tokenizer, tmp_path):
    task = replace(tasks.TASKS["sft"], **SHORT, batch=2, num_steps=2)
    data_write(task, tmp_path)
    records = jsonl_read(tmp_path / "held_out.jsonl")
    (model,) = side.evaluation_models(str(checkpoint))
    prompts = [prompt_ids(tokenizer, record) for record in records]
    completions = [completion_ids(tokenizer, record["completion"]) for record in records]
    sums = completion_logprobs(model, prompts, completions, tokenizer.pad_token_id)
    expected = -sum(sums) / sum(map(len, completions))
    assert demonstration_loss(model, tokenizer, records) == pytest.approx(expected)


def test_a_policy_that_did_not_move_has_no_kl(checkpoint, tokenizer, tmp_path):
    task = replace(tasks.TASKS["ppo"], **SHORT, batch=2, num_steps=2)
    data_write(task, tmp_path)
    records = jsonl_read(tmp_path / "held_out.jsonl")
    policy, reference = side.evaluation_models(str(checkpoint), str(checkpoint))
    reward_model = side.reward_model_plain(str(checkpoint))
    report = policy_report(policy, reference, reward_model, tokenizer, records, 5)
    assert report["kl_to_reference"] == pytest.approx(0.0, abs=1e-4)
    assert 1 <= report["length_tokens"] <= 5


def test_pair_accuracy_reads_the_score_at_the_last_token(checkpoint, tokenizer, tmp_path):
    task = replace(tasks.TASKS["reward_model_k4"], **SHORT, batch=2, num_steps=2)
    data_write(task, tmp_path)
    records = jsonl_read(tmp_path / "held_out.jsonl")
    model = side.reward_model_plain(str(checkpoint))
    for record in records:  # relabel by the model's own scores, one sequence at a time
        prompt = prompt_ids(tokenizer, record)
        rows = [prompt + completion_ids(tokenizer, text) for text in record["completions"]]
        scores = [reward_scores(model, [row], tokenizer.pad_token_id)[0] for row in rows]
        record["ranks"] = [1 + sum(other > own for other in scores) for own in scores]
    assert pair_accuracy(model, tokenizer, records) == 1.0


def test_a_step_of_the_clock_without_proc_still_has_a_peak(monkeypatch):
    monkeypatch.setattr("training.benchmarks.measure._status_mib", lambda name: 0.0)
    clock = Clock()
    clock.mark()
    assert clock.peak_mib > 0
