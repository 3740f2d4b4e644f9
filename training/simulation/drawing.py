"""Small line charts with error bars, as SVG that any browser shows. No library, no style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 520, 300, 48
LEGEND_COLUMN = 150
COLORS = ("#1f6f8b", "#c2571a", "#4f772d", "#7a4ea3", "#a33b5a", "#5c5c5c")
NUM_LINES = 4


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    error: float = 0.0
    """Half the length of the bar, one standard error."""


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    points: Sequence[Point]
    is_dashed: bool = False


# Data to pixels.
Place = Callable[[float, float], tuple[float, float]]


def chart_svg(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "",
    x_names: dict[float, str] | None = None,
    is_log: bool = False,
) -> str:
    """Lines through the points in their order, each with its bar.

    x_names: the ticks of the x axis and what is written at them; none: round numbers.
    """
    points = [point for each in series for point in each.points]
    names = x_names if x_names is not None else _ticks([point.x for point in points])
    place, low, high = _place_make(points, list(names), is_log)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for x, name in names.items():
        left, bottom = place(x, low)
        parts.append(_text(left, bottom + 18, "middle", name))
    parts.append(_text(WIDTH / 2, HEIGHT - 10, "middle", x_label))
    for index in range(NUM_LINES):
        y = low + (high - low) * index / (NUM_LINES - 1)
        _, top = place(next(iter(names)), y)
        parts.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{top:.1f}" y2="{top:.1f}" '
            'stroke="#ddd"/>'
        )
        parts.append(_text(MARGIN - 8, top + 4, "end", f"{y:.2f}"))
    for index, each in enumerate(series):
        parts.extend(_series_svg(each, place, COLORS[index % len(COLORS)], index))
    return "\n".join([*parts, "</svg>", ""])


def _place_make(
    points: Sequence[Point], ticks: Sequence[float], is_log: bool
) -> tuple[Place, float, float]:
    def across(x: float) -> float:
        return math.log(x) if is_log else x

    lefts = [across(x) for x in (*(point.x for point in points), *ticks)]
    start, width = min(lefts), (max(lefts) - min(lefts)) or 1.0
    low = min(point.y - point.error for point in points)
    high = max(point.y + point.error for point in points)
    spread = (high - low) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        left = MARGIN + (WIDTH - 2 * MARGIN) * (across(x) - start) / width
        return left, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - low) / spread

    return place, low, high


def _ticks(values: Sequence[float]) -> dict[float, str]:
    """Whole steps of 1, 2 or 5 times a power of ten within the values, at most six."""
    low, high = min(values), max(values)
    size = 10 ** math.floor(math.log10((high - low) or 1.0))
    steps = (size * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    step = next(step for step in steps if (high - low) / step <= 5)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return {(first + index) * step: f"{(first + index) * step:g}" for index in range(count)}


def _series_svg(series: Series, place: Place, color: str, index: int) -> list[str]:
    path = " ".join("{:.1f},{:.1f}".format(*place(point.x, point.y)) for point in series.points)
    dashes = ' stroke-dasharray="5 4"' if series.is_dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>']
    for point in series.points:
        left, top = place(point.x, point.y + point.error)
        _, bottom = place(point.x, point.y - point.error)
        _, middle = place(point.x, point.y)
        parts.append(
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
            f'stroke="{color}"/><circle cx="{left:.1f}" cy="{middle:.1f}" r="3" fill="{color}"/>'
        )
    columns = (WIDTH - 2 * MARGIN) // LEGEND_COLUMN
    row, column = divmod(index, columns)
    label = _text(MARGIN + LEGEND_COLUMN * column, 16 + 15 * row, "start", series.label, color)
    return [*parts, label]


def _text(x: float, y: float, anchor: str, text: str, color: str = "black") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{color}">{escape(text)}</text>'
