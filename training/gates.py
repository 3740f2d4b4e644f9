"""What a policy must show before people see it. Pure: numbers in, verdicts with reasons out.

Two gates look at the reward model before a policy is trained on it, the others at the policy. A
gate that was not measured lets through and says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from training.algorithms.configs import option, require, require_not_negative
from training.algorithms.measuring.intervals import Z95
from training.algorithms.measuring.win_rate import WinRate
from training.choices import Decision

PASSED, UNMEASURED = "passed", "unmeasured"
REWARD_MODEL_GATES = ("min_pair_accuracy",)

Metrics = Mapping[str, float]

# By field of Gates: what it looks at, in words.
TITLES = {
    "min_pair_accuracy": _("Held-out pairs the reward model orders as people do"),
    "min_test_gain": _("Gain over the reference, by the test reward model"),
    "min_gain_over_previous": _("Gain over the policy in use, by the test reward model"),
    "max_gain_gap": _("Gain that only its own reward model sees"),
    "max_kl": _("KL to the reference"),
    "max_length_ratio": _("Change of length"),
    "max_retention_rise": _("Forgetting: loss on pretraining texts"),
    "min_win_rate": _("Blind votes won against the policy in use"),
}


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits; none (null) switches a gate off."""

    min_pair_accuracy: float | None = option(
        0.5, _("Held-out pair accuracy of the reward model: below it no policy is trained on it.")
    )
    min_test_gain: float | None = option(
        0.0, _("Gain over the reference by the test reward model, which no policy was trained on.")
    )
    min_gain_over_previous: float | None = option(
        0.0,
        _(
            "Gain over the policy in use by the test reward model; the policy is held when it is "
            "shown to be less."
        ),
    )
    max_gain_gap: float | None = option(
        2.0,
        _(
            "How much more the policy gains by its own reward model than by the test reward model, "
            "each in standard deviations over the reference's answers: it exploits its reward "
            "model."
        ),
    )
    max_kl: float | None = option(50.0, _("KL to the reference, nats summed over an answer."))
    max_length_ratio: float | None = option(
        2.0, _("Mean tokens over the reference's, or the reference's over it.")
    )
    max_retention_rise: float | None = option(
        0.5, _("Rise of the loss on pretraining texts over the reference's, nats per token.")
    )
    min_win_rate: float | None = option(
        0.5,
        _("Win rate against the policy in use in a blind trial; its lower bound must exceed it."),
    )

    def validate(self) -> None:
        for name in ("min_pair_accuracy", "min_win_rate"):
            value = getattr(self, name)
            require(value is None or 0 <= value < 1, name, value, "expected 0 or more, below 1")
        given = [
            name
            for name in ("max_gain_gap", "max_kl", "max_retention_rise")
            if getattr(self, name) is not None
        ]
        require_not_negative(self, *given)
        ratio = self.max_length_ratio
        require(ratio is None or ratio >= 1, "max_length_ratio", ratio, "expected at least 1")


@dataclass(frozen=True, slots=True)
class GateResult:
    """`status` is passed, unmeasured, hold or reject; `sentence` says why."""

    gate: str
    status: str
    value: float | None
    limit: float
    sentence: str


def reward_model_judge(metrics: Metrics, gates: Gates) -> list[GateResult]:
    """Of the metrics of a reward model's run."""
    return _judge(((gates.min_pair_accuracy, _pair_accuracy),), metrics)


def policy_judge(metrics: Metrics, gates: Gates) -> list[GateResult]:
    """Of the metrics of an evaluation."""
    rules = (
        (gates.min_test_gain, _test_gain),
        (gates.min_gain_over_previous, _gain_over_previous),
        (gates.max_gain_gap, _gain_gap),
        (gates.max_kl, _kl),
        (gates.max_length_ratio, _length),
        (gates.max_retention_rise, _retention),
    )
    return _judge(rules, metrics)


def trial_judge(win: WinRate, is_over: bool, gates: Gates) -> GateResult | None:
    """The verdict of a blind trial; None while the votes leave it open and more may come."""
    limit = gates.min_win_rate
    if limit is None:
        return (
            None if not is_over else _result("min_win_rate", PASSED, win.share, 0.0, "Not asked.")
        )
    seen = (
        f"won {win.wins:g} of {win.num} votes, {win.share:.0%} "
        f"(95 % at every look: {win.low:.0%} to {win.high:.0%})"
    )
    if win.low > limit:
        return _result("min_win_rate", PASSED, win.share, limit, f"The new policy {seen}.")
    if win.high < limit:
        sentence = f"People prefer the policy in use: the new one {seen}."
        return _result("min_win_rate", Decision.REJECT, win.share, limit, sentence)
    if is_over:
        sentence = f"The trial is over and did not show a win rate above {limit:.0%}: it {seen}."
        return _result("min_win_rate", Decision.HOLD, win.share, limit, sentence)
    return None


def decision_of(results: Sequence[GateResult]) -> tuple[Decision, str]:
    """The strictest verdict, with the sentences of the gates that call for it."""
    for decision in (Decision.REJECT, Decision.HOLD):
        if sentences := [item.sentence for item in results if item.status == decision]:
            return decision, " ".join(sentences)
    measured = [item for item in results if item.status == PASSED]
    unmeasured = [TITLES[item.gate] for item in results if item.status == UNMEASURED]
    reason = {
        0: "No gate could be measured.",
        1: "The one gate that could be measured let it through.",
    }.get(len(measured), f"All {len(measured)} gates that could be measured let it through.")
    if unmeasured:
        reason += f" Not measured: {'; '.join(unmeasured)}."
    return Decision.PROMOTE, reason


