"""Reward model runs on the tiny model: what they learn, fix, refuse and leave behind."""

import json
import math

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.tiny import (
    demonstration_records,
    ranking_records,
    run_folder_make,
    tiny_checkpoint,
)
from tests.training.algorithms.conftest import learner, metrics_read, result_read
from tests.training.algorithms.test_encoder_decoder import t5_make
from tests.training.algorithms.test_resume import _Death, _die_at
from training.algorithms.data.encoding import demonstrations_encode, rankings_encode
from training.algorithms.entry import run_folder
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.measuring.ensemble import ensemble_load
from training.algorithms.measuring.scoring import (
    batch_scores,
    ranking_report,
    ranking_scores,
    scores,
)
from training.algorithms.models.checkpoint_io import reward_model_load, tokenizer_load
from training.algorithms.models.scalar_model import sequence_scores
from training.algorithms.records import RankedCompletions
from training.algorithms.reward_model import RewardModelConfig
from training.algorithms.reward_model.gauge import gauge_of
from training.algorithms.reward_model.loop import batch_learn
from training.algorithms.reward_model.objective import (
    adam_scalar,
    judgements_compare,
    objective_make,
)
from training.algorithms.run_dir import RunDir


def _loaded(folder):
    output = str(folder / "output")
    tokenizer = tokenizer_load(output)
    return reward_model_load(output, tokenizer), tokenizer


def _gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def _objective(rankings=(), **config):
    return objective_make(RewardModelConfig(**config), rankings, judgements_compare(rankings))


def _rankings():
    shapes = [(2, [1, 2]), (4, [2, 1, 1, 3]), (3, [3, 2, 1])]
    return [
        RankedCompletions(n, [65] * 9 * n, [[70 + s] * (1 + s + n) for s in range(k)], ranks)
        for n, (k, ranks) in enumerate(shapes, start=1)
    ]


def _folder(base, folder, config, rankings=None, num_demonstrations=12):
    return run_folder_make(
        folder,
        "reward_model",
        {"learning_rate": 1e-3, "batch_size": 4, "min_train_rankings": 4} | config,
        {"init": base},
        {
            "rankings": ranking_records(12, 4) if rankings is None else rankings,
            "demonstrations": demonstration_records(num_demonstrations, num_demonstrations // 4),
        },
    )


def _run(base, folder, config, rankings=None, num_demonstrations=12):
    folder = _folder(base, folder, config, rankings, num_demonstrations)
    assert run_folder("reward_model", str(folder)) == 0, (folder / "error.json").read_text()
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, base):
    """The folder of a finished run on 30 rankings, 10 more held out."""
    folder = tmp_path_factory.mktemp("reward") / "run"
    return _run(base, folder, {"save_every_steps": 2}, ranking_records(40, 10))


# ---- what a run does


def test_it_learns_the_ranking(trained):
    metrics = result_read(trained)["metrics"]
    assert metrics["reward_model/held_out_num_rankings"] == 10
    assert metrics["reward_model/held_out_accuracy"] > 0.7
    assert metrics["reward_model/held_out_brier"] < 0.25


def test_the_result_holds_the_calibration_of_the_held_out_pairs(trained):
    result = result_read(trained)
    report, metrics = result["data"]["calibration"], result["metrics"]
    assert report["num_pairs"] == metrics["reward_model/held_out_num_pairs"]
    assert report["accuracy"] == pytest.approx(metrics["reward_model/held_out_accuracy"])
    assert report["brier"] == pytest.approx(metrics["reward_model/held_out_brier"])
    assert sum(row["num_pairs"] for row in report["reliability"]) == 2 * report["num_pairs"]
    assert report["low"] < report["accuracy"] < report["high"]


def test_too_few_rankings_are_refused_before_training(tmp_path, base):
    folder = _folder(base, tmp_path / "run", {"min_train_rankings": 31}, ranking_records(40, 10))
    assert run_folder("reward_model", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "data_too_small"
    assert error["extra"] == {"what": "training rankings", "have": 30, "need": 31}
    assert not (folder / "progress.json").exists()
    assert set(metrics_read(folder)) >= {"data/rankings_too_long", "data/rankings_contradictory"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("label_smoothing", 0.5), ("ties", "win"), ("num_heads", 1), ("margin_scale", -1.0),
     ("gauge_samples", 1), ("tie_learning_rate", 0.0)],
)  # fmt: skip
def test_impossible_values_are_refused(tmp_path, base, field, value):
    folder = _folder(base, tmp_path / "run", {field: value})
    assert run_folder("reward_model", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text())["extra"]["field"] == field


