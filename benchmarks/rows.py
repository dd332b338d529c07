"""A great many sessions for ``benchmarks.operator``: made by the database itself, since a million is a lot to send.

Ninety days of sign-ins, five sessions a user and two devices; three in ten ended, for every reason; the rest idle out.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

from flask_corbado_session.database.tables import Tables

DAY = 86_400_000
REASONS = ("signed_out", "signed_out", "signed_out", "revoked", "operator", "superseded", "user_disabled", "limit")
BROWSERS = ("Chrome", "Safari", "Firefox", "Edge", "Samsung Internet")
SYSTEMS = ("Windows", "iPhone", "Linux", "macOS", "Android")
FORMS = ("desktop", "phone", "desktop", "desktop", "phone")

_NUMBERS = {
    "postgresql": "SELECT i FROM generate_series(CAST(0 AS bigint), {last}) AS numbers(i)",
    "sqlite": "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {last}) "
    "SELECT i FROM numbers",
}
_WORDS = {
    "postgresql": {
        "session_id": "left(md5('s' || i), 30)",
        "padded": "lpad(CAST({0} AS text), {1}, '0')",
        "hash": "decode(md5('a' || i) || md5('b' || i), 'hex')",
    },
    "sqlite": {
        "session_id": "lower(hex(randomblob(15)))",
        "padded": "printf('%0{1}d', {0})",
        "hash": "randomblob(32)",
    },
}


_HASTE = {
    "postgresql": ("SET LOCAL session_replication_role = replica", "SET LOCAL maintenance_work_mem = '256MB'"),
    "sqlite": ("PRAGMA cache_size = -500000", "PRAGMA synchronous = OFF"),
}
"""What speeds up the filling: no foreign key is checked, row by row."""


def fill(engine: Engine, tables: Tables, sessions: int, now: int) -> None:
    """Put that many sessions, two fifths as many devices, into the empty tables; ``now`` in milliseconds.

    The indexes are made afterwards, which is many times faster.
    """
    kind = engine.dialect.name
    indexes = [index for table in (tables.session, tables.device) for index in table.indexes]
    with engine.begin() as connection:
        for statement in _HASTE[kind]:
            connection.execute(text(statement))
        for index in indexes:
            index.drop(connection)
        connection.execute(text(_devices(kind, sessions * 2 // 5, now)))
        connection.execute(text(_sessions(kind, sessions, now)))
        for index in indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if kind == "sqlite" else "VACUUM ANALYZE"))


def _devices(kind: str, count: int, now: int) -> str:
    words = _WORDS[kind]
    at = f"{now - 90 * DAY} + i * {90 * DAY // count}"
    return f"""
        INSERT INTO corbado_device (id, user_id, cookie_hash, name, user_agent, browser, system, form, first_seen_at)
        SELECT 'D' || {_padded(kind, "i", 29)}, {_user(kind, "i / 2")}, {words["hash"]}, NULL, NULL,
               {_one_of(BROWSERS, "i % 5")}, {_one_of(SYSTEMS, "i % 5")}, {_one_of(FORMS, "i % 5")}, {at}
        FROM ({_NUMBERS[kind].format(last=count - 1)}) AS n"""


def _sessions(kind: str, count: int, now: int) -> str:
    """Session i starts i-th in time, on a device that its arithmetic scatters over all."""
    words, devices = _WORDS[kind], count * 2 // 5
    device = f"((i * 7919) % {devices})"
    at = f"({now - 90 * DAY} + i * {90 * DAY // count})"
    used = f"(CASE WHEN {at} + (i % 20) * {DAY} < {now} THEN {at} + (i % 20) * {DAY} ELSE {now} - i % 1000 END)"
    ends = f"(i % 10 < 3 AND i % 20 * {DAY} < {now} - {at})"
    return f"""
        INSERT INTO corbado_session (id, user_id, device_id, secret_hash, gen, cur, at, win, step, created_at,
            last_seen_at, idle_expires_at, expires_at, ended_at, end_reason, persistent, claims, auth_time, amr, ip,
            user_agent)
        SELECT {words["session_id"]}, {_user(kind, f"{device} / 2")}, 'D' || {_padded(kind, device, 29)},
            {words["hash"]}, 3, {words["hash"]}, {used}, 0, 0, {at}, {used}, {used} + {7 * DAY}, {at} + {30 * DAY},
            CASE WHEN {ends} THEN {used} END, CASE WHEN {ends} THEN {_reason("i % 997", "i / 10 % 8")} END,
            {"1" if kind == "sqlite" else "true"}, '{{}}', {at}, 'pwd', '10.' || (i % 250) || '.' || (i % 199) || '.7',
            'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
        FROM ({_NUMBERS[kind].format(last=count - 1)}) AS n"""


def _padded(kind: str, number: str, length: int) -> str:
    return _WORDS[kind]["padded"].format(number, length)


def _user(kind: str, number: str) -> str:
    return "'user-' || " + _padded(kind, f"({number})", 7)


def _one_of(words: tuple[str, ...], number: str) -> str:
    return f"CASE {number} " + " ".join(f"WHEN {n} THEN '{word}'" for n, word in enumerate(words)) + " END"


def _reason(rare: str, number: str) -> str:
    """Mostly the common ones; one in a thousand was stolen."""
    return f"CASE WHEN {rare} = 0 THEN 'reuse' ELSE {_one_of(REASONS, number)} END"
