"""What a database's error means, by SQLSTATE and by the drivers' own codes.

The text of an error that is about a row's values (SQLSTATE classes 22 and 23) may quote them, so it goes no further.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ..model.errors import BadData, ConstraintViolated, StoreUnavailable, TablesMissing
from .options import TIMEOUT

Kind = Literal["tables", "permission", "refused", "data", "constraint", "conflict", "lost", "locked", "down"]

_STATES: dict[str, Kind] = {
    "42P01": "tables", "42703": "tables", "3F000": "tables", "42S02": "tables", "42S22": "tables",
    "42501": "permission",
    "28000": "refused", "28P01": "refused", "3D000": "refused",
    "40001": "conflict", "40P01": "conflict", "40003": "conflict",
    "25006": "lost", "57P01": "lost", "57P02": "lost",  # a primary that became a standby; one that is shut down
    "55P03": "locked",
}  # fmt: skip
_CLASSES: dict[str, Kind] = {"22": "data", "23": "constraint"}

_MYSQL: dict[int, Kind] = {
    1146: "tables", 1054: "tables",
    1142: "permission", 1143: "permission", 1044: "permission", 1227: "permission",
    1045: "refused", 1049: "refused", 1698: "refused", 1524: "refused",
    1366: "data", 1406: "data", 1264: "data", 1292: "data", 3988: "data", 1267: "data", 3854: "data",
    # deadlock or Galera's certification, lock wait, a row that changed (MariaDB 11.6), a node that is not yet ready,
    # TiDB's write conflicts
    1213: "conflict", 1205: "conflict", 1020: "conflict", 1047: "conflict", 9007: "conflict", 8022: "conflict",
    1290: "lost", 1792: "lost", 1836: "lost", 1053: "lost",  # read-only: it was the primary; shutting down
}  # fmt: skip

_SQLITE: dict[str, Kind] = {
    "SQLITE_READONLY": "permission", "SQLITE_PERM": "permission", "SQLITE_AUTH": "permission",
    "SQLITE_TOOBIG": "data", "SQLITE_MISMATCH": "data",
    "SQLITE_BUSY_SNAPSHOT": "conflict", "SQLITE_BUSY": "locked", "SQLITE_LOCKED": "locked",
    "SQLITE_LOCKED_SHAREDCACHE": "locked",
}  # fmt: skip

_TEXTS: tuple[tuple[str, Kind], ...] = (
    # a connection that could not be made has no SQLSTATE, nor has SQLite a code for each
    ("no such table", "tables"), ("no such column", "tables"), ("has no column named", "tables"),
    ("restart transaction", "conflict"), ("certification", "conflict"),
    ("connection not available", "lost"),  # mysql-connector's, at a cursor of a connection that was closed
    ("database is locked", "locked"), ("table is locked", "locked"),
    ("authentication failed", "refused"), ("no pg_hba.conf entry", "refused"), ("access denied", "refused"),
    ("is not permitted to log in", "refused"), ("unknown database", "refused"),
)  # fmt: skip


SQLITE_LOCKED = (
    f"the SQLite database stayed locked for {TIMEOUT} s; if the request itself holds a write open in db.session, call "
    "db.session.commit() before it signs in, out or first asks for the session"
)


class Failure(NamedTuple):
    """What an error means, and the code that said so."""

    kind: Kind
    code: str

    def error(self, cause: DBAPIError | OSError) -> Exception:
        """What the callers of the database get, chained to what the driver said unless that may quote a value."""
        error = self._error(cause)
        error.__cause__ = None if self.kind in ("data", "constraint") else cause
        error.__suppress_context__ = True
        return error

    def _error(self, cause: DBAPIError | OSError) -> Exception:
        match self.kind:
            case "tables":
                return TablesMissing()
            case "constraint":
                return ConstraintViolated(self.code)
            case "data":
                return BadData(f"the database can't hold a value it was given ({self.code})")
        return StoreUnavailable(f"{_SAID[self.kind]} ({self.code})" if self.kind in _SAID else self._down(cause))

    def _down(self, cause: DBAPIError | OSError) -> str:
        orig = _said_by(cause)
        if self.kind == "locked" and orig.__class__.__module__.startswith(("sqlite3", "pysqlcipher", "_sqlite3")):
            return SQLITE_LOCKED
        return f"the database of the long sessions did not answer: {type(orig).__name__} ({self.code})"


_SAID: dict[Kind, str] = {
    "permission": "permission denied: GRANT SELECT, INSERT, UPDATE, DELETE on the corbado_* tables to the app's role",
    "refused": "the database refused the connection: check the role, its password, and the name of the database",
    "conflict": f"the database refused the statement because of others at the same time, for {TIMEOUT} s",
}


def classify(error: DBAPIError | OSError) -> Failure:
    """What this error means. pg8000 has none of its own for a server that does not answer: that is an OSError."""
    orig = _said_by(error)
    code = _code(orig)
    kind = _by_code(code) or _by_text(str(orig))
    if kind is None:
        if isinstance(error, IntegrityError):
            kind = "constraint"
        elif isinstance(error, DataError):
            kind = "data"
        elif isinstance(error, DBAPIError) and error.connection_invalidated:
            kind = "lost"
    return Failure(kind or "down", code or type(orig).__name__)


def _said_by(error: DBAPIError | OSError) -> BaseException | None:
    """The driver's own error."""
    return error.orig if isinstance(error, DBAPIError) else error


def _code(orig: Any) -> str:
    """SQLSTATE, MySQL's number, or SQLite's name; empty where the driver gives none."""
    name = getattr(orig, "sqlite_errorname", None)
    if name is not None:
        return str(name)
    first = orig.args[0] if getattr(orig, "args", ()) else None
    if isinstance(first, int):  # PyMySQL, mysqlclient
        return str(first)
    if isinstance(getattr(orig, "errno", None), int) and orig.errno > 0:  # mysql-connector, mariadb
        return str(orig.errno)
    if isinstance(first, dict):  # pg8000
        return str(first.get("C", ""))
    return str(getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None) or "")


def _by_code(code: str) -> Kind | None:
    if code.isdigit() and len(code) == 4:
        return _MYSQL.get(int(code))
    return _SQLITE.get(code) or _STATES.get(code) or (_CLASSES.get(code[:2]) if len(code) == 5 else None)


def _by_text(text: str) -> Kind | None:
    lowered = text.lower()
    for part, kind in _TEXTS:
        if part in lowered:
            return kind
    if "fatal:" in lowered and "does not exist" in lowered:  # the role or the database, at the connection
        return "refused"
    return None
