"""Verifying short sessions where they were not made: without a database, and without Flask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

from .clock import Clock
from .ended_set import LONGEST_WAIT, EndedSet
from .errors import StoreUnavailable
from .lifecycle import ShortSessions
from .records import Changes, ShortSession
from .remote import SingleFlight, fetch_json
from .remote_keys import RemoteKeys
from .short_token import ShortTokenVerifier

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
            feed = _Feed(revocations_url)
            ended = EndedSet(feed.changes_since, clock, revocation_interval, LONGEST_SHORT_LIFETIME)
        self.short_sessions = ShortSessions(verifier, ended, clock)

    def verify(self, token: str) -> ShortSession:
        """The short session; :class:`InvalidShortSession`, with a ``code`` for machines, if it does not hold."""
        return self.short_sessions.verify(token)


class _Feed:
    """The issuer's list of ended sessions; fetched in the background, for a quarter of a second waited for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._since = 0
        self._answer: Callable[[], Changes] = _nothing_yet
        self._flight = SingleFlight(self._fetch)

    def changes_since(self, since: int) -> Changes:
        """What :class:`EndedSet` asks for; StoreUnavailable while the issuer is slow or down: the last set serves."""
        self._since = since
        done: Event = self._flight.start()
        done.wait(LONGEST_WAIT)
        # the last answer, be it one that came too late for whoever asked for it
        answer, self._answer = self._answer, _nothing_yet
        return answer()

    def _fetch(self) -> None:
        since = self._since
        try:
            document = fetch_json(f"{self._url}{'&' if '?' in self._url else '?'}since={since}")
            changes = read_feed(document)
        except StoreUnavailable as error:
            self._answer = _raiser(error)
            return
        self._answer = lambda: changes


def read_feed(document: Any) -> Changes:
    """The ids of the feed and when, at the latest, they ended; and those whose short sessions were expired."""
    feed: dict[str, Any] = document if isinstance(document, dict) else {}
    ended, renewed, until = feed.get("ended"), feed.get("renewed", {}), feed.get("until")
    if (
        not isinstance(ended, list)
        or not isinstance(renewed, dict)
        or not all(isinstance(each, str) for each in ended)
        or not all(type(after) is int for after in (until, *renewed.values()))
    ):
        raise StoreUnavailable('expected the feed {"ended": [ids], "renewed": {id: time}, "until": time}')
    return Changes([(session_id, feed["until"]) for session_id in ended], list(renewed.items()))


def _nothing_yet() -> Changes:
    raise StoreUnavailable("the issuer's revocations are still being fetched")


def _raiser(error: StoreUnavailable) -> Callable[[], Changes]:
    def raise_it() -> Changes:
        raise error

    return raise_it
