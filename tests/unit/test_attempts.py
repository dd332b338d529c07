"""How many guesses a network has: the numbers written out."""

from __future__ import annotations

import pytest

from flask_corbado_session.model.clock import Clock
from flask_corbado_session.operators.attempts import FailedAttempts
from flask_corbado_session.testing import MovingClock
from tests.support.rules import NOON


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(NOON)


def test_ten_failures_a_minute_are_the_limit(clock: MovingClock) -> None:
    attempts = FailedAttempts(Clock(clock))
    for _ in range(10):
        assert attempts.retry_after("192.0.2.1") == 0
        attempts.record_failure("192.0.2.1")
    assert attempts.retry_after("192.0.2.1") == 60
    assert attempts.retry_after("192.0.2.2") == 0
    clock.move(seconds=59)
    assert attempts.retry_after("192.0.2.1") == 1
    clock.move(seconds=1)
    assert attempts.retry_after("192.0.2.1") == 0


def test_a_failure_every_six_seconds_is_let_through(clock: MovingClock) -> None:
    attempts = FailedAttempts(Clock(clock))
    for _ in range(30):
        assert attempts.retry_after("192.0.2.1") == 0
        attempts.record_failure("192.0.2.1")
        clock.move(seconds=6)
