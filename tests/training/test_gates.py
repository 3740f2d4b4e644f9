"""What each gate lets through, holds and rejects, and how one decision comes of them all."""

import dataclasses
import math
from typing import Any

import pytest

from annotation.models import Project
from training.algorithms.measuring.win_rate import win_rate
from training.errors import ConfigInvalid
from training.gates import (
    GateResult,
    Gates,
    decision_of,
    policy_judge,
    reward_model_judge,
    trial_judge,
)
from training.models import LoopSettings
from training.services.settings import gates_resolve

GAIN = {"evaluate/test_gain": 0.5, "evaluate/test_gain_error": 0.1}
OVER_PREVIOUS = {"evaluate/gain_over_previous": 0.1, "evaluate/gain_over_previous_error": 0.1}
GOOD = {
    **GAIN,
    **OVER_PREVIOUS,
    "evaluate/gain_gap": 0.3,
    "evaluate/kl_to_reference": 12.0,
    "evaluate/length_tokens_policy": 30.0,
    "evaluate/length_tokens_reference": 25.0,
    "evaluate/retention_loss_policy": 3.1,
    "evaluate/retention_loss_reference": 3.0,
}


def verdict(gate: str, metrics: dict[str, float], **limits: Any) -> GateResult:
    results = [
        *reward_model_judge(metrics, Gates(**limits)),
        *policy_judge(metrics, Gates(**limits)),
    ]
    (found,) = [result for result in results if result.gate == gate]
    return found


@pytest.mark.parametrize(
    ("gate", "metrics", "status", "value"),
    [
        ("min_pair_accuracy", {"reward_model/held_out_accuracy": 0.62}, "passed", 0.62),
        ("min_pair_accuracy", {"reward_model/held_out_accuracy": 0.5}, "passed", 0.5),
        ("min_pair_accuracy", {"reward_model/held_out_accuracy": 0.499}, "hold", 0.499),
        ("min_pair_accuracy", {}, "unmeasured", None),
        # At least 0 is asked for. 0.5: passed; -0.1 ± 0.1: below, but -0.1 + 1.96 * 0.1 = 0.096 is
        # above 0, so chance may explain it; -0.2 + 0.196 = -0.004 is not.
        ("min_test_gain", GAIN, "passed", 0.5),
        ("min_test_gain", GAIN | {"evaluate/test_gain": 0.0}, "passed", 0.0),
        ("min_test_gain", GAIN | {"evaluate/test_gain": -0.1}, "hold", -0.1),
        ("min_test_gain", GAIN | {"evaluate/test_gain": -0.2}, "reject", -0.2),
        ("min_test_gain", {}, "unmeasured", None),
        # Over the policy in use a loss counts only when it is shown, and then holds.
        ("min_gain_over_previous", OVER_PREVIOUS, "passed", 0.1),
        (
            "min_gain_over_previous",
            OVER_PREVIOUS | {"evaluate/gain_over_previous": -0.1},
            "passed",
            -0.1,
        ),
        (
            "min_gain_over_previous",
            OVER_PREVIOUS | {"evaluate/gain_over_previous": -0.2},
            "hold",
            -0.2,
        ),
        ("min_gain_over_previous", {}, "unmeasured", None),
        ("max_gain_gap", {"evaluate/gain_gap": 2.0}, "passed", 2.0),
        ("max_gain_gap", {"evaluate/gain_gap": 2.01}, "reject", 2.01),
        ("max_gain_gap", {}, "unmeasured", None),
        ("max_kl", {"evaluate/kl_to_reference": 50.0}, "passed", 50.0),
        ("max_kl", {"evaluate/kl_to_reference": 50.1}, "reject", 50.1),
        ("max_kl", {}, "unmeasured", None),
        # 60 / 30 = 2.0 and 30 / 60 the other way; 61 / 30 = 2.0333.
        ("max_length_ratio", {"policy": 60, "reference": 30}, "passed", 2.0),
        ("max_length_ratio", {"policy": 30, "reference": 60}, "passed", 2.0),
        ("max_length_ratio", {"policy": 61, "reference": 30}, "reject", 61 / 30),
        ("max_length_ratio", {"policy": 30, "reference": 61}, "reject", 61 / 30),
        ("max_length_ratio", {"policy": 30}, "unmeasured", None),
        # 3.5 - 3.0 = 0.5 nats per token.
        ("max_retention_rise", {"policy_loss": 3.5, "reference_loss": 3.0}, "passed", 0.5),
        ("max_retention_rise", {"policy_loss": 3.75, "reference_loss": 3.0}, "reject", 0.75),
        ("max_retention_rise", {"policy_loss": 2.0, "reference_loss": 3.0}, "passed", -1.0),
        ("max_retention_rise", {"policy_loss": 3.75}, "unmeasured", None),
    ],
)
def test_each_gate_says_what_it_saw(
    gate: str, metrics: dict[str, float], status: str, value: float | None
) -> None:
    names = {
        "policy": "evaluate/length_tokens_policy",
        "reference": "evaluate/length_tokens_reference",
        "policy_loss": "evaluate/retention_loss_policy",
        "reference_loss": "evaluate/retention_loss_reference",
    }
    result = verdict(gate, {names.get(name, name): number for name, number in metrics.items()})
    assert (result.status, result.value) == (status, pytest.approx(value))
    assert result.limit == getattr(Gates(), gate)
    assert result.sentence


