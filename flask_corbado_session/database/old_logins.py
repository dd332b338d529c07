"""Old logins of another extension: which of them may not come back, because something of their user has ended here.

The table is part of the metadata only in an app that moves old logins (``migration``).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from ..model.clock import from_ms, to_ms
from ..model.errors import ConstraintViolated
from ..model.users import USER_ID_LENGTH
from .conditions import is_live
from .engine import Database
from .exact import exact
from .tables import OLD_LOGIN, old_login_in


def old_login_table(metadata: MetaData) -> Table:
    """The table in this metadata, built the first time it is asked for: one row for a user who was signed out."""
    known = old_login_in(metadata)
    if known is not None:
        return known
    return Table(
        OLD_LOGIN,
        metadata,
        Column("user_id", exact(USER_ID_LENGTH), nullable=False),
        # old logins made before this are not moved any more
        Column("not_before", BigInteger, nullable=False),
        PrimaryKeyConstraint("user_id", name="pk_corbado_old_login"),
    )


class OldLoginStore:
    """What one database knows of them. Raises :class:`StoreUnavailable` when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session = database.tables.session
        self._old_login = old_login_table(database.metadata)

    def last_end(self, user_id: str, now: datetime) -> datetime | None:
        """When a session of this user last ended or ran out here, or all of theirs were revoked. One statement.

        A session that gave its place to a newer one in the same browser does not count.
        """
        s, o = self._session.c, self._old_login.c
        over = not_(is_live(s, to_ms(now))) & or_(s.end_reason.is_(None), s.end_reason != "superseded")
        # a session is idle at the latest when it expires
        ended = select(func.max(func.coalesce(s.ended_at, s.idle_expires_at))).where(s.user_id == user_id, over)
        marked = select(o.not_before).where(o.user_id == user_id)
        stmt = ended.union_all(marked)
        times = self._database.run(lambda connection: connection.execute(stmt).scalars().all())
        last = max((time for time in times if time is not None), default=None)
        return None if last is None else from_ms(last)

    def refuse(self, user_id: str, now: datetime) -> None:
        """Move no old login of this user that was made up to now. One statement, two at the first time."""
        c, at = self._old_login.c, to_ms(now)
        renew = update(self._old_login).where(c.user_id == user_id).values(not_before=at)
        if self._database.run(lambda connection: connection.execute(renew).rowcount):
            return
        row = {"user_id": user_id, "not_before": at}
        try:
            self._database.run(lambda connection: connection.execute(insert(self._old_login), row))
        except ConstraintViolated:  # somebody else did the same at once
            return