@pytest.mark.parametrize("dies", [("progress_write", 3), ("output_save", 1)])
def test_a_killed_run_with_every_option_ends_in_the_same_bytes(tmp_path, base, monkeypatch, dies):
    config = {
        "ties": "davidson", "strength": "margin", "label_smoothing": 0.1, "lora_rank": 2,
        "num_heads": 2, "num_epochs": 2, "save_every_steps": 2, "gauge": "reference",
        "gauge_samples": 4, "gauge_max_new_tokens": 4,
    }  # fmt: skip
    whole = _run(base, tmp_path / "whole", config)
    killed = _folder(base, tmp_path / "killed", config)
    with monkeypatch.context() as patch:
        _die_at(patch, *dies)
        with pytest.raises(_Death):
            run_folder("reward_model", str(killed))
    assert run_folder("reward_model", str(killed)) == 0
    names = ["metrics.jsonl", "result.json"] + [
        f"output/{name}"
        for name in ("model.safetensors", "config.json", "ensemble.safetensors", "ensemble.json")
    ]
    for name in [*names, "output/adapter/adapter_model.safetensors"]:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


# ---- the loss of a batch


@pytest.mark.parametrize("ties", ["half", "drop", "davidson"])
def test_micro_batches_and_order_do_not_change_the_gradient(trained, ties):
    model, _ = _loaded(trained)
    batch = _rankings()
    turned = [
        RankedCompletions(r.prompt_id, r.prompt_ids, r.completions[::-1], r.ranks[::-1])
        for r in reversed(batch)
    ]
    ways = [(10_000, batch), (1, batch), (10_000, turned)]
    results = []
    for max_tokens, rankings in ways:
        objective = _objective(ties=ties, micro_batch_tokens=max_tokens)
        sums = batch_learn(learner(model), rankings, objective, 256, 0.2)
        results.append((sums, _gradients(model)))
        model.zero_grad()
    (whole_sums, whole), *others = results
    for sums, gradients in others:
        assert sums == pytest.approx(whole_sums, abs=1e-6)
        for name, gradient in gradients.items():
            assert_close(gradient, whole[name], atol=1e-6, rtol=1e-4)


def test_scores_of_shared_prompts_equal_those_of_single_sequences(trained):
    model, _ = _loaded(trained)
    ranking = _rankings()[1]
    with torch.no_grad():
        together = batch_scores(model, [ranking], 256)
        for slot, completion in enumerate(ranking.completions):
            alone = sequence_scores(model, sequences_collate([ranking.prompt_ids], [completion], 0))
            assert_close(together[slot], alone[0], atol=1e-5, rtol=1e-5)


def test_the_batch_size_does_not_change_scores(trained):
    model, tokenizer = _loaded(trained)
    rankings = rankings_encode(tokenizer, ranking_records(20), 128).records
    few, many = (ranking_scores(model, rankings, 256, tokens) for tokens in (1, 10_000))
    assert_close(few, many, atol=1e-5, rtol=0)


def test_weights_are_relative_and_weigh_whole_rankings(trained):
    model, _ = _loaded(trained)
    first, second, third = _rankings()

    def loss(weights):
        batch = [
            RankedCompletions(r.prompt_id, r.prompt_ids, r.completions, r.ranks, weight=weight)
            for r, weight in zip((first, second, third), weights, strict=True)
        ]
        return batch_learn(learner(model), batch, _objective(), 256)["loss"]

    alone = [batch_learn(learner(model), [r], _objective(), 256)["loss"] for r in _rankings()]
    assert loss([1.0, 1.0, 1.0]) == pytest.approx(sum(alone) / 3, abs=1e-6)
    assert loss([0.3, 0.3, 0.3]) == pytest.approx(sum(alone) / 3, abs=1e-6)
    expected = (alone[0] + 2 * alone[1] + 5 * alone[2]) / 8
    assert loss([1.0, 2.0, 5.0]) == pytest.approx(expected, abs=1e-6)


