"""Whether a pooler shares its sessions among clients, so that a SET of ours would reach other people's statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_ROUNDS = 4


def is_shared(connection: Any, open_another: Callable[[], Any]) -> bool:
    """Whether two connections that are both open turn out to be the same session of PostgreSQL, or one to be several.

    A pooler in transaction mode hands the session it used last to whoever asks next: an idle one gives both clients the
    same, a busy one gives each client another every time.
    """
    other = open_another()
    try:
        ours, others = set(), set()
        for _ in range(_ROUNDS):
            ours.add(_backend_pid(connection))
            others.add(_backend_pid(other))
            other.rollback()
        return len(ours) > 1 or bool(ours & others)
    finally:
        other.close()


def _backend_pid(connection: Any) -> Any:
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]
    finally:
        cursor.close()
