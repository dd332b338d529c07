"""The tables, as Core tables in the app's own metadata, so that ``db.create_all()`` and migrations see them.

DESIGN §7 names two, of sessions and devices; the third records what operators did (who, what, how many, when), which
outlives the sessions it was done to. It is written by the operator pages and the operator API alone.

Times are integer milliseconds since the epoch: SQLite loses offsets, MariaDB drops fractions. Ids compare
case-sensitively on every database.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    BINARY,
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.types import TypeEngine

from ..model.records import DEVICE_NAME_LENGTH
from ..model.users import USER_ID_LENGTH
from .exact import exact

SESSION = "corbado_session"
DEVICE = "corbado_device"
OPERATOR_ACTION = "corbado_operator_action"
SESSION_FILLFACTOR = 90
"""Percent of a page that inserted sessions fill, on PostgreSQL."""


class Tables(NamedTuple):
    """The tables of one metadata."""

    session: Table
    device: Table
    operator_action: Table


def tables_in(metadata: MetaData) -> Tables:
    """The tables of this metadata, built the first time they are asked for."""
    # a metadata with a schema has it in the keys of its tables
    session, device, operator_action = (
        metadata.tables.get(f"{metadata.schema}.{name}" if metadata.schema else name)
        for name in (SESSION, DEVICE, OPERATOR_ACTION)
    )
    if session is None or device is None or operator_action is None:
        device = _device_table(metadata)
        tables = Tables(_session_table(metadata, device), device, _operator_action_table(metadata))
        if not _STORAGE:
            statement = f"ALTER TABLE %(fullname)s SET (fillfactor = {SESSION_FILLFACTOR})"
            fill = DDL(statement)  # type: ignore[no-untyped-call] # SQLAlchemy 2.1 has not typed it
            event.listen(tables.session, "after_create", fill.execute_if(dialect="postgresql"))
        return tables
    return Tables(session, device, operator_action)


_UTF8: dict[str, Any] = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}
"""Whatever the server's default is, a device may be named in any letters."""

_PREFIX = {"device_id": 29}


def _storage() -> dict[str, Any]:
    """Room on every page for the new version of a refreshed row: no column of an index changes then, so PostgreSQL
    writes no index entry as long as the new version fits on the page of the old one.

    Empty before SQLAlchemy 2.1, which alone can create a table so.
    """
    storage: dict[str, Any] = {"postgresql_with": {"fillfactor": SESSION_FILLFACTOR}}
    try:
        Table("a_table", MetaData(), **storage)
    except ArgumentError:
        return {}
    return storage


_STORAGE = _storage()