def test_strength_weighs_or_sets_margins_only_when_asked(trained):
    model, _ = _loaded(trained)

    def batch(*strengths):
        return [
            RankedCompletions(r.prompt_id, r.prompt_ids, r.completions, r.ranks, strength=strength)
            for r, strength in zip(_rankings(), strengths, strict=True)
        ]

    def loss(rankings, **config):
        return batch_learn(learner(model), rankings, _objective(rankings, **config), 256)["loss"]

    plain = loss(batch(None, None, None))
    assert loss(batch(1.0, 2.0, 3.0)) == plain
    assert loss(batch(2.0, 2.0, 2.0), strength="weight") == pytest.approx(plain, abs=1e-6)
    assert loss(batch(None, None, None), strength="weight") == pytest.approx(plain, abs=1e-6)
    only_last = loss([_rankings()[2]])
    assert loss(batch(0.0, 0.0, 4.0), strength="weight") == pytest.approx(only_last, abs=1e-6)
    assert loss(batch(0.0, None, 0.0), strength="margin") == pytest.approx(plain, abs=1e-6)
    # a margin that no score comes near: every decided pair loses margin - lead; 2 of 3 rankings
    # have no tie, the other has one in six
    few, more = (
        loss(batch(100.0, 100.0, 100.0), strength="margin", margin_scale=s) for s in (1.0, 2.0)
    )
    assert more - few == pytest.approx(100 * (1 + 5 / 6 + 1) / 3, rel=1e-5)


def test_unknown_strengths_weigh_as_the_mean_of_the_known():
    r = _rankings()[0]
    known = RankedCompletions(1, r.prompt_ids, r.completions, r.ranks, strength=3.0)
    weak = RankedCompletions(1, r.prompt_ids, r.completions, r.ranks, strength=1.0)
    unknown = RankedCompletions(1, r.prompt_ids, r.completions, r.ranks, weight=0.5)
    objective = _objective([known, weak, unknown], strength="weight")
    assert [objective.weight(r) for r in (known, weak, unknown)] == [3.0, 1.0, 1.0]


# ---- label smoothing


def _judgement(ranks, completions=((1,), (2,)), prompt=(9,)):
    return RankedCompletions(0, list(prompt), [list(ids) for ids in completions], list(ranks))


def test_the_flip_rate_of_repeated_judgements():
    # (1) over (2) four times, once the other way round in the other order, one tie: of the 10 pairs
    # of judgements 4 disagree. 2 e (1 - e) = 0.4 at e = (1 - sqrt(0.2)) / 2
    judgements = [_judgement([1, 2])] * 4 + [_judgement([1, 2], ((2,), (1,))), _judgement([1, 1])]
    repeated = judgements_compare(judgements)
    assert (repeated.num_judgement_pairs, repeated.num_disagreements) == (10, 4)
    assert repeated.flip_rate == pytest.approx((1 - 0.2**0.5) / 2)
    assert 2 * repeated.flip_rate * (1 - repeated.flip_rate) == pytest.approx(0.4)


def test_other_prompts_and_other_completions_are_no_repetition():
    judgements = [
        _judgement([1, 2]),
        _judgement([2, 1], prompt=(8,)),
        _judgement([2, 1], ((1,), (3,))),
    ]
    assert judgements_compare(judgements).num_judgement_pairs == 0
    assert _objective(judgements, label_smoothing=None).label_smoothing == 0.0


def test_a_measured_flip_rate_stays_below_one_half():
    judgements = [_judgement([1, 2]), _judgement([2, 1])]
    assert judgements_compare(judgements).flip_rate == 0.5
    assert _objective(judgements, label_smoothing=None).label_smoothing == 0.4
    assert _objective(judgements, label_smoothing=0.1).label_smoothing == 0.1


