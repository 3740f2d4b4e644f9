"""A round's decision in words: what each gate saw, how the votes stand, what came of it."""

from dataclasses import dataclass

from training.choices import Decision, RoundStatus, WaitingFor
from training.gates import TITLES
from training.models import Round

SHARE, REWARD, DEVIATIONS, NATS, RATIO = "share", "reward", "deviations", "nats", "ratio"


# By field of training.gates.Gates; min_ and max_ tell on which side of its limit a value passes.
UNITS = {
    "min_pair_accuracy": SHARE,
    "min_test_gain": REWARD,
    "min_gain_over_previous": REWARD,
    "max_gain_gap": DEVIATIONS,
    "max_kl": NATS,
    "max_length_ratio": RATIO,
    "max_retention_rise": NATS,
    "min_win_rate": SHARE,
}


@dataclass(frozen=True, slots=True)
class GateSeen:
    """`status` is passed, unmeasured, hold or reject."""

    gate: str
    title: str
    unit: str
    is_minimum: bool
    status: str
    value: float | None
    limit: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Blind votes on the new policy against the one in use; low and high at 95 %, at every look."""

    wins: float
    num: int
    share: float
    low: float
    high: float
    wanted: int


def gates_seen(item: Round) -> list[GateSeen]:
    """In the order in which the gates were looked at."""
    return [_gate_seen(record) for record in item.decision_data.get("gates", [])]


def trial_of(item: Round) -> Trial | None:
    """None for a round whose votes were not counted yet, or that holds no trial."""
    votes = item.decision_data.get("trial")
    if votes is None:
        return None
    return Trial(
        wins=votes["wins"],
        num=votes["num"],
        share=votes["wins"] / votes["num"] if votes["num"] else 0.5,
        low=votes["low"],
        high=votes["high"],
        wanted=item.settings.get("trial_votes", 0),
    )


def decision_sentence(item: Round, trial: Trial | None, policy: str) -> str:
    """What was decided about the policy of this name, or what the decision waits for."""
    if item.rolled_back_at is not None:
        who = f" by {item.rolled_back_by.get_username()}" if item.rolled_back_by else ""
        why = f": {item.rollback_reason}" if item.rollback_reason else "."
        return f"{_name(policy)} was deployed and then rolled back{who}{why}"
    if item.waiting_for == WaitingFor.APPROVAL:
        return f"The gates let {policy or 'the policy'} through. A person has to approve it."
    if item.waiting_for == WaitingFor.VOTES and trial is not None:
        return (
            f"People judge {policy or 'the new policy'} against the policy in use without knowing "
            f"which is which: {trial.num} of at most {trial.wanted} votes are in."
        )
    if item.decision:
        return f"{_DECIDED[Decision(item.decision)].format(_name(policy))} {item.decision_reason}"
    if item.status == RoundStatus.SUCCEEDED:
        return "There was nothing to decide: the reference is deployed as it is."
    return "Not decided yet."


_DECIDED = {
    Decision.PROMOTE: "{} is promoted.",
    Decision.HOLD: "{} is held, and the policies in use stay.",
    Decision.REJECT: "{} is rejected, and the policies in use stay.",
}


def _name(policy: str) -> str:
    return policy or "The policy"


def _gate_seen(record: dict) -> GateSeen:
    return GateSeen(
        gate=record["gate"],
        title=TITLES[record["gate"]],
        unit=UNITS[record["gate"]],
        is_minimum=record["gate"].startswith("min_"),
        status=record["status"],
        value=record["value"],
        limit=record["limit"],
        sentence=record["sentence"],
    )
