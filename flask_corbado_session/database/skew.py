"""How far this process's clock is from the database's, which is the one clock that all processes share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any

from ..model.clock import Clock, lifetime_ms, to_ms

log = logging.getLogger("flask_corbado_session")

BORNE = timedelta(seconds=1)
"""How far clocks may differ before the database's decides; the protocol bears ten times that (BURST_WINDOW)."""

INTERVAL = 60.0
"""Seconds between two comparisons."""

_SLOWEST = 500
"""Milliseconds that a comparison may take; a slower one says nothing."""

_TIME = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp()) * 1000",
    # unix_timestamp(now(3)) goes by the server's local time, and is an hour wrong where summer time ends
    "mysql": "SELECT timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000",
    "mariadb": "SELECT timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000",
}


class Skew:
    """Compares the clocks at a new connection, and once a minute.

    Only the system's clock is compared: a clock that a test moves differs from the database's on purpose.
    """

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.ms = 0
        """What is added to this process's time in the columns that order what the processes do; 0 within bounds."""
        self._compared_at = float("-inf")
        self._logged = False

    @property
    def is_due(self) -> bool:
        """Whether the clocks have not been compared lately."""
        return monotonic() - self._compared_at >= INTERVAL

    @property
    def is_unknown(self) -> bool:
        """Whether clocks that are to be compared never have been."""
        return self._compared_at < 0 and self.clock is not None and self.clock.is_real

    def compare(self, dialect_name: str, execute: Callable[[str], Any]) -> None:
        """Compare the clocks, by a function that runs a statement and returns its first row."""
        clock, statement = self.clock, _TIME.get(dialect_name)
        if clock is None or statement is None or not clock.is_real:
            return
        self._compared_at = monotonic()
        before = to_ms(clock.now())
        theirs = int(execute(statement)[0])
        after = to_ms(clock.now())
        if 0 <= after - before <= _SLOWEST:
            self._record(theirs - (before + after) // 2)

    def _record(self, skew: int) -> None:
        self.ms = skew if abs(skew) > lifetime_ms(BORNE) else 0
        if self.ms and not self._logged:
            log.warning("%s", self)
        self._logged = bool(self.ms)

    def __str__(self) -> str:
        seconds, side = abs(self.ms) / 1000, "behind" if self.ms > 0 else "ahead of"
        return (
            f"this machine's clock is {seconds:.1f} s {side} the database's: long sessions go by the database's, short "
            "ones don't; set both by NTP"
        )


def can_compare(dialect_name: str) -> bool:
    """Whether this database has a clock of its own: SQLite runs in the process."""
    return dialect_name in _TIME