def test_simulated_judges_get_their_flip_rate_back():
    generator = torch.Generator().manual_seed(1)
    judgements = []
    for prompt in range(400):
        for flipped in torch.rand(5, generator=generator) < 0.15:
            judgements.append(_judgement([2, 1] if flipped else [1, 2], prompt=(prompt,)))
    assert judgements_compare(judgements).flip_rate == pytest.approx(0.15, abs=0.02)


def test_a_run_measures_its_smoothing(tmp_path, base):
    rankings = ranking_records(12, 4)
    again = [dict(r, id=100 + r["id"], ranks=r["ranks"][::-1]) for r in rankings[:2]]
    folder = _run(base, tmp_path / "run", {"label_smoothing": None}, rankings + again)
    data = result_read(folder)["data"]
    assert data["num_repeated_judgements"] > data["num_disagreements"] > 0
    assert data["label_smoothing"] == pytest.approx(min(data["flip_rate"], 0.4))
    assert data["label_smoothing"] > 0


# ---- ties


def test_davidson_learns_how_often_ties_occur_and_keeps_it(tmp_path, base):
    rankings = ranking_records(16, 4)
    for record in rankings:  # people who tell two levels apart
        record["ranks"] = [1 if rank <= 2 else 2 for rank in record["ranks"]]
    config = {"ties": "davidson", "tie_learning_rate": 0.1, "num_epochs": 3}
    folder = _run(base, tmp_path / "run", config, rankings)
    values = [value for _, value in metrics_read(folder)["reward_model/tie_log_nu"]]
    # 12 training rankings of four completions, two at each level: 2 of 6 pairs tie;
    # half a tie of 24.5 / 73, and nu / (2 + nu) is that share
    share = 24.5 / 73
    assert values[0] == pytest.approx(math.log(2 * share / (1 - share)))
    stored = json.loads((folder / "output" / "config.json").read_text())["tie_log_nu"]
    assert stored != values[0]
    assert abs(stored - values[-1]) < 0.2  # two steps of at most about 0.1
    assert result_read(folder)["metrics"]["reward_model/held_out_loss"] > 0


def test_the_tie_parameter_converges_to_the_share_of_ties():
    # among equal scores 30 % ties: P(tie) = nu / (2 + nu), and the gradient is P(tie) - 0.3
    tie = {"value": 0.0}
    for _ in range(2000):
        nu = math.exp(tie["value"])
        tie = adam_scalar(tie, nu / (2 + nu) - 0.3, 0.01)
    assert math.exp(tie["value"]) == pytest.approx(0.6 / 0.7, rel=1e-3)


def test_the_tie_parameters_steps_are_adams():
    parameter = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([parameter], lr=0.03, eps=1e-5)
    tie = {"value": 0.5}
    for gradient in (0.3, -0.2, 0.25, 0.01):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        adam.step()
        tie = adam_scalar(tie, gradient, 0.03)
        assert tie["value"] == pytest.approx(parameter.item(), abs=1e-12)


def test_dropped_ties_leave_out_rankings_of_ties_only(tmp_path, base):
    rankings = ranking_records(12, 4)
    rankings[0]["ranks"] = [1, 1, 1, 1]
    folder = _run(base, tmp_path / "run", {"ties": "drop"}, rankings)
    result = result_read(folder)
    assert result["data"]["num_train_rankings"] == 7
    assert metrics_read(folder)["data/rankings_all_tied"] == [(0, 1)]
    config = {"ties": "drop", "min_train_rankings": 8}
    too_few = _folder(base, tmp_path / "too_few", config, rankings)
    assert run_folder("reward_model", str(too_few)) == 3
    extra = json.loads((too_few / "error.json").read_text())["extra"]
    assert (extra["have"], extra["need"]) == (7, 8)


