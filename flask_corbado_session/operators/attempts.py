"""Who failed to prove himself how often lately, in this process: enough to make guessing a secret hopeless."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from threading import Lock

from ..model.clock import Clock

LIMIT = 10
"""Failed attempts of one network within :data:`WINDOW`; beyond it nothing of it is looked at."""
WINDOW = timedelta(minutes=1)
_REMEMBERED = 10_000


class FailedAttempts:
    """The latest failures of each network; the networks that failed longest ago are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = Lock()

    def wait(self, address: str | None) -> int:
        """Seconds until this address may try again; 0 if it may now."""
        now = self._clock.now()
        with self._lock:
            times = self._failed.get(network_of(address))
            if times is None or len(times) < LIMIT or not timedelta(0) <= now - times[0] < WINDOW:
                return 0
            return math.ceil((times[0] + WINDOW - now).total_seconds())

    def note(self, address: str | None) -> None:
        """It failed just now."""
        network = network_of(address)
        with self._lock:
            self._failed.setdefault(network, deque(maxlen=LIMIT)).append(self._clock.now())
            self._failed.move_to_end(network)
            if len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)


def network_of(address: str | None) -> str:
    """Whom an address counts for: itself, or the /64 of an IPv6 one, since one person has 2**64 of those
    (better-auth CVE-2026-45364 counted by text)."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
