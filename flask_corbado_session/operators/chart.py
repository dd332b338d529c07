"""The geometry of a bar chart of numbers by day. The template writes the SVG from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 320, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 2, 8, 18
_GAP = 0.25
"""The share of a day's width that stays empty."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one day."""

    day: date
    number: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A horizontal line, or a label below the bars."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars and axes, in the units of an SVG view box of ``WIDTH`` by ``HEIGHT``."""

    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    bar_width: float
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def summary(self) -> str:
        """The chart in one sentence, for screen readers."""
        most = max(self.bars, key=lambda bar: bar.number)
        least = min(self.bars, key=lambda bar: bar.number)
        last = self.bars[-1]
        return (
            f"From {_day(self.bars[0].day)} to {_day(last.day)}: at most {most.number:,} on {_day(most.day)}, "
            f"at least {least.number:,} on {_day(least.day)}, today {last.number:,} so far."
        )


def draw(numbers: Mapping[date, int]) -> Chart:
    """The chart of these consecutive days."""
    top = _round_up(max(numbers.values(), default=0))
    bottom, step = HEIGHT - _BOTTOM, (WIDTH - _LEFT - _RIGHT) / max(len(numbers), 1)

    def y(number: float) -> float:
        return round(bottom - (bottom - _TOP) * number / top, 2)

    bars = tuple(
        Bar(day, number, round(_LEFT + (n + _GAP / 2) * step, 2), y(number), round(bottom - y(number), 2))
        for n, (day, number) in enumerate(numbers.items())
    )
    lines = tuple(Tick(_short(number), y(number)) for number in dict.fromkeys((0, top // 2, top)))
    width = round(step * (1 - _GAP), 2)
    weekly = [bar for n, bar in enumerate(reversed(bars)) if n % 7 == 0 and bar.x - _LEFT > 8]
    labels = tuple(Tick(f"{bar.day.day} {bar.day:%b}", round(bar.x + width / 2, 2)) for bar in reversed(weekly))
    return Chart(bars, lines, labels, width)


def _round_up(number: int) -> int:
    """The smallest round, even number that is at least this one."""
    size = 1
    while True:
        for top in (2 * size, 3 * size, 4 * size, 5 * size, 6 * size, 8 * size, 10 * size):
            if top >= number and top % 2 == 0:
                return top
        size *= 10


def _short(number: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return str(number)


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"