def _hash() -> TypeEngine[bytes]:
    return LargeBinary(32).with_variant(BINARY(32), "mysql", "mariadb")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _device_table(metadata: MetaData) -> Table:
    return Table(
        DEVICE,
        metadata,
        Column("id", exact(30, is_ascii=True), nullable=False),
        Column("user_id", exact(USER_ID_LENGTH), nullable=False),
        Column("cookie_hash", _hash(), nullable=False),
        Column("name", String(DEVICE_NAME_LENGTH)),
        Column("user_agent", String(512)),
        Column("browser", String(64), nullable=False),
        Column("system", String(64), nullable=False),
        Column("device_type", String(16), nullable=False),
        Column("first_seen_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name="pk_corbado_device"),
        UniqueConstraint("user_id", "cookie_hash", name="uq_corbado_device_user_id_cookie_hash"),
        Index("ix_corbado_device_first_seen_at", "first_seen_at", "id"),
        **_UTF8,
    )


def _binding_columns() -> list[Column[Any]]:
    return [
        # the browser's public key (a JWK), and the first generation of long tokens that comes with a proof by it
        Column("binding_key", Text),
        Column("binding_generation", Integer),
        # the newest two challenges that were answered, in milliseconds
        Column("challenge_used", BigInteger),
        Column("challenge_used_before", BigInteger),
    ]


def _session_table(metadata: MetaData, device: Table) -> Table:
    return Table(
        SESSION,
        metadata,
        Column("id", exact(30, is_ascii=True), nullable=False),
        Column("user_id", exact(USER_ID_LENGTH), nullable=False),
        Column("device_id", exact(30, is_ascii=True), nullable=False),
        # rotation (PROTOCOL.md, "Row"); step is how far the last accepted token was ahead of the row
        Column("secret_hash", _hash(), nullable=False),
        Column("generation", Integer, nullable=False),
        Column("token_hash", _hash(), nullable=False),
        Column("rotated_at", BigInteger, nullable=False),
        Column("reopened", Integer, nullable=False),
        Column("last_step", Integer, nullable=False),
        # lifetimes
        Column("created_at", BigInteger, nullable=False),
        Column("last_seen_at", BigInteger, nullable=False),
        Column("idle_expires_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("ended_at", BigInteger),
        Column("end_reason", String(16)),
        # short sessions made before this are not accepted any more, though the long one lives (expire_short)
        Column("short_not_before", BigInteger),
        # what the short session is made of
        Column("persistent", Boolean(create_constraint=False), nullable=False),
        Column("claims", Text, nullable=False),
        Column("auth_time", BigInteger, nullable=False),
        Column("amr", String(255), nullable=False),
        # where it was last refreshed from, and the second context of a reopened or stolen one
        Column("ip", String(45)),
        Column("user_agent", String(512)),
        Column("previous_ip", String(45)),
        Column("previous_user_agent", String(512)),
        *_binding_columns(),
        PrimaryKeyConstraint("id", name="pk_corbado_session"),
        ForeignKeyConstraint(["device_id"], [device.c.id], name="fk_corbado_session_device_id"),
        Index("ix_corbado_session_user_id_ended_at_expires_at", "user_id", "ended_at", "expires_at"),
        # Partial, where the database knows that: SQLite takes "ended_at IS NULL" for as rare as any other value, and
        # would walk through all live sessions by this index in place of the one that finds the few it wants.
        Index("ix_corbado_session_ended_at", "ended_at", **_where("ended_at IS NOT NULL")),
        Index("ix_corbado_session_short_not_before", "short_not_before", **_where("short_not_before IS NOT NULL")),
        Index("ix_corbado_session_created_at", "created_at", "id"),
        Index("ix_corbado_session_expires_at", "expires_at"),
        # not of the whole column on MySQL, so that the foreign key keeps an index of its own there: a migration that
        # takes the tables back drops the indexes first, and MySQL refuses that for the one a foreign key needs
        Index("ix_corbado_session_device_id", "device_id", mysql_length=_PREFIX, mariadb_length=_PREFIX),
        **_UTF8,
        **_STORAGE,
    )


def _operator_action_table(metadata: MetaData) -> Table:
    return Table(
        OPERATOR_ACTION,
        metadata,
        Column("id", exact(30, is_ascii=True), nullable=False),
        Column("at", BigInteger, nullable=False),
        # the operator's user id, or the project id for the operator API
        Column("operator_id", exact(USER_ID_LENGTH), nullable=False),
        Column("via", String(8), nullable=False),
        Column("action", String(16), nullable=False),
        # the id of a session, a device or a user, or a time; no foreign key, since it outlives what it names
        Column("target", exact(USER_ID_LENGTH), nullable=False),
        # how many sessions were ended; none while it is being done, or when it was broken off
        Column("sessions", Integer),
        PrimaryKeyConstraint("id", name="pk_corbado_operator_action"),
        Index("ix_corbado_operator_action_at", "at", "id"),
        **_UTF8,
    )


OLD_LOGIN = "corbado_old_login"


def old_login_in(metadata: MetaData) -> Table | None:
    """The table of ``database/old_logins.py``, which is there only where old logins are moved."""
    return metadata.tables.get(f"{metadata.schema}.{OLD_LOGIN}" if metadata.schema else OLD_LOGIN)
