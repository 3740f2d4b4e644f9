"""A round's decision as a page shows it: gates as rows of words, votes as a small picture."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.selectors.decisions import (
    DEVIATIONS,
    NATS,
    RATIO,
    SHARE,
    GateSeen,
    Trial,
)
from training.selectors.rounds import RoundSummary

NOTHING = "\N{EN DASH}"
# The mark tells the verdict without color.
VERDICTS = {
    "passed": ("\N{CHECK MARK}", _("Passed"), "good"),
    "unmeasured": ("\N{EN DASH}", _("Not measured"), ""),
    "hold": ("!", _("Hold"), "alive still"),
    "reject": ("\N{MULTIPLICATION SIGN}", _("Reject"), "bad"),
}
PICTURE_WIDTH, PICTURE_HEIGHT, PICTURE_EDGE = 240, 34, 8


@dataclass(frozen=True, slots=True)
class Tag:
    words: str | Promise
    tone: str


@dataclass(frozen=True, slots=True)
class GateRow:
    title: str
    sentence: str
    seen: str
    limit: str
    mark: str
    verdict: str | Promise
    tone: str


@dataclass(frozen=True, slots=True)
class TrialPicture:
    """Places along a line from 0 to 100 %."""

    share: float
    low: float
    high: float
    even: float
    sentence: str
    width: int = PICTURE_WIDTH
    height: int = PICTURE_HEIGHT
    left: int = PICTURE_EDGE
    right: int = PICTURE_WIDTH - PICTURE_EDGE

    @property
    def band(self) -> float:
        return round(self.high - self.low, 1)


def decision_tag(item: RoundSummary) -> Tag | None:
    """The decision in a word or two, or what it waits for; None before there is either."""
    if item.rolled_back_at:
        return Tag(_("Rolled back"), "bad")
    if item.waiting_for == "approval":
        return Tag(_("Waits for approval"), "alive")
    if item.waiting_for == "votes":
        return Tag(_("Waits for votes"), "alive")
    tones = {"promote": "good", "hold": "alive still", "reject": "bad"}
    return Tag(gettext(item.decision_title), tones[item.decision]) if item.decision else None


def gate_rows(gates: list[GateSeen]) -> list[GateRow]:
    return [_gate_row(gate) for gate in gates]


def trial_picture(trial: Trial | None) -> TrialPicture | None:
    if trial is None:
        return None
    return TrialPicture(
        share=_place(trial.share),
        low=_place(trial.low),
        high=_place(trial.high),
        even=_place(0.5),
        sentence=gettext(
            "Won %(wins)s of %(num)s blind votes: %(share)s, with an interval from %(low)s to "
            "%(high)s that holds at every look."
        )
        % {
            "wins": f"{trial.wins:g}",
            "num": trial.num,
            "share": f"{trial.share:.0%}",
            "low": f"{trial.low:.0%}",
            "high": f"{trial.high:.0%}",
        },
    )


def _gate_row(gate: GateSeen) -> GateRow:
    mark, verdict, tone = VERDICTS[gate.status]
    return GateRow(
        title=gettext(gate.title),
        sentence=gate.sentence,
        seen=NOTHING if gate.value is None else _amount(gate.value, gate.unit),
        limit=_limit(gate),
        mark=mark,
        verdict=verdict,
        tone=tone,
    )


def _limit(gate: GateSeen) -> str:
    amount = _amount(gate.limit, gate.unit)
    if gate.gate == "min_win_rate":
        return gettext("lower bound above %(amount)s") % {"amount": amount}
    words = gettext("at least %(amount)s") if gate.is_minimum else gettext("at most %(amount)s")
    return words % {"amount": amount}


def _amount(value: float, unit: str) -> str:
    if unit == SHARE:
        return f"{value:.1%}"
    if unit == NATS:
        return f"{value:.3g} nats"
    if unit == DEVIATIONS:
        return f"{value:.2f} SD"
    if unit == RATIO:
        return f"{value:.2f}\N{MULTIPLICATION SIGN}"
    return f"{value:+.2f}"


def _place(share: float) -> float:
    return round(PICTURE_EDGE + (PICTURE_WIDTH - 2 * PICTURE_EDGE) * share, 1)
