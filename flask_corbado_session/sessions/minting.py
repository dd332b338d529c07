"""Short sessions are minted here: at sign-in, at step-up and at refresh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..keys.key import KeyRing
from ..model.clock import whole_seconds
from ..model.frozen import frozen
from ..model.records import ShortSession
from ..model.settings import Settings
from ..tokens.short import ShortTokenVerifier, mint, new_token_id

_AMR_LIMIT = 255
"""Characters of a session's authentication methods together."""

_ONE_SECOND = timedelta(seconds=1)


class Minter:
    """Makes the short sessions of one app. ``verifier`` is told of each: this process need not verify them."""

    def __init__(self, settings: Settings, keys: KeyRing, verifier: ShortTokenVerifier) -> None:
        self._settings = settings
        self._keys = keys
        self._verifier = verifier

    def mint(
        self,
        user_id: str,
        session_id: str,
        at: datetime,
        *,
        long_expires_at: datetime,
        auth_time: datetime,
        amr: Sequence[str],
        claims: Mapping[str, Any],
        not_before: datetime | None = None,
        bound: bool = False,
    ) -> tuple[ShortSession, str]:
        """A short session made at ``at``, and its token; ValueError names the claim that makes it too large.

        Those made until ``not_before`` no longer count.
        """
        # tokens hold whole seconds: one minted in the second in which older ones were invalidated must look newer
        issued_at = at if not_before is None else max(at, not_before + _ONE_SECOND)
        # a short session never outlives the long one it came from
        expires_at = min(issued_at + self._settings.short_lifetime, long_expires_at)
        short = ShortSession(
            user_id,
            session_id,
            whole_seconds(issued_at),
            whole_seconds(expires_at),
            self._settings.issuer,
            new_token_id(),
            whole_seconds(auth_time),
            tuple(amr),
            bound,
            frozen(claims),
        )
        version, key = self._keys.version, self._keys.signing(at)
        token = mint(short, key, self._settings.audience, self._settings.short_cookie)
        if issued_at <= at and self._keys.find(key.kid) is key:  # or this process would accept what others refuse
            self._verifier.remember(token, short, version)
        return short, token


def check_amr(amr: Iterable[str]) -> tuple[str, ...]:
    """Authentication methods (RFC 8176) as a tuple; ValueError for anything but a few short words."""
    # strings of our own: a member of an app's enum would be another object here than where the token is read
    methods = tuple(str.__str__(method) for method in ((amr,) if isinstance(amr, str) else amr))
    if not all(method and method.isprintable() and " " not in method for method in methods):
        raise ValueError('amr must be a list of words without spaces, such as ["pwd", "otp"]')
    if len(" ".join(methods)) > _AMR_LIMIT:
        raise ValueError(f"amr must be at most {_AMR_LIMIT} characters together")
    return methods
