"""A short session's facts, for tests of what signs and verifies them."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_corbado_session.model.records import ShortSession


def a_short_session(at: datetime, lifetime: timedelta = timedelta(minutes=15)) -> ShortSession:
    """Alice's, of the issuer ``tests``."""
    return ShortSession(
        user_id="alice",
        session_id="A" * 30,
        issued_at=at,
        expires_at=at + lifetime,
        issuer="tests",
        token_id="jti",
        auth_time=at,
        amr=("pwd",),
        claims={},
    )
