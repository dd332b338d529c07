"""Short sessions are minted here: at sign-in, at step-up and at refresh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..keys.key import KeyRing
from ..model.clock import whole_seconds
from ..model.frozen import frozen
from ..model.records import ShortSession
from ..model.settings import Settings
from ..tokens.short import ShortTokenVerifier, mint, new_token_id

_AMR_LIMIT = 255
"""Characters of a session's authentication methods together."""


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
        bound: bool = False,
    ) -> tuple[ShortSession, str]:
        """A short session made at ``at``, and its token; ValueError names the claim that makes it too large."""
        short = ShortSession(
            user_id=user_id,
            session_id=session_id,
            issued_at=whole_seconds(at),
            # a short session never outlives the long one it came from
            expires_at=whole_seconds(min(at + self._settings.short_lifetime, long_expires_at)),
            issuer=self._settings.issuer,
            token_id=new_token_id(),
            auth_time=whole_seconds(auth_time),
            amr=tuple(amr),
            bound=bound,
            claims=frozen(claims),
        )
        version = self._keys.version
        token = mint(short, self._keys.signing(at), self._settings.audience, self._settings.short_cookie)
        self._verifier.remember(token, short, version)
        return short, token


def check_amr(amr: Iterable[str]) -> tuple[str, ...]:
    """Authentication methods (RFC 8176) as a tuple; ValueError for anything but a few short words."""
    methods = (amr,) if isinstance(amr, str) else tuple(amr)
    if not all(method and method.isprintable() and " " not in method for method in map(str, methods)):
        raise ValueError('amr must be a list of words without spaces, such as ["pwd", "otp"]')
    if len(" ".join(methods)) > _AMR_LIMIT:
        raise ValueError(f"amr must be at most {_AMR_LIMIT} characters together")
    return methods
