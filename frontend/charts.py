"""Small line charts as geometry: numbers in, coordinates out. The template draws them as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 24
NUM_TICKS = 3
MAX_LABELS = 8
# Of a chart of curves: wider, with room for the name of its x axis.
CURVES_SIZE = (420, 250)
CURVES_BOTTOM = 44

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `low` and `high` are the ends of an interval around each value, if known."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a curve over a measured x. `mark` is a word to write beside it."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Places in the order in which they are joined. `hue` is the number of its color."""

    name: str
    places: Sequence[Place]
    hue: int
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    low: float | None
    high: float | None
    label: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    path: str
    points: list[Point]
    hue: int
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    reference: float | None
    reference_name: str
    axis: str
    """What the x axis counts; written below it when `is_axis_named`."""
    is_axis_named: bool = False
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def left(self) -> int:
        return LEFT

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def x_labels_y(self) -> int:
        return self.height - (26 if self.is_axis_named else 6)

    @property
    def axis_y(self) -> int:
        return self.height - 8

    @property
    def latest(self) -> str:
        """ "Policy 1.20, SFT 0.31": what a screen reader hears instead of the picture."""
        ends = [(line.name, line.points[-1].label) for line in self.lines if line.points]
        return ", ".join(f"{name} {label}" for name, label in ends)


def chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    reference: float | None = None,
    reference_name: str = "",
    axis: str = "round",
) -> Chart | None:
    """None when no series has a value. `reference` is a level to compare with, such as chance."""
    known = list(_finite(value for line in series for value in _all_values(line)))
    if not known:
        return None
    low, high, step = _range(known if reference is None else [*known, reference])

    def x_of(index: int) -> float:
        span = max(len(labels) - 1, 1)
        inner = WIDTH - LEFT - RIGHT
        return round(LEFT + inner * (index / span if len(labels) > 1 else 0.5), 1)

    def y_of(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    return Chart(
        title=title,
        lines=[_line(item, hue, x_of, y_of) for hue, item in enumerate(series, start=1)],
        x_ticks=[
            Tick(x_of(index), label)
            for index, label in enumerate(labels)
            if index % math.ceil(len(labels) / MAX_LABELS) == 0
        ],
        y_ticks=[Tick(y_of(value), _short(value, step)) for value in _steps(low, high, step)],
        reference=None if reference is None else y_of(reference),
        reference_name=reference_name,
        axis=axis,
    )


def curve_chart(title: str, axis: str, curves: Sequence[Curve]) -> Chart | None:
    """Curves over a measured x from 0 on; zero is in sight on both axes. None without a value."""
    places = [place for curve in curves for place in curve.places if _is_finite(place.y)]
    if not places:
        return None
    known = [y for place in places for y in (place.y, place.low, place.high) if y is not None]
    low, high, step = _range([*known, 0.0])
    _, x_high, x_step = _range([0.0, *(place.x for place in places)])
    width, height = CURVES_SIZE

    def x_of(value: float) -> float:
        return round(LEFT + (width - LEFT - RIGHT) * value / x_high, 1)

    def y_of(value: float) -> float:
        room = height - TOP - CURVES_BOTTOM
        return round(TOP + room * (high - value) / (high - low), 1)

    return Chart(
        title=title,
        lines=[_curve_line(curve, x_of, y_of) for curve in curves],
        x_ticks=[Tick(x_of(value), _short(value, x_step)) for value in _steps(0.0, x_high, x_step)],
        y_ticks=[Tick(y_of(value), _short(value, step)) for value in _steps(low, high, step)],
        reference=y_of(0.0),
        reference_name="",
        axis=axis,
        is_axis_named=True,
        width=width,
        height=height,
    )


def _curve_line(curve: Curve, x_of: Scale, y_of: Scale) -> Line:
    points = [
        _point(x_of(place.x), place.y, place.low, place.high, y_of, place.mark)
        for place in curve.places
        if place.y is not None and _is_finite(place.y)
    ]
    return Line(curve.name, _path(points), points, curve.hue, curve.is_dashed)


def _line(series: Series, hue: int, x_of: Callable[[int], float], y_of: Scale) -> Line:
    points = [
        _point(x_of(index), value, _at(series.low, index), _at(series.high, index), y_of)
        for index, value in enumerate(series.values)
        if value is not None and math.isfinite(value)
    ]
    return Line(series.name, _path(points), points, hue)


def _point(
    x: float, value: float, low: float | None, high: float | None, y_of: Scale, mark: str = ""
) -> Point:
    return Point(
        x=x,
        y=y_of(value),
        low=None if low is None else y_of(low),
        high=None if high is None else y_of(high),
        label=f"{value:.2f}",
        mark=mark,
    )


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{'L' if index else 'M'}{p.x} {p.y}" for index, p in enumerate(points))


def _steps(low: float, high: float, step: float) -> list[float]:
    return [low + step * index for index in range(round((high - low) / step) + 1)]


def _range(values: Sequence[float]) -> tuple[float, float, float]:
    """Ends and step of an axis on round numbers (1, 2 or 5 times a power of ten)."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough - 1e-12)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _short(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:.{digits}f}"


def _all_values(series: Series) -> Iterable[float | None]:
    return [*series.values, *series.low, *series.high]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _finite(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None and math.isfinite(value))


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None