# ---- the gauge


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("num_demonstrations", [12, 0])
def test_demonstrations_average_zero_after_reload(
    tmp_path, base, trained, num_demonstrations, lora_rank
):
    config = {"lora_rank": lora_rank}
    folder = _run(base, tmp_path / "run", config, num_demonstrations=num_demonstrations)
    said = result_read(folder)["data"]["reward_bias_from"]
    assert said == ("demonstrations" if num_demonstrations else "training_completions")
    run_dir = RunDir(folder)
    anchors = run_dir.records("demonstrations", "train") or [
        {"prompt": r["prompt"], "completion": text}
        for r in run_dir.records("rankings", "train")
        for text in r["completions"]
    ]
    model, tokenizer = _loaded(folder)
    encoded = demonstrations_encode(tokenizer, anchors, 128).records
    prompts = [record.prompt_ids for record in encoded]
    completions = [record.completion_ids for record in encoded]
    values = scores(model, prompts, completions, 256)
    assert values.mean().abs().item() < 1e-5
    assert values.std().item() > 1e-3
    assert (folder / "output" / "adapter").exists() == bool(lora_rank)
    # transformers alone, without this code: logit minus reward_bias
    plain = AutoModelForSequenceClassification.from_pretrained(folder / "output").eval()
    AutoTokenizer.from_pretrained(folder / "output")
    with torch.no_grad():
        for row in range(3):
            text = torch.tensor([prompts[row] + completions[row]])
            logit = plain(input_ids=text).logits.item()
            assert logit - plain.config.reward_bias == pytest.approx(values[row].item(), abs=1e-5)


def test_an_adapter_trains_the_head_too(tmp_path, base):
    config = {"lora_rank": 2, "num_epochs": 4, "learning_rate": 1e-2}
    folder = _run(base, tmp_path / "run", config, ranking_records(30))
    assert result_read(folder)["metrics"]["reward_model/train_accuracy"] > 0.7


def test_the_reference_gauge_has_mean_zero_and_variance_one_after_reload(
    tmp_path, base, monkeypatch
):
    from training.algorithms.reward_model import loop

    seen = []

    def anchors_make(*args):
        seen.append(original(*args))
        return seen[-1]

    original = loop.anchors_make
    monkeypatch.setattr(loop, "anchors_make", anchors_make)
    config = {"gauge": "reference", "gauge_samples": 20, "gauge_max_new_tokens": 8}
    folder = _run(base, tmp_path / "run", config)
    (anchors,) = seen
    assert (anchors.name, len(anchors.completions)) == ("reference", 20)
    assert all(ids[-1] == 257 and len(ids) <= 9 for ids in anchors.completions)
    assert len({tuple(prompt) for prompt in anchors.prompts}) == 8  # the training prompts in turn
    model, _ = _loaded(folder)
    values = scores(model, anchors.prompts, anchors.completions, 256)
    assert values.mean().item() == pytest.approx(0, abs=1e-5)
    assert values.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    # probabilities are those of the loss: the scale is undone before the logistic function
    data = result_read(folder)["data"]
    assert data["reward_scale"] != 1
    report = _held_out_report(folder)
    metrics = result_read(folder)["metrics"]
    assert report.brier == pytest.approx(metrics["reward_model/held_out_brier"], abs=1e-6)


def _held_out_report(folder):
    model, tokenizer = _loaded(folder)
    records = RunDir(folder).records("rankings", "held_out")
    rankings = rankings_encode(tokenizer, records, 128).records
    return ranking_report(ranking_scores(model, rankings, 256), rankings)


def test_an_encoder_decoder_model_cannot_be_its_own_reference(tmp_path):
    base = t5_make(tmp_path / "t5", "t5-v1.1")
    folder = _folder(base, tmp_path / "run", {"gauge": "reference"})
    assert run_folder("reward_model", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text())["code"] == "checkpoint_invalid"


def test_no_gauge_leaves_the_logit(tmp_path, base):
    folder = _run(base, tmp_path / "run", {"gauge": "none"})
    document = json.loads((folder / "output" / "config.json").read_text())
    assert (document["reward_bias"], document["reward_scale"]) == (0.0, 1.0)


def test_gauges_by_hand():
    # mean 2, variance ((-1)^2 + 0 + 1) / 3
    assert gauge_of(torch.tensor([1.0, 2.0, 3.0]), False) == (2.0, 1.0)
    assert gauge_of(torch.tensor([1.0, 2.0, 3.0]), True) == (2.0, pytest.approx(1.5**0.5))
    assert gauge_of(torch.tensor([2.0, 2.0]), True) == (2.0, 1.0)
    assert gauge_of(torch.tensor([]), False) == (0.0, 1.0)


# ---- the ensemble


