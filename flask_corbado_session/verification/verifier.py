"""Verifying short sessions in another service than the one that makes them: without a database, and without Flask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from ..model.clock import Clock
from ..model.errors import StoreUnavailable
from ..model.records import Changes, ShortSession
from ..tokens.short import ShortTokenVerifier
from .ended import OVERLAP, EndedSet
from .http import check_url, fetch_json
from .remote_keys import RemoteKeys
from .short_sessions import ShortSessionAuthenticator

LONGEST_SHORT_LIFETIME = timedelta(hours=1)
"""The issuer's own is not known here; an hour is the longest that can be set."""


class ShortSessionVerifier:
    """Verifies the short sessions of an issuer by its published keys. Make one per process and keep it.

    :param issuer: the ``iss`` that tokens must have: the issuer's ``CORBADO_SESSION_ISSUER``.
    :param jwks_url: where its keys are, such as ``https://auth.example.com/.well-known/jwks.json``; http or https.
        They are fetched at the first token, and again every four minutes, in the background.
    :param audience: the ``aud`` that tokens must have; None: they must have none.
    :param revocations_url: its ``/session/revocations``, http or https. A revoked session is then refused within two
        intervals. None: it is accepted until its short session expires.
    :param revocation_interval: how often the revocations are fetched at most. They are fetched only when a token is
        verified.
    :param clock: the clock to go by; None: the system's.
    :raises ValueError: if a URL is not http or https, names no host, or holds a user name or a password.
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
        """Verify a token.

        :param token: the token as it stands in the cookie, or after ``Bearer``.
        :returns: the short session, all its times aware and in UTC.
        :raises InvalidShortSession: if the token is not valid now; its ``code`` says why. While the issuer has never
            been reached that is ``unknown_key``, after three seconds at most.
        """
        return self.short_sessions.verify(token)


class RevocationPoller:
    """Keeps an ended set by polling the issuer's revocation feed.

    The feed's times are the issuer's, so that the two clocks may differ.
    """

    def __init__(self, url: str, clock: Clock, interval: timedelta) -> None:
        self._url = check_url(url)
        self._until = 0
        self.ended = EndedSet(self._poll, clock, interval, LONGEST_SHORT_LIFETIME)

    def _poll(self, _since: int) -> Changes:
        """Poll, for :class:`EndedSet`, page by page; what came before a page that failed is in the set already."""
        since, more = max(self._until - OVERLAP, 0), True
        while more:
            document = fetch_json(f"{self._url}{'&' if '?' in self._url else '?'}since={since}")
            page = read_feed(document)
            self._record(page)
            more = document.get("more") is True and page.until > since
            self._until = since = page.until
        return Changes()

    def _record(self, page: RevocationPage) -> None:
        self.ended.add(page.ended)
        for session_id, at in page.not_before.items():
            self.ended.invalidate_before([session_id], at)


class RevocationPage(NamedTuple):
    """One page of the feed: the ids that ended, the not-before times by id, and how far the page reaches (ms)."""

    ended: list[str]
    not_before: dict[str, int]
    until: int


def read_feed(document: Any) -> RevocationPage:
    """The page in a JSON document; StoreUnavailable if it is none."""
    feed: dict[str, Any] = document if isinstance(document, dict) else {}
    ended, not_before, until = feed.get("ended"), feed.get("not_before", {}), feed.get("until")
    if (
        not isinstance(ended, list)
        or not isinstance(not_before, dict)
        or not all(isinstance(session_id, str) for session_id in ended)
        or not all(type(at) is int for at in (until, *not_before.values()))
    ):
        raise StoreUnavailable('expected the feed {"ended": [ids], "not_before": {id: time}, "until": time}')
    return RevocationPage(ended, not_before, feed["until"])
