"""Policies compared: by arithmetic on given scores, then in runs of the tiny chain."""

import itertools
import json
import math
from statistics import fmean, stdev

import pytest
import torch

from tests.tiny import prompt_records, ranking_records, run_folder_make, tiny_model
from tests.training.algorithms.conftest import metrics_read, result_read
from tests.training.algorithms.test_resume import _Death, _die_at, _outcome
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.evaluate import loop
from training.algorithms.evaluate.answers import retention_loss, texts_within
from training.algorithms.evaluate.comparison import (
    Measures,
    best_of_n_curve,
    chosen_role,
    comparison_metrics,
    entry,
    gain_gap_metrics,
)
from training.algorithms.formulas.selection import expected_value_of_best


def _measures(role, proxy=None, test=None, kl=(0.0, 0.0), loss=None):
    return Measures(role, proxy, test, list(kl), 5.0, 1.0, loss)


REFERENCE = _measures("reference", [0.0, 2.0], [1.0, 1.0], loss=3.0)


# ---- arithmetic


def test_gains_are_paired_by_prompt():
    row = entry(_measures("candidate_000010", [1.0, 5.0], [4.0, 1.0], [2.0, 4.0]), REFERENCE)
    assert (row["role"], row["step"]) == ("candidate_000010", 10)
    assert (row["proxy"], row["proxy_error"]) == (3.0, 2.0)  # 1, 5: deviation sqrt 8, over sqrt 2
    assert (row["proxy_gain"], row["proxy_gain_error"]) == (2.0, 1.0)  # 1, 3
    assert [row["test_gain"], row["test_gain_error"]] == pytest.approx([1.5, 1.5])  # 3, 0
    assert (row["kl"], row["kl_error"]) == (3.0, 1.0)
    own = entry(REFERENCE, REFERENCE)
    assert (own["test_gain"], own["test_gain_error"], own["kl"], own["step"]) == (0, 0, 0, None)


def test_what_was_not_measured_is_null_in_data_and_absent_from_metrics():
    bare, reference = _measures("policy"), _measures("reference")
    row = entry(bare, reference)
    names = ("proxy", "proxy_gain", "proxy_gain_error", "test", "test_gain", "retention_loss")
    assert [row[name] for name in names] == [None] * 6
    metrics = comparison_metrics(bare, reference, bare)
    assert not [name for name in metrics if "reward" in name or "gain" in name or "loss" in name]
    assert gain_gap_metrics(bare, reference, [1.0, 2.0], [1.0, 2.0]) == {}


def test_the_candidate_that_the_test_reward_model_likes_best_is_chosen():
    first = _measures("candidate_000010", [1.0, 1.0], [2.0, 3.0], [1.0, 1.0])
    last = _measures("policy", [9.0, 9.0], [2.0, 2.0], [5.0, 5.0])
    assert chosen_role([first, last]) == "candidate_000010"
    tied = _measures("policy", [9.0, 9.0], [3.0, 2.0], [0.5, 0.5])
    assert chosen_role([first, tied]) == "policy"  # 2.5 both, at half the KL
    unjudged = [_measures("candidate_000010", [5.0, 5.0]), _measures("policy", [1.0, 1.0])]
    assert chosen_role(unjudged) == "policy"


def test_metrics_are_those_of_the_chosen_one():
    chosen = _measures("candidate_000010", [1.0, 5.0], [4.0, 1.0], [2.0, 4.0], loss=3.5)
    previous = _measures("previous", [0.0, 0.0], [2.0, 1.0])
    metrics = comparison_metrics(chosen, REFERENCE, previous)
    assert metrics["evaluate/chosen_step"] == 10
    assert metrics["evaluate/proxy_gain"] == metrics["evaluate/reward_gain"] == 2.0
    assert metrics["evaluate/reward_win_share"] == 1.0
    assert metrics["evaluate/test_gain"] == 1.5
    assert metrics["evaluate/test_gain_error"] == pytest.approx(1.5)
    # 4 - 2 and 1 - 1
    assert metrics["evaluate/gain_over_previous"] == 1.0
    assert metrics["evaluate/gain_over_previous_error"] == pytest.approx(1.0)
    assert metrics["evaluate/retention_loss_policy"] == 3.5
    assert metrics["evaluate/retention_loss_reference"] == 3.0


