"""Times in words, for the pages of the extension."""

from __future__ import annotations

from datetime import datetime

from .state import app_state

_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"))


def ago(at: datetime) -> str:
    """ "3 minutes ago"; "just now" within ten seconds, and for a clock that is ahead."""
    amount = int((app_state().clock.now() - at).total_seconds())
    if amount < 10:
        return "just now"
    for size, unit in _STEPS:
        if amount < size:
            return f"{amount} {unit}{'s' if amount != 1 else ''} ago"
        amount //= size
    return f"{amount} year{'s' if amount != 1 else ''} ago"