def test_an_ensemble_is_saved_beside_the_model_and_reported(tmp_path, base, trained):
    folder = _run(base, tmp_path / "run", {"num_heads": 4, "head_hidden_size": 3})
    terciles = result_read(folder)["data"]["ensemble"]
    pairs = result_read(folder)["metrics"]["reward_model/held_out_num_pairs"]
    assert sum(row["num_pairs"] for row in terciles) == pairs
    assert ensemble_load(folder / "output").config.num_heads == 4
    AutoModelForSequenceClassification.from_pretrained(folder / "output")


# ---- reports


def test_a_ranking_report_by_hand():
    rankings = [
        RankedCompletions(1, [65], [[70], [71], [72]], [1, 2, 2]),  # two pairs and a tie
        RankedCompletions(2, [65], [[70], [71]], [2, 1]),
    ]
    rows = [torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.5, 0.5])]
    report = ranking_report(rows, rankings)
    # margins of the better one: 1 - 0 = 1 right, 1 - 2 = -1 wrong, 0.5 - 0.5 = 0 half
    assert (report.num_rankings, report.num_pairs, report.num_correct) == (2, 3, 1.5)
    assert report.accuracy == 0.5
    # (1 - s(1))^2 = 0.07232949, (1 - s(-1))^2 = 0.53444665, 0.25
    assert report.brier == pytest.approx((0.07232949 + 0.53444665 + 0.25) / 3, abs=1e-6)
    # -log s: 0.31326169 and 1.31326169; a tie apart by 2: half of 0.12692801 + 2.12692801; log 2
    half = ((0.31326169 + 1.31326169 + 1.12692801) / 3 + 0.69314718) / 2
    assert report.loss == pytest.approx(half, abs=1e-6)
    dropped = ((0.31326169 + 1.31326169) / 2 + 0.69314718) / 2
    assert ranking_report(rows, rankings, "drop").loss == pytest.approx(dropped, abs=1e-6)


# ---- the test reward model, AI labels, a warm start

OTHER = {"train": "held_out", "held_out": "train"}


def _swapped(records):
    return [record | {"split": OTHER[record["split"]]} for record in records]


def test_a_test_reward_model_learns_the_other_side(tmp_path, base):
    """Every record moved to the other side: the same weights, numbers and gauge."""
    rankings, config = ranking_records(20, 8), {"num_epochs": 2}
    straight = _folder(base, tmp_path / "straight", config, rankings)
    turned = _folder(
        base, tmp_path / "turned", config | {"learn_from": "held_out"}, _swapped(rankings)
    )
    path = turned / "data" / "demonstrations.jsonl"
    shown = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(record) + "\n" for record in _swapped(shown)))
    for folder in (straight, turned):
        assert run_folder("reward_model", str(folder)) == 0
    for name in ("output/model.safetensors", "output/config.json", "metrics.jsonl"):
        assert (turned / name).read_bytes() == (straight / name).read_bytes(), name
    ours, theirs = result_read(turned), result_read(straight)
    assert (ours["data"].pop("learn_from"), theirs["data"].pop("learn_from")) == (
        "held_out", "train"
    )  # fmt: skip
    assert ours == theirs


def test_the_gauge_takes_the_other_sides_demonstrations_where_there_are_none(tmp_path, base):
    folder = _folder(base, tmp_path / "run", {"learn_from": "held_out"}, num_demonstrations=3)
    # of three demonstrations none is held out
    assert run_folder("reward_model", str(folder)) == 0
    assert result_read(folder)["data"]["reward_bias_from"] == "demonstrations"
    model, tokenizer = _loaded(folder)
    shown = demonstrations_encode(tokenizer, demonstration_records(3), 128).records
    values = scores(model, [d.prompt_ids for d in shown], [d.completion_ids for d in shown], 256)
    assert float(values.mean()) == pytest.approx(0.0, abs=1e-5)


