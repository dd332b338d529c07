"""A session's key in its row: stored once, read for each proof, and which challenges were answered with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, case, select, update

from .conditions import is_live, state_of
from .engine import Database
from .verdicts import Token


@dataclass(frozen=True, slots=True)
class BoundKey:
    """The key a live session is bound to."""

    jwk: str = field(repr=False)
    challenge_used: int
    """The newest challenge that was answered, in milliseconds."""


class BindingStore:
    """The statements of one database. Each raises :class:`StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session

    def bind(self, token: Token, jwk: str, challenge: int, at: datetime) -> bool:
        """Bind an unbound session to a key, if this is the token it started with or its current one; False if not.

        The row is moved on to the token, so that the browser can be given a child of it: a browser that comes back
        without that child never got the answer to its registration, and knows of no key. Moved on so early, because the
        parent of a session's first token is its root, which no browser holds. One statement.
        """
        c, now = self._session.c, self._database.time(at)
        is_first = (c.generation == 0) & (c.token_hash == token.parent_hash)
        is_current = (c.generation == token.generation) & (c.token_hash == token.hash)
        stmt = (
            update(self._session)
            .where(c.id == token.session_id, c.secret_hash == token.secret_hash, is_live(c, now))
            .where(c.binding_key.is_(None), is_current | is_first)
            .values(
                binding_key=jwk,
                binding_generation=token.generation + 1,
                challenge_used=challenge,
                challenge_used_before=challenge,
                generation=token.generation,
                token_hash=token.hash,
                rotated_at=now,
                reopened=0,
            )
        )
        return self._database.run(lambda connection: connection.execute(stmt).rowcount == 1, writes=True)

    def key(self, token: Token, at: datetime) -> BoundKey | None:
        """The key of a session; None where it is not live, or not bound. One statement."""
        values = {"sid": token.session_id, "secret": token.secret_hash}
        row = self._database.run(lambda connection: connection.execute(self._select, values).one_or_none())
        if row is None or row.binding_key is None or state_of(row, self._database.time(at)) != "live":
            return None
        return BoundKey(row.binding_key, row.challenge_used)

    def use_challenge(self, token: Token, challenge: int) -> bool:
        """Note that a challenge was answered; False if it was before, or is older than the newest two. One statement.

        Of two that were out at the same time, either may be answered first.
        """
        values = {"sid": token.session_id, "secret": token.secret_hash, "answered": challenge}
        return self._database.run(lambda connection: connection.execute(self._use, values).rowcount == 1, writes=True)

    @cached_property
    def _select(self) -> Any:
        c = self._session.c
        columns = (c.binding_key, c.challenge_used, c.ended_at, c.expires_at, c.idle_expires_at)
        return select(*columns).where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"))

    @cached_property
    def _use(self) -> Any:
        c = self._session.c
        answered = bindparam("answered", type_=c.challenge_used.type)
        is_newest = c.challenge_used < answered
        return (
            update(self._session)
            .where(c.id == bindparam("sid"), c.secret_hash == bindparam("secret"))
            .where(c.challenge_used_before < answered, c.challenge_used != answered)
            .ordered_values(  # MySQL evaluates left to right
                (c.challenge_used_before, case((is_newest, c.challenge_used), else_=answered)),
                (c.challenge_used, case((is_newest, answered), else_=c.challenge_used)),
            )
        )