def test_the_limits_are_the_settings_ones() -> None:
    assert verdict("max_kl", {"evaluate/kl_to_reference": 12.0}, max_kl=11.0).status == "reject"
    assert verdict("min_test_gain", GAIN, min_test_gain=0.6).status == "hold"
    # 0.5 + 0.196 < 0.7
    assert verdict("min_test_gain", GAIN, min_test_gain=0.7).status == "reject"
    accuracy = {"reward_model/held_out_accuracy": 0.62}
    assert verdict("min_pair_accuracy", accuracy, min_pair_accuracy=0.65).status == "hold"


def test_a_gate_without_a_limit_is_not_asked() -> None:
    off = {field.name: None for field in dataclasses.fields(Gates)}
    assert policy_judge({"evaluate/kl_to_reference": 1e9}, Gates(**off)) == []
    assert reward_model_judge({"reward_model/held_out_accuracy": 0.0}, Gates(**off)) == []
    assert decision_of([])[0] == "promote"
    only = policy_judge(GOOD, Gates(**off | {"max_kl": 11.0}))
    assert [(result.gate, result.status) for result in only] == [("max_kl", "reject")]


@pytest.mark.parametrize("name", ["evaluate/kl_to_reference", "evaluate/test_gain"])
def test_what_is_no_number_does_not_pass(name: str) -> None:
    """NaN is neither above nor below any limit."""
    results = policy_judge(GOOD | {name: math.nan}, Gates())
    gate = "max_kl" if "kl" in name else "min_test_gain"
    assert {result.gate: result.status for result in results}[gate] == "unmeasured"


def test_the_strictest_verdict_counts_with_its_reasons() -> None:
    decision, reason = decision_of(policy_judge(GOOD, Gates()))
    assert (decision, reason) == ("promote", "All 6 gates that could be measured let it through.")
    held = GOOD | {"evaluate/test_gain": -0.1}
    decision, reason = decision_of(policy_judge(held, Gates()))
    assert decision == "hold"
    assert "-0.10 ± 0.10 over the reference" in reason
    rejected = held | {"evaluate/kl_to_reference": 60.0, "evaluate/gain_gap": 3.0}
    decision, reason = decision_of(policy_judge(rejected, Gates()))
    assert decision == "reject"
    assert "60.0 nats, above 50" in reason
    assert "3.00 standard deviations" in reason
    assert "over the reference by" not in reason


def test_what_was_not_measured_lets_through_and_is_named() -> None:
    decision, reason = decision_of(policy_judge(GAIN, Gates()))
    assert decision == "promote"
    assert reason == (
        "The one gate that could be measured let it through. Not measured: Gain over the policy in "
        "use, by the test reward model; Gain that only its own reward model sees; KL to the "
        "reference; Change of length; Forgetting: loss on pretraining texts."
    )


def test_a_trial_ends_when_the_votes_say_so_or_are_over() -> None:
    gates = Gates()
    # All of 10 won: the rate is above (20 * 11)^(-1/10) = 0.583; of 5: (120)^(-1/5) = 0.384 only.
    assert trial_judge(win_rate(5, 5), False, gates) is None
    assert trial_judge(win_rate(10, 10), False, gates).status == "passed"
    assert trial_judge(win_rate(0, 10), False, gates).status == "reject"
    assert trial_judge(win_rate(5, 10), False, gates) is None
    held = trial_judge(win_rate(5, 10), True, gates)
    assert held.status == "hold"
    assert "won 5 of 10 votes, 50 %" in held.sentence.replace("50%", "50 %")
    assert trial_judge(win_rate(0, 0), True, gates).status == "hold"
    # 0.583 is not above 0.6.
    assert trial_judge(win_rate(10, 10), False, Gates(min_win_rate=0.6)) is None
    # Without a limit the votes are only counted.
    off = Gates(min_win_rate=None)
    assert trial_judge(win_rate(0, 10), False, off) is None
    assert trial_judge(win_rate(0, 10), True, off).status == "passed"


@pytest.mark.parametrize(
    ("gates", "field"),
    [
        ({"max_kI": 10.0}, "max_kI"),
        ({"max_kl": "10"}, "max_kl"),
        ({"max_kl": math.nan}, "max_kl"),
        ({"min_test_gain": math.inf}, "min_test_gain"),
        ({"max_kl": -1.0}, "max_kl"),
        ({"max_gain_gap": -0.5}, "max_gain_gap"),
        ({"max_retention_rise": -0.5}, "max_retention_rise"),
        ({"max_length_ratio": 0.9}, "max_length_ratio"),
        ({"min_pair_accuracy": 1.0}, "min_pair_accuracy"),
        ({"min_win_rate": -0.1}, "min_win_rate"),
        ({"max_kl": True}, "max_kl"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(gates: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        gates_resolve(LoopSettings(project=Project(slug="x"), gates=gates))
    assert refusal.value.extra["field"] == field
    assert refusal.value.message.startswith("gates: ")
