"""Small line charts as geometry: numbers in, coordinates out. The template draws them as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 24
NUM_TICKS = 3
MAX_LABELS = 8


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `low` and `high` are the ends of an interval around each value, if known."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    low: float | None
    high: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    path: str
    points: list[Point]


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
    """What the x axis counts."""

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

    ticks = [low + step * index for index in range(round((high - low) / step) + 1)]
    return Chart(
        title=title,
        lines=[_line(item, x_of, y_of) for item in series],
        x_ticks=[
            Tick(x_of(index), label)
            for index, label in enumerate(labels)
            if index % math.ceil(len(labels) / MAX_LABELS) == 0
        ],
        y_ticks=[Tick(y_of(value), _short(value, step)) for value in ticks],
        reference=None if reference is None else y_of(reference),
        reference_name=reference_name,
        axis=axis,
    )


def _line(series: Series, x_of: Callable[[int], float], y_of: Callable[[float], float]) -> Line:
    points = []
    for index, value in enumerate(series.values):
        if value is None or not math.isfinite(value):
            continue
        low, high = (_at(ends, index) for ends in (series.low, series.high))
        points.append(
            Point(
                x=x_of(index),
                y=y_of(value),
                low=None if low is None else y_of(low),
                high=None if high is None else y_of(high),
                label=f"{value:.2f}",
            )
        )
    path = " ".join(f"{'L' if index else 'M'}{p.x} {p.y}" for index, p in enumerate(points))
    return Line(name=series.name, path=path, points=points)


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


def _finite(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None and math.isfinite(value))


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None
