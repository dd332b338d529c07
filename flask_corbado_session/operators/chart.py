"""Numbers by day: read seldom, drawn as bars by the server. The template writes the SVG, this says where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from threading import Lock

from .queries import DAY

FRESH = 60_000
"""Milliseconds for which today's number is good enough."""

WIDTH, HEIGHT = 320, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 2, 8, 18
_GAP = 0.25
"""Of the room a day has."""


class DailyNumbers:
    """One number for each of the last days, in this process. A day that is over changes no more, so it is read once."""

    def __init__(self) -> None:
        self._past: dict[int, int] = {}
        self._today: tuple[int, int, int] = (-1, 0, 0)
        self._lock = Lock()

    def last(self, days: int, now: int, read: Callable[[int, int], Mapping[int, int]]) -> dict[date, int]:
        """The last days (UTC), today included; ``read(first day, now)`` is asked for what is missing or too old."""
        today = now // DAY
        wanted = range(today - days + 1, today + 1)
        with self._lock:
            unknown = [day for day in wanted[:-1] if day not in self._past]
            day, number, read_at = self._today
            if unknown or day != today or not 0 <= now - read_at < FRESH:
                found = read(unknown[0] if unknown else today, now)
                number = found.get(today, 0)
                self._past = {day: self._past.get(day, found.get(day, 0)) for day in wanted[:-1]}
                self._today = (today, number, now)
            numbers = {**self._past, today: number}
        return {datetime.fromtimestamp(day * DAY / 1000, UTC).date(): numbers[day] for day in wanted}


@dataclass(frozen=True, slots=True)
class Bar:
    """One day."""

    day: date
    number: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, or a word below."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars and axes in the units of a view box of ``WIDTH`` by ``HEIGHT``."""

    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]
    words: tuple[Tick, ...]
    bar_width: float
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def summary(self) -> str:
        """What there is to see, for who can't."""
        most = max(self.bars, key=lambda bar: bar.number)
        least = min(self.bars, key=lambda bar: bar.number)
        last = self.bars[-1]
        return (
            f"From {_day(self.bars[0].day)} to {_day(last.day)}: at most {most.number:,} on {_day(most.day)}, "
            f"at least {least.number:,} on {_day(least.day)}, today {last.number:,} so far."
        )


def draw(numbers: Mapping[date, int]) -> Chart:
    """The bars of these days, which follow each other."""
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
    named = [bar for n, bar in enumerate(reversed(bars)) if n % 7 == 0 and bar.x - _LEFT > 8]
    words = tuple(Tick(f"{bar.day.day} {bar.day:%b}", round(bar.x + width / 2, 2)) for bar in reversed(named))
    return Chart(bars, lines, words, width)


def _round_up(number: int) -> int:
    """The least round number that is not below, and whose half is a whole one."""
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
