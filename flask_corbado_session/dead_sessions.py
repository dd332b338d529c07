"""Sessions seen dead are remembered for a minute, so that a dead cookie costs no statement a request."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from .clock import Clock
from .records import GoneReason

DEAD_FOR = timedelta(seconds=60)
_LIMIT = 4096


class DeadSessions:
    """Bounded, and of this process: the rows know it anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[GoneReason, datetime]] = {}

    def reason(self, session_id: str) -> GoneReason | None:
        """Why it is dead, if it was seen so within the last minute."""
        known = self._seen.get(session_id)
        return known[0] if known is not None and self._clock.now() < known[1] else None

    def clear(self) -> None:
        """Forget them: the next request asks the rows again."""
        self._seen = {}

    def remember(self, session_ids: Iterable[str], reason: GoneReason) -> None:
        """Seen dead just now."""
        if len(self._seen) >= _LIMIT:
            self._seen = {}
        until = self._clock.now() + DEAD_FOR
        self._seen |= {session_id: (reason, until) for session_id in session_ids}
