"""What a long token comes to against its session's row: what the rotation gives back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Row

from ..model.clock import from_ms
from ..model.records import Context, GoneReason, RefreshKind
from .conditions import state_of


class Token(Protocol):
    """What the transition asks of a long token."""

    @property
    def session_id(self) -> str: ...
    @property
    def secret_hash(self) -> bytes: ...
    @property
    def generation(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...


class Accepted(NamedTuple):
    """The token was good: what the new short session is made of, and whether the browser gets a child of the token."""

    kind: RefreshKind
    user_id: str
    expires_at: datetime
    auth_time: datetime
    amr: tuple[str, ...]
    persistent: bool
    claims: Mapping[str, Any]
    short_not_before: datetime | None
    previous: Context | None
    bound: bool = False
    """Whether the session is bound to a key of the browser's, and this refresh was proven by it."""

    @property
    def gets_child(self) -> bool:
        """HOLD alone leaves the browser the token it has."""
        return self.kind != "hold"


class Gone(NamedTuple):
    """The session no longer serves. ``found_now`` is true for the one call that found the reuse and ended it."""

    reason: GoneReason
    user_id: str | None = None
    found_now: bool = False
    previous: Context | None = None


class ProofMissing(NamedTuple):
    """The session is bound to a key of the browser's, and the token came without a proof by it. Nothing was changed."""

    user_id: str
    previous: Context
    """Where the session was refreshed last."""
    age: timedelta
    """How long ago that was, by the one clock that all processes share."""


Verdict = Accepted | Gone | ProofMissing


def gone(row: Row[Any] | None, now: int) -> Gone | None:
    """Why a session no longer serves, if it does not."""
    if row is None:
        return Gone("missing")
    state = state_of(row, now)
    return None if state == "live" else Gone(row.end_reason if state == "ended" else state, row.user_id)


def kind_of(row: Any) -> RefreshKind:
    """Which row of the table it was that the statement matched."""
    return "promote" if row.last_step == 1 else "reopen" if row.last_step == 0 else "rollback"


def accepted_by(kind: RefreshKind, row: Any, *, bound: bool = False) -> Accepted:
    """What the row of a session gives for a token that was accepted."""
    return Accepted(
        kind=kind,
        user_id=row.user_id,
        expires_at=from_ms(row.expires_at),
        auth_time=from_ms(row.auth_time),
        amr=tuple(row.amr.split()),
        persistent=row.persistent,
        claims={} if row.claims == "{}" else json.loads(row.claims),
        short_not_before=None if row.short_not_before is None else from_ms(row.short_not_before),
        previous=Context(row.previous_ip, row.previous_user_agent) if kind == "reopen" else None,
        bound=bound,
    )
