"""Time: aware in Python, whole milliseconds in the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from flask_corbado_session.model.clock import Clock, from_ms, lifetime_ms, to_ms


def test_the_clock_is_the_systems_in_utc() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with time_machine.travel(at, tick=False):
        assert Clock().now() == at
        assert Clock().now().tzinfo is UTC


def test_a_clock_reads_what_it_is_given() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock = Clock(lambda: at)
    assert clock.now() is at


@pytest.mark.parametrize(
    ("at", "ms"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC), 1000),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), 253402300799999),
    ],
)
def test_a_time_becomes_whole_milliseconds(at: datetime, ms: int) -> None:
    assert to_ms(at) == ms


@given(st.integers(0, 253402300799999))
def test_milliseconds_survive_the_way_there_and_back(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
    assert from_ms(ms).tzinfo is UTC


def test_a_lifetime_is_counted_in_milliseconds() -> None:
    assert lifetime_ms(timedelta(minutes=15)) == 900_000
