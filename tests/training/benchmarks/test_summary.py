"""Medians, ratios, necessary arithmetic and the table, on numbers one can follow by hand."""

from dataclasses import replace

import pytest

from training.benchmarks.flops import Lengths, mean_lengths, unit_flops
from training.benchmarks.measure import Clock, result_parse
from training.benchmarks.summary import (
    matmul_share,
    quality_text,
    rate,
    ratios,
    short,
    spread,
    table,
    task_summary,
)
from training.benchmarks.tasks import MODELS, TASKS, ModelSize

# 2 layers of 4 * 10^2 + 3 * 10 * 20 = 1000 weights; vocabulary 7 * 10
SIZE = ModelSize(vocab_size=7, hidden_size=10, num_layers=2, num_heads=2, intermediate_size=20)
BODY, HEAD = 2000, 70


def run(units: float, seconds: float, **more: object) -> dict[str, object]:
    base = {"units": units, "seconds": seconds, "steps": 4, "loaded_mib": 100.0, "peak_mib": 150.0}
    return base | more


def test_parameters_are_counted_from_the_shapes():
    assert SIZE.body_parameters == BODY
    assert SIZE.head_parameters == HEAD


def test_spread_is_median_and_extremes():
    assert spread([3.0, 1.0, 20.0]).text() == "3.00 (1.00 to 20.0)"
    assert spread([5.0]).text() == "5.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (12.345, "12.3"), (0.8125, "0.812"), (-0.05, "-0.050"), (1.0, "1.00")],
)
def test_short_keeps_three_digits(value, text):
    assert short(value) == text


def test_rate_charges_preparation_to_the_timed_steps():
    # 4 of 5 steps are timed, so 4/5 of the 10 seconds once spent count
    assert rate(run(80, 2.0, prepare_seconds=10.0)) == pytest.approx(80 / (2 + 8))
    assert rate(run(80, 2.0)) == pytest.approx(40.0)


def test_ratio_is_taken_repeat_by_repeat():
    ours, theirs = [run(40, 1), run(40, 2), run(40, 4)], [run(10, 1), run(10, 4), run(10, 2)]
    # 40 / 10, 20 / 2.5, 10 / 5
    assert ratios(ours, theirs).text() == "4.00 (2.00 to 8.00)"


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        # prompt 8 tokens, completions 5: K completions share one prompt
        ("reward_model_k4", 6 * BODY * (8 + 4 * 5)),
        ("sft", 6 * (BODY * 13 + HEAD * 5) / 13),
        ("dpo", 8 * (BODY * (8 + 10) + HEAD * 10)),
        ("grpo", 10 * (BODY * 6 + HEAD * 5) + 2 * BODY * 6),  # 8 completions a prompt: 8 / 8 + 5
        ("ppo", (4 + 24) * (BODY * 13 + HEAD * 5) + (2 + 24) * BODY * 13 + 2 * BODY * 13),
        ("sample", 2 * (BODY * 7 + HEAD * 5) / 5),  # 4 completions a prompt: 8 / 4 + 5
    ],
)
def test_necessary_arithmetic(name, flops):
    assert unit_flops(TASKS[name], SIZE, Lengths(8, 5)) == pytest.approx(flops)


def test_lengths_count_template_and_eos():
    assert mean_lengths(TASKS["sft"]) == Lengths(128 + 3, 64 + 1)


def test_share_of_the_multiply_rate():
    task = TASKS["sft"]
    flops = unit_flops(task, MODELS["embedded"], mean_lengths(task))
    # 1000 tokens a second of the rate of 4000 tokens a second
    assert matmul_share(task, [run(1000, 1.0)], 4000 * flops / 1e9) == pytest.approx(0.25)


def test_share_of_sampling_takes_the_lengths_that_came():
    task = replace(TASKS["sample"], batch=10, num_steps=3)
    # 20 completions were timed, 200 tokens: 10 each
    flops = unit_flops(task, MODELS["embedded"], Lengths(mean_lengths(task).prompt, 10.0))
    assert matmul_share(task, [run(200, 1.0)], 400 * flops / 1e9) == pytest.approx(0.5)


def test_quality_shows_medians_with_names_for_people():
    runs = [run(1, 1, quality={"score": s, "kl_to_reference": 1.0}) for s in (0.1, 0.3, 0.2)]
    assert quality_text(runs) == "score 0.200 (0.100 to 0.300), KL 1.00"


def test_table_has_both_sides_and_tells_what_failed():
    task = TASKS["reward_model_k4"]
    good = [run(40, 1, quality={"held_out_accuracy": 0.9})]
    both = task_summary(task, {"ours": good, "trl": [run(10, 1)]}, 100.0)
    bad = task_summary(TASKS["dpo"], {"ours": [{"failed": "no such method"}], "trl": good}, 100.0)
    text = table({"a": both, "b": bad})
    rows = text.splitlines()
    assert rows[2].startswith("| reward model, rankings of 4 | rankings | 40.0 | 10.0 | 4.00 |")
    assert "150 (+50), 150 (+50)" in rows[2]
    assert rows[3].startswith("| DPO | pairs | failed | 40.0 | - | failed, 150 (+50) |")
    assert "| reward model, rankings of 4 | accuracy 0.900 |  |" in rows
    assert "- DPO, ours: no such method" in rows


def test_clock_leaves_the_first_step_out():
    clock = Clock()
    clock.marks, clock.cpu_marks = [10.0, 12.0, 15.0], [1.0, 4.0, 9.0]
    report = clock.report()
    assert (report["seconds"], report["steps"]) == (5.0, 2)
    assert report["step_seconds"] == [2.0, 3.0]
    assert report["cpu_seconds"] == 8.0
    clock.marks = [10.0]
    with pytest.raises(RuntimeError, match="1 steps, none left after the warm-up"):
        clock.report()


def test_the_last_result_line_counts():
    assert result_parse('noise\nBENCH {"a": 1}\nBENCH {"a": 2}\n') == {"a": 2}
    assert result_parse("noise\n") is None
