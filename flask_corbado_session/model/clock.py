"""The one clock. Nothing else in the package asks what time it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def _system_time() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Aware UTC; ``read`` is the seam a test puts its own time through."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], datetime] = _system_time) -> None:
        self.read = read

    @property
    def is_real(self) -> bool:
        """Whether it is meant to be the world's: the system's own, or a test's that says so."""
        return self.read is _system_time or getattr(self.read, "is_real", False)

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return self.read()


def to_ms(at: datetime) -> int:
    """Whole milliseconds since the epoch, as the rows hold times."""
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The aware datetime of a row's milliseconds."""
    return _EPOCH + timedelta(0, 0, 0, ms)  # by position, which is quicker than by name


def whole_seconds(at: datetime) -> datetime:
    """Without its microseconds, as a token holds it."""
    return at - timedelta(0, 0, at.microsecond)  # replace() takes four times as long


def lifetime_ms(lifetime: timedelta) -> int:
    """A lifetime in whole milliseconds."""
    return lifetime // _MS
