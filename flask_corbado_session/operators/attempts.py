"""Failed-authentication limiter: at most 10 failures a minute per network and process."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from ..model.clock import Clock
from ..model.process import ProcessLock

LIMIT = 10
"""Failures of one network within :data:`WINDOW` after which its requests are answered 429, right secret or not."""
WINDOW = timedelta(minutes=1)
_REMEMBERED = 10_000


class FailedAttempts:
    """The latest failures of each network. Memory is bounded: networks that failed longest ago are dropped first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = ProcessLock()

    def retry_after(self, address: str | None) -> int:
        """Seconds until this address may try again; 0 if it may now."""
        now = self._clock.now()
        with self._lock:
            times = self._failed.get(network_of(address))
            if times is None or len(times) < LIMIT or not timedelta(0) <= now - times[0] < WINDOW:
                return 0
            return math.ceil((times[0] + WINDOW - now).total_seconds())

    def record_failure(self, address: str | None) -> None:
        """Record that this address failed just now."""
        network = network_of(address)
        with self._lock:
            self._failed.setdefault(network, deque(maxlen=LIMIT)).append(self._clock.now())
            self._failed.move_to_end(network)
            if len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)


def network_of(address: str | None) -> str:
    """The network an address is counted as: an IPv4 address itself, of an IPv6 address its /64, since one person has
    2**64 of those (better-auth CVE-2026-45364 counted single addresses)."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