def test_the_gain_gap_is_in_standard_deviations_of_the_references_scores():
    policy = _measures("policy", [4.0, 8.0], [2.0, 2.0])
    # Gains 4 and 6, 1 and 1. Scores 0, 4 deviate by sqrt 8, scores 10, 12 by sqrt 2.
    metrics = gain_gap_metrics(policy, REFERENCE, [0.0, 4.0], [10.0, 12.0])
    gaps = [4 / math.sqrt(8) - 1 / math.sqrt(2), 6 / math.sqrt(8) - 1 / math.sqrt(2)]
    assert metrics["evaluate/gain_gap"] == pytest.approx(fmean(gaps))
    assert metrics["evaluate/gain_gap_error"] == pytest.approx(stdev(gaps) / math.sqrt(2))
    assert gain_gap_metrics(policy, REFERENCE, [1.0, 1.0], [10.0, 12.0]) == {}
    # A reward model in other units gains in other units, too: the gap stays.
    scaled = _measures("policy", [40.0, 80.0], [2.0, 2.0])
    reference = _measures("reference", [0.0, 20.0], [1.0, 1.0])
    assert gain_gap_metrics(scaled, reference, [0.0, 40.0], [10.0, 12.0]) == pytest.approx(metrics)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_the_value_of_the_best_is_its_mean_over_all_subsets(m):
    scores, values = [0.3, -1.0, 2.5, 7.0, -4.0], [10.0, 20.0, 30.0, 40.0, 50.0]
    pairs = list(zip(scores, values, strict=True))
    best = [max(subset)[1] for subset in itertools.combinations(pairs, m)]
    assert expected_value_of_best(scores, values, m) == pytest.approx(fmean(best))


def test_the_best_of_n_curve_by_hand():
    # Prompt by prompt. Best of 2 by proxy: of all pairs of 0 1 2 the best is 1, 2, 2.
    curve = best_of_n_curve([0.0, 1.0, 2.0, 5.0, 5.0, 5.0], [9.0, 6.0, 3.0, 0.0, 0.0, 0.0], 3)
    assert [row["n"] for row in curve] == [1, 2]
    assert curve[0] == {"n": 1, "kl": 0.0, "proxy": 3.0, "test": 3.0}
    assert curve[1]["proxy"] == pytest.approx((5 / 3 + 5) / 2)
    assert curve[1]["test"] == pytest.approx(((6 + 3 + 3) / 3 + 0) / 2)
    assert curve[1]["kl"] == pytest.approx(math.log(2) - 0.5)
    assert best_of_n_curve([0.0, 1.0], None, 2)[1]["test"] is None


def test_texts_are_taken_in_order_up_to_the_tokens_allowed():
    texts = [[1] * 5, [2] * 4, [3] * 2]  # 4, 3 and 1 predicted tokens
    assert texts_within(texts, 8) == texts
    assert texts_within(texts, 7) == texts[:2]
    assert texts_within(texts, 6) == texts[:1]
    assert texts_within(texts, 1) == texts[:1]
    assert texts_within([], 9) == []
    assert texts_within([[257], [1] * 3], 9) == [[1] * 3]


def test_the_retention_loss_is_the_mean_over_tokens_of_all_texts():
    model, texts = tiny_model(), [[65, 66, 67, 257], [70, 257], [71, 72, 73, 74, 75, 257]]
    total, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([text])
        with torch.no_grad():  # transformers' own shifted loss, a mean over the text's tokens
            total += float(model(input_ids=ids, labels=ids).loss) * (len(text) - 1)
        count += len(text) - 1
    assert retention_loss(model, texts, 256) == pytest.approx(total / count, abs=1e-5)
    assert retention_loss(model, [], 256) is None


# ---- runs


TEXTS = [{"text": "the quick brown fox " + "jumps " * count} for count in range(4)]


def _folder(folder, inputs, **config):
    config = {"max_new_tokens": 10, "completions_per_prompt": 2} | config
    data = {
        "prompts": prompt_records(20, 6),
        "rankings": ranking_records(40, 10),
        "texts": TEXTS,
    }
    return run_folder_make(folder, "evaluate", config, inputs, data)


@pytest.fixture(scope="module")
def inputs(chain):
    """Two reward models, the policy in use, and three candidates: the reference, RLOO's, PPO's."""
    rloo = chain.rloo / "output"
    return {
        "policy": chain.ppo / "output",
        "candidate_000010": rloo,
        "candidate_000002": chain.sft / "output",
        "reference": chain.sft / "output",
        "previous": rloo,
        "reward_model": chain.reward_model / "output",
        "test_reward_model": chain.reward_model / "output",
    }


@pytest.fixture(scope="module")
def compared(tmp_path_factory, inputs):
    folder = _folder(tmp_path_factory.mktemp("evaluate") / "run", inputs)
    assert run_folder("evaluate", str(folder)) == 0, (folder / "error.json").read_text()
    return folder


def test_a_run_compares_every_candidate(compared):
    data = result_read(compared)["data"]
    rows = {row["role"]: row for row in data["candidates"]}
    assert list(rows) == ["candidate_000002", "candidate_000010", "policy"]
    assert [row["step"] for row in rows.values()] == [2, 10, None]
    best = max(rows.values(), key=lambda row: (row["test"], -row["kl"]))
    assert data["chosen"] == best["role"]
    # The first candidate is the reference: the same seeds make the same answers.
    own = rows["candidate_000002"]
    for name in ("proxy_gain", "proxy_gain_error", "test_gain", "kl", "kl_error"):
        assert own[name] == 0.0
    for name in ("proxy", "length_tokens", "finished_share", "retention_loss"):
        assert own[name] == data["reference"][name]
    assert data["previous"] | {"role": 0} == rows["candidate_000010"] | {"role": 0, "step": None}
    assert rows["policy"]["kl"] != 0
    assert rows["policy"]["retention_loss"] != own["retention_loss"]
    assert data["num_texts"] == 4
    assert [row["n"] for row in data["best_of_n"]] == [1, 2]
    assert data["best_of_n"][0]["proxy"] == pytest.approx(data["reference"]["proxy"])


