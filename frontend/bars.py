"""Bars of counts per day as geometry. The template draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from annotation.selectors.statistics import DayCount

BAR_WIDTH, BAR_STEP = 18, 24
HEIGHT, TOP, BOTTOM = 96, 16, 18


@dataclass(frozen=True, slots=True)
class Bar:
    """A column from `y` down to the base line; days without work have none to see."""

    date: date
    count: int
    x: int
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + BAR_WIDTH / 2


@dataclass(frozen=True, slots=True)
class Bars:
    bars: list[Bar]
    width: int
    height: int = HEIGHT
    bar_width: int = BAR_WIDTH
    base: int = HEIGHT - BOTTOM
    labels_y: int = HEIGHT - 4


def bars(days: Sequence[DayCount]) -> Bars | None:
    """None where nothing was done on any of the days."""
    most = max((day.count for day in days), default=0)
    if most == 0:
        return None
    room = HEIGHT - TOP - BOTTOM
    drawn = [
        Bar(
            date=day.date,
            count=day.count,
            x=index * BAR_STEP,
            y=round(HEIGHT - BOTTOM - room * day.count / most, 1),
            height=round(room * day.count / most, 1),
        )
        for index, day in enumerate(days)
    ]
    return Bars(drawn, width=len(days) * BAR_STEP)
