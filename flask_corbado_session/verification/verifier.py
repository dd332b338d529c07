"""Verifying short sessions where they were not made: without a database, and without Flask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from ..model.clock import Clock
from ..model.errors import StoreUnavailable
from ..model.records import Changes, ShortSession
from ..tokens.short import ShortTokenVerifier
from .ended import LONGEST_WAIT, OVERLAP, EndedSet
from .http import SingleFlight, check_url, fetch_json
from .remote_keys import RemoteKeys
from .short_sessions import ShortSessionAuthenticator

LONGEST_SHORT_LIFETIME = timedelta(hours=1)
"""The issuer's own is not known here, and one hour is the most it may be."""


class ShortSessionVerifier:
    """Verifies an issuer's short sessions by its published keys.

    ``jwks_url`` is its ``/.well-known/jwks.json``; ``revocations_url`` its ``/session/revocations``, polled every
    second that brings a request, so that a revoked session is out within two. Both are http or https.
    """

    def __init__(
        self,
        *,
        issuer: str,
        jwks_url: str,
        audience: str | None = None,
        revocations_url: str | None = None,
        revocation_interval: timedelta = timedelta(seconds=1),
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self.keys = RemoteKeys(jwks_url)
        verifier = ShortTokenVerifier(self.keys, issuer, audience, own=False)
        ended = None
        if revocations_url is not None:
            ended = RevocationPoller(revocations_url, clock, revocation_interval).ended
        self.short_sessions = ShortSessionAuthenticator(verifier, ended, clock)

    def verify(self, token: str) -> ShortSession:
        """The short session; :class:`InvalidShortSession`, with a ``code`` for machines, if it does not hold."""
        return self.short_sessions.verify(token)


class RevocationPoller:
    """The issuer's list of what it ended; fetched in the background, for a quarter of a second waited for.

    Both the ids and how far they reach are told in the issuer's time, so that the two clocks may differ.
    """

    def __init__(self, url: str, clock: Clock, interval: timedelta) -> None:
        self._url = check_url(url)
        self._until = 0
        self._error: StoreUnavailable | None = None
        self._flight = SingleFlight(self._fetch)
        self.ended = EndedSet(self._ask, clock, interval, LONGEST_SHORT_LIFETIME)

    def _ask(self, _since: int) -> Changes:
        """What :class:`EndedSet` asks for; StoreUnavailable while the issuer is slow or down: the last set serves."""
        self._flight.start()
        if not self._flight.wait(LONGEST_WAIT):
            raise StoreUnavailable("the issuer's revocations are still being fetched")
        if self._error is not None:
            raise StoreUnavailable(str(self._error))
        return Changes([], [])  # they are in the set already, also those of an answer that nobody waited for

    def _fetch(self) -> None:
        since, more = max(self._until - OVERLAP, 0), True
        try:
            while more:
                document = fetch_json(f"{self._url}{'&' if '?' in self._url else '?'}since={since}")
                changes = read_feed(document)
                self._learn(changes)
                more = document.get("more") is True and changes.until > since
                self._until = since = changes.until
            self._error = None
        except StoreUnavailable as error:
            self._error = error

    def _learn(self, feed: RevocationPage) -> None:
        self.ended.add(feed.ended)
        for session_id, after in feed.not_before.items():
            self.ended.invalidate_before([session_id], after)


class RevocationPage(NamedTuple):
    """One page of the feed: what ended, whose short sessions were expired and when, how far (ms) that reaches."""

    ended: list[str]
    not_before: dict[str, int]
    until: int


def read_feed(document: Any) -> RevocationPage:
    """The feed as JSON, checked; StoreUnavailable for anything else."""
    feed: dict[str, Any] = document if isinstance(document, dict) else {}
    ended, not_before, until = feed.get("ended"), feed.get("not_before", {}), feed.get("until")
    if (
        not isinstance(ended, list)
        or not isinstance(not_before, dict)
        or not all(isinstance(each, str) for each in ended)
        or not all(type(after) is int for after in (until, *not_before.values()))
    ):
        raise StoreUnavailable('expected the feed {"ended": [ids], "not_before": {id: time}, "until": time}')
    return RevocationPage(ended, not_before, feed["until"])
