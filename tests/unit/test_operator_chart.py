"""Numbers by day: how rarely they are read, and where the bars of their chart are."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from flask_corbado_session.operators.chart import HEIGHT, WIDTH, draw
from flask_corbado_session.operators.daily import DAY, DailyNumbers

TODAY = 20_000
NOON = TODAY * DAY + DAY // 2


class Numbers:
    """A stand-in for the database: 10 for every day, 20 at the second reading. It keeps the days it was asked for."""

    def __init__(self) -> None:
        self.first_days: list[int] = []

    def __call__(self, first: int, now: int) -> dict[int, int]:
        self.first_days.append(first)
        return dict.fromkeys(range(first, now // DAY + 1), 10 * len(self.first_days))


def test_all_days_are_read_at_first_and_none_within_a_minute() -> None:
    daily, read = DailyNumbers(), Numbers()
    first = daily.last(30, NOON, read)
    assert len(first) == 30
    assert list(first.values()) == [10] * 30
    assert daily.last(30, NOON + 59_999, read) == first
    assert read.first_days == [TODAY - 29]


def test_after_a_minute_today_alone_is_read_again() -> None:
    daily, read = DailyNumbers(), Numbers()
    daily.last(30, NOON, read)
    later = daily.last(30, NOON + 60_000, read)
    assert read.first_days == [TODAY - 29, TODAY]
    assert list(later.values()) == [10] * 29 + [20]


def test_on_the_next_day_the_day_that_is_over_is_read_to_its_end() -> None:
    daily, read = DailyNumbers(), Numbers()
    daily.last(30, NOON, read)
    tomorrow = daily.last(30, NOON + DAY, read)
    assert read.first_days == [TODAY - 29, TODAY]
    assert list(tomorrow.values()) == [10] * 28 + [20] * 2


def test_a_clock_that_was_set_back_reads_again() -> None:
    daily, read = DailyNumbers(), Numbers()
    daily.last(3, NOON, read)
    daily.last(3, NOON - 5 * DAY, read)
    assert read.first_days == [TODAY - 2, TODAY - 7]


def test_a_failed_reading_is_not_remembered() -> None:
    daily, read = DailyNumbers(), Numbers()
    with pytest.raises(ZeroDivisionError):
        daily.last(3, NOON, lambda first, now: {first: 1 // 0})
    assert daily.last(3, NOON, read)
    assert read.first_days == [TODAY - 2]


def numbers(*values: int) -> dict[date, int]:
    """These, up to 3 March 2026."""
    last = date(2026, 3, 3)
    return {last - timedelta(days=len(values) - 1 - n): value for n, value in enumerate(values)}


def test_the_scale_is_round_and_reaches_beyond_the_highest_bar() -> None:
    labels = {
        0: ["0", "1", "2"],
        3: ["0", "2", "4"],
        11: ["0", "10", "20"],
        222: ["0", "150", "300"],
        167_801: ["0", "100k", "200k"],
        2_000_001: ["0", "1.5M", "3M"],
    }
    charts = {most: draw(numbers(0, most)) for most in labels}
    assert {most: [line.label for line in chart.lines] for most, chart in charts.items()} == labels
    tops = {
        most: min(bar.y for bar in chart.bars) - min(line.at for line in chart.lines) for most, chart in charts.items()
    }
    assert [most for most, top in tops.items() if top < 0] == []


def test_bars_stand_side_by_side_within_the_picture() -> None:
    chart = draw(numbers(*range(30)))
    for left, right in zip(chart.bars, chart.bars[1:], strict=False):
        assert left.x + chart.bar_width < right.x
        assert left.height <= right.height
    assert chart.bars[-1].x + chart.bar_width <= WIDTH
    assert all(bar.y >= 0 and bar.y + bar.height <= HEIGHT for bar in chart.bars)
    assert [tick.label for tick in chart.labels] == ["3 Feb", "10 Feb", "17 Feb", "24 Feb", "3 Mar"]


def test_the_summary_says_what_the_picture_shows() -> None:
    chart = draw(numbers(5, 1200, 7))
    assert chart.summary == (
        "From 1 March to 3 March: at most 1,200 on 2 March, at least 5 on 1 March, today 7 so far."
    )