# ---- one rule for each gate

Rule = Callable[[Metrics, float], GateResult]


def _judge(rules: Sequence[tuple[float | None, Rule]], metrics: Metrics) -> list[GateResult]:
    # What is no number is neither above nor below a limit.
    measured = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return [rule(measured, limit) for limit, rule in rules if limit is not None]


def _pair_accuracy(metrics: Metrics, limit: float) -> GateResult:
    value = metrics.get("reward_model/held_out_accuracy")
    if value is None:
        sentence = "No held-out pair was there to measure the reward model with."
        return _result("min_pair_accuracy", UNMEASURED, None, limit, sentence)
    if value < limit:
        sentence = (
            f"The reward model orders {value:.1%} of the held-out pairs as people do, below "
            f"{limit:.1%}: a policy would learn the wrong thing from it. Collect more rankings."
        )
        return _result("min_pair_accuracy", Decision.HOLD, value, limit, sentence)
    sentence = f"The reward model orders {value:.1%} of the held-out pairs as people do."
    return _result("min_pair_accuracy", PASSED, value, limit, sentence)


def _test_gain(metrics: Metrics, limit: float) -> GateResult:
    return _gain(metrics, "evaluate/test_gain", "min_test_gain", limit, "the reference", False)


def _gain_over_previous(metrics: Metrics, limit: float) -> GateResult:
    name, gate = "evaluate/gain_over_previous", "min_gain_over_previous"
    return _gain(metrics, name, gate, limit, "the policy in use", True)


def _gain(
    metrics: Metrics, name: str, gate: str, limit: float, over: str, must_be_shown: bool
) -> GateResult:
    """`must_be_shown`: a gain below the limit counts only beyond chance, and then holds."""
    value, error = metrics.get(name), metrics.get(f"{name}_error", 0.0)
    if value is None:
        sentence = f"The gain over {over} was not measured by a test reward model."
        return _result(gate, UNMEASURED, None, limit, sentence)
    seen = f"{value:+.2f} ± {error:.2f} over {over} by the test reward model"
    is_shown = value + Z95 * error < limit
    if is_shown and not must_be_shown:
        sentence = f"The policy is worse than it should be: {seen}, asked for is {limit:+.2f}."
        return _result(gate, Decision.REJECT, value, limit, sentence)
    if is_shown or (value < limit and not must_be_shown):
        sentence = f"The policy does not gain enough: {seen}, asked for is {limit:+.2f}."
        return _result(gate, Decision.HOLD, value, limit, sentence)
    return _result(gate, PASSED, value, limit, f"The policy gains {seen}.")


def _gain_gap(metrics: Metrics, limit: float) -> GateResult:
    value = metrics.get("evaluate/gain_gap")
    if value is None:
        sentence = "Without two reward models nothing tells whether one is exploited."
        return _result("max_gain_gap", UNMEASURED, None, limit, sentence)
    if value > limit:
        sentence = (
            f"The policy gains {value:.2f} standard deviations more by the reward model it was "
            f"trained on than by the test reward model, above {limit:.2f}: it exploits its reward "
            "model. Rank some of its answers, and train again."
        )
        return _result("max_gain_gap", Decision.REJECT, value, limit, sentence)
    sentence = f"Both reward models see its gain alike, within {value:.2f} standard deviations."
    return _result("max_gain_gap", PASSED, value, limit, sentence)


def _kl(metrics: Metrics, limit: float) -> GateResult:
    value = metrics.get("evaluate/kl_to_reference")
    return _at_most("max_kl", value, limit, "The KL to the reference is {:.1f} nats")


def _length(metrics: Metrics, limit: float) -> GateResult:
    policy = metrics.get("evaluate/length_tokens_policy")
    reference = metrics.get("evaluate/length_tokens_reference")
    ratio = None
    if policy and reference:
        ratio = max(policy / reference, reference / policy)
    where = "" if policy is None or reference is None else f" ({policy:.0f} and {reference:.0f})"
    return _at_most(
        "max_length_ratio", ratio, limit, "Its answers and the reference's differ {:.2f}-fold in "
        f"tokens{where}",
    )  # fmt: skip


def _retention(metrics: Metrics, limit: float) -> GateResult:
    policy = metrics.get("evaluate/retention_loss_policy")
    reference = metrics.get("evaluate/retention_loss_reference")
    rise = None if policy is None or reference is None else policy - reference
    words = "The loss on pretraining texts changed by {:+.2f} nats per token"
    return _at_most("max_retention_rise", rise, limit, words)


def _at_most(gate: str, value: float | None, limit: float, words: str) -> GateResult:
    if value is None:
        return _result(gate, UNMEASURED, None, limit, "Not measured.")
    seen = words.format(value)
    if value > limit:
        return _result(gate, Decision.REJECT, value, limit, f"{seen}, above {limit:g}.")
    return _result(gate, PASSED, value, limit, f"{seen}, at most {limit:g} is allowed.")


def _result(gate: str, status: str, value: float | None, limit: float, sentence: str) -> GateResult:
    return GateResult(gate, str(status), value, limit, sentence)