def test_too_few_held_out_rankings_are_named(tmp_path, base):
    folder = _folder(base, tmp_path / "run", {"learn_from": "held_out", "min_train_rankings": 5})
    assert run_folder("reward_model", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["extra"] == {"what": "held-out rankings", "have": 4, "need": 5}


def _by_ai(records):
    """The same two best completions of each, judged the wrong way round by an AI."""
    return [
        record | {
            "id": 1000 + record["id"], "labeler": "ai", "probability": 0.1,
            "completions": record["completions"][:2], "ranks": [2, 1],
        }
        for record in records
    ]  # fmt: skip


def test_an_ais_rankings_teach_but_are_not_what_accuracy_is_measured_on(tmp_path, base):
    rankings = ranking_records(20, 8)
    plain = _run(base, tmp_path / "plain", {}, rankings)
    measured = _run(base, tmp_path / "measured", {}, rankings + _by_ai(rankings[12:]))
    weights = "output/model.safetensors"
    assert (measured / weights).read_bytes() == (plain / weights).read_bytes()
    assert result_read(measured) == result_read(plain)
    learned = _run(base, tmp_path / "learned", {"batch_size": 40}, rankings + _by_ai(rankings[:12]))
    data = result_read(learned)["data"]
    assert (data["num_train_rankings"], data["num_train_rankings_ai"]) == (24, 12)
    assert (learned / weights).read_bytes() != (plain / weights).read_bytes()
    # People and AI disagree about the pair, but people alone say how often people do.
    assert data["num_repeated_judgements"] == result_read(plain)["data"]["num_repeated_judgements"]


def test_a_test_reward_model_hears_people_only(tmp_path, base):
    rankings = ranking_records(20, 8)
    folders = [
        _run(base, tmp_path / name, {"learn_from": "held_out"}, records)
        for name, records in (("people", rankings), ("both", rankings + _by_ai(rankings[12:])))
    ]
    first, second = [(folder / "output/model.safetensors").read_bytes() for folder in folders]
    assert first == second


def test_a_probability_weighs_in_the_loss_of_a_run(trained):
    model, _ = _loaded(trained)
    rankings = [
        RankedCompletions(1, [65], [[70], [71]], [1, 2], probability=0.8),
        RankedCompletions(2, [65], [[72], [73]], [1, 2]),
    ]
    sums = batch_learn(learner(model), rankings, _objective(), 256)
    (first, second), other = (row.tolist() for row in ranking_scores(model, rankings, 256))
    margin, lead = first - second, other[0] - other[1]
    soft = 0.8 * math.log1p(math.exp(-margin)) + 0.2 * math.log1p(math.exp(margin))
    assert sums["loss"] == pytest.approx((soft + math.log1p(math.exp(-lead))) / 2, abs=1e-5)


def test_a_warm_start_goes_on_from_the_earlier_reward_model(tmp_path, base):
    """Scaled and shifted by its gauge, but it starts at the log odds it had learned."""
    config = {"gauge": "reference", "gauge_samples": 6, "gauge_max_new_tokens": 4, "num_epochs": 2}
    earlier = _run(base, tmp_path / "earlier", config | {"ties": "davidson"})
    model, tokenizer = _loaded(earlier)
    assert model.config.reward_scale != 1.0
    rankings = rankings_encode(tokenizer, ranking_records(12, 4), 128).records[:8]
    expected = ranking_report(ranking_scores(model, rankings, 256), rankings).loss

    folder = _folder(base, tmp_path / "warm", {"start": "warm", "batch_size": 8})
    document = json.loads((folder / "run.json").read_text())
    document["inputs"]["warm_start"] = str(earlier / "output")
    (folder / "run.json").write_text(json.dumps(document))
    assert run_folder("reward_model", str(folder)) == 0, (folder / "error.json").read_text()
    ((_, loss),) = metrics_read(folder)["reward_model/loss"]  # one step, before it
    assert loss == pytest.approx(expected, abs=1e-5)
    stored = json.loads((folder / "output" / "config.json").read_text())
    assert stored["reward_scale"] == 1.0
    assert "tie_log_nu" not in stored  # of the earlier model


def test_a_warm_start_needs_a_model_to_start_from(tmp_path, base):
    folder = _folder(base, tmp_path / "run", {"start": "warm"})
    assert run_folder("reward_model", str(folder)) == 3
    assert "'warm_start'" in json.loads((folder / "error.json").read_text())["message"]
