"""A reward model's calibration report as a picture and tables."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from frontend.charts import Chart, Series, chart

# Each pair is in the report in both orders, so the lower half of the curve mirrors the upper.
EVEN = 0.5
SLICES = (
    ("by_sources", gettext_noop("Who wrote the two answers")),
    ("by_round", gettext_noop("Round")),
    ("by_strength", gettext_noop("Strength of the preference")),
    ("by_length_difference", gettext_noop("Difference in length, tokens")),
)


@dataclass(frozen=True, slots=True)
class SliceRow:
    label: str
    accuracy: float
    low: float
    high: float
    num_pairs: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a run's page shows of `result.data.calibration` (docs/methods/reward_model.md)."""

    curve: Chart | None
    report: dict[str, Any]
    slices: list[tuple[str, list[SliceRow]]]


def calibration_of(result: dict[str, Any] | None) -> Calibration | None:
    """None for a run that made no report."""
    report = ((result or {}).get("data") or {}).get("calibration")
    if not report:
        return None
    rows = [row for row in report["reliability"] if row["from"] >= EVEN]
    curve = chart(
        _("Preferred as often as predicted?"),
        [f"{row['predicted']:.0%}" for row in rows],
        [
            Series(
                _("People"),
                [row["observed"] for row in rows],
                [row["low"] for row in rows],
                [row["high"] for row in rows],
            ),
            Series(_("Model"), [row["predicted"] for row in rows]),
        ],
        axis=_("predicted probability"),
    )
    slices = [(_(title), [_row(row) for row in report.get(name) or []]) for name, title in SLICES]
    # A single slice says no more than the whole.
    return Calibration(curve, report, [(title, rows) for title, rows in slices if len(rows) > 1])


def _row(row: dict[str, Any]) -> SliceRow:
    if "slice" in row:
        label = str(row["slice"])
    elif row["from"] == row["to"]:
        label = f"{row['from']:g}"
    else:
        ends = {"low": f"{row['from']:g}", "high": f"{row['to']:g}"}
        label = _("%(low)s to %(high)s") % ends
    return SliceRow(label, row["accuracy"], row["low"], row["high"], row["num_pairs"])