def test_the_metrics_speak_of_the_chosen_one(compared):
    result = result_read(compared)
    metrics, data = result["metrics"], result["data"]
    row = next(row for row in data["candidates"] if row["role"] == data["chosen"])
    pairs = {
        "reward_policy": "proxy", "proxy_gain": "proxy_gain", "test_gain": "test_gain",
        "test_gain_error": "test_gain_error", "kl_to_reference": "kl",
        "length_tokens_policy": "length_tokens", "retention_loss_policy": "retention_loss",
    }  # fmt: skip
    for name, column in pairs.items():
        assert metrics[f"evaluate/{name}"] == row[column]
    # One reward model in both roles: what it sees is no gap.
    assert metrics["evaluate/gain_gap"] == pytest.approx(0.0, abs=1e-9)
    gain = row["test"] - data["previous"]["test"]
    assert metrics["evaluate/gain_over_previous"] == pytest.approx(gain, abs=1e-9)
    assert metrics["evaluate/pair_accuracy"] > 0
    assert {name for name in metrics_read(compared) if name.startswith("evaluate/")} == set(metrics)


def test_samples_are_those_of_the_chosen_the_reference_and_the_policy_in_use(compared):
    lines = [json.loads(line) for line in (compared / "samples.jsonl").read_text().splitlines()]
    chosen = result_read(compared)["data"]["chosen"]
    expected = [chosen] * 12 + ["reference"] * 12 + ["previous"] * 12
    assert [line["role"] for line in lines] == expected
    assert [line["index"] for line in lines] == list(range(36))
    seeds = [[line["seed"] for line in lines[start : start + 12]] for start in (0, 12, 24)]
    assert seeds[0] == seeds[1] == seeds[2]
    assert len(set(seeds[0])) == 12


def test_more_samples_of_the_reference_lengthen_the_curve_alone(tmp_path, inputs, compared):
    folder = _folder(tmp_path / "run", inputs, best_of_n=5)
    assert run_folder("evaluate", str(folder)) == 0
    ours, theirs = result_read(folder), result_read(compared)
    assert [row["n"] for row in ours["data"]["best_of_n"]] == [1, 2, 4]
    proxies = [row["proxy"] for row in ours["data"]["best_of_n"]]
    assert proxies == sorted(proxies)
    for row, other in zip(ours["data"]["candidates"], theirs["data"]["candidates"], strict=True):
        assert row == pytest.approx(other, abs=1e-4)
    assert (folder / "samples.jsonl").read_bytes() == (compared / "samples.jsonl").read_bytes()


def test_without_reward_models_the_policies_are_still_measured(tmp_path, inputs):
    roles = ("policy", "candidate_000010", "reference")
    folder = _folder(tmp_path / "run", {role: inputs[role] for role in roles})
    assert run_folder("evaluate", str(folder)) == 0
    result = result_read(folder)
    assert result["data"]["chosen"] == "policy"
    assert result["data"]["best_of_n"] == []
    assert "previous" not in result["data"]
    assert [row["proxy"] for row in result["data"]["candidates"]] == [None, None]
    names = {name.removeprefix("evaluate/") for name in result["metrics"]}
    assert names == {
        "num_prompts", "kl_to_reference", "kl_to_reference_error", "length_tokens_policy",
        "length_tokens_reference", "finished_share_policy", "finished_share_reference",
        "retention_loss_policy", "retention_loss_reference",
    }  # fmt: skip


def test_rankings_alone_say_nothing_without_a_reward_model(tmp_path, inputs):
    roles = ("policy", "reference")
    folder = _folder(tmp_path / "run", {role: inputs[role] for role in roles})
    (folder / "data" / "prompts.jsonl").unlink()
    assert run_folder("evaluate", str(folder)) == EXIT_EXPECTED
    assert json.loads((folder / "error.json").read_text())["code"] == "data_too_small"


@pytest.mark.parametrize("number", [1, 4, 6])
def test_a_killed_evaluation_goes_on_with_the_next_model(
    tmp_path, inputs, compared, monkeypatch, number
):
    folder = _folder(tmp_path / "run", inputs)
    with monkeypatch.context() as patch:
        _die_at(patch, "progress_write", number)
        with pytest.raises(_Death):
            run_folder("evaluate", str(folder))
    loaded = []
    for name in ("policy_load", "reward_model_load"):
        load = getattr(loop, name)
        monkeypatch.setattr(
            loop, name, lambda *args, load=load: (loaded.append(args[0]), load(*args))[1]
        )
    assert run_folder("evaluate", str(folder)) == 0
    assert len(loaded) == 7 - number  # of 5 policies and 2 reward models
    assert _outcome(folder) == _outcome(compared)
