"""Reward gains against the square root of the KL, as a picture with its tables."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from frontend.charts import Chart, Curve, Place, curve_chart
from training.algorithms.measuring.intervals import Z95
from training.selectors.overoptimization import CheckpointPoint, Overoptimization

TEST_HUE, PROXY_HUE = 1, 2


@dataclass(frozen=True, slots=True)
class OveroptimizationView:
    chart: Chart
    found: Overoptimization
    why: str


def overoptimization_view(found: Overoptimization | None) -> OveroptimizationView | None:
    """None when no gain was measured. Whiskers are 95 % intervals."""
    if found is None:
        return None
    curves = [*_policy_curves(found), *_best_of_curves(found)]
    drawn = curve_chart(_("Gain over SFT"), _("square root of KL to SFT, nats"), curves)
    return None if drawn is None else OveroptimizationView(drawn, found, _why(found))


def _policy_curves(found: Overoptimization) -> Iterable[Curve]:
    # The mark stands where the choice was made: at the test reward, without one at the proxy.
    points = found.checkpoints
    if found.has_test:
        test = [_place(point, point.test_gain, point.test_gain_error, True) for point in points]
        yield Curve(_("Test reward"), [Place(0.0, 0.0), *test], TEST_HUE)
    is_marked = not found.has_test
    proxy = [_place(p, p.proxy_gain, p.proxy_gain_error, is_marked) for p in points]
    if any(place.y is not None for place in proxy):
        yield Curve(_("Proxy reward"), [Place(0.0, 0.0), *proxy], PROXY_HUE)


def _best_of_curves(found: Overoptimization) -> Iterable[Curve]:
    points = found.best_of_n
    if len(points) < 2:
        return
    if found.has_test:
        test = [Place(point.root_kl, point.test_gain) for point in points]
        yield Curve(_("best of n: test"), test, TEST_HUE, is_dashed=True)
    proxy = [Place(point.root_kl, point.proxy_gain) for point in points]
    yield Curve(_("best of n: proxy"), proxy, PROXY_HUE, is_dashed=True)


def _place(
    point: CheckpointPoint, gain: float | None, error: float | None, is_marked: bool
) -> Place:
    mark = _("chosen") if point.is_chosen and is_marked else ""
    if gain is None or error is None:
        return Place(point.root_kl, gain, mark=mark)
    return Place(point.root_kl, gain, gain - Z95 * error, gain + Z95 * error, mark)


def _why(found: Overoptimization) -> str:
    chosen = next((point for point in found.checkpoints if point.is_chosen), None)
    if chosen is None:
        return ""
    if len(found.checkpoints) == 1:
        words = _("%(name)s is the only checkpoint of this policy.")
        return words % {"name": chosen.name}
    if not found.has_test:
        words = _("%(name)s is the last one; no test reward model could tell them apart.")
        return words % {"name": chosen.name}
    words = _(
        "%(name)s was chosen: the highest mean test reward%(gain)s over SFT, of %(num)s "
        "checkpoints."
    )
    gain = "" if chosen.test_gain is None else f", {chosen.test_gain:+.2f}"
    return words % {"name": chosen.name, "gain": gain, "num": len(found.checkpoints)}
