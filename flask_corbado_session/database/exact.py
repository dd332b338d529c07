"""Texts that compare exactly on every database: case and trailing spaces count.

On MariaDB and MySQL they are kept as VARBINARY. Their default collations ignore case, the ``_bin`` ones pad with spaces
(``alice`` equals ``alice `` there), and those that do neither have a different name on each server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import VARBINARY, Dialect, String
from sqlalchemy.types import TypeEngine

_BYTES = 4
"""Of a character in UTF-8 at most."""


def exact(length: int, *, is_ascii: bool = False) -> TypeEngine[str]:
    """A text of at most ``length`` characters that compares exactly."""
    return String(length).with_variant(_Varbinary(length if is_ascii else length * _BYTES), "mysql", "mariadb")


class _Varbinary(VARBINARY):
    """MySQL's VARBINARY of a text in UTF-8.

    It gives itself out as SQLAlchemy's own, and is that to the database: a migration then holds ``sa.VARBINARY``
    and needs nothing of ours to run.
    """

    __module__ = VARBINARY.__module__
    cache_ok = True

    def __repr__(self) -> str:
        return f"VARBINARY(length={self.length})"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Bytes for the driver."""
        return lambda value: value.encode() if isinstance(value, str) else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """The text."""
        return lambda value: bytes(value).decode() if isinstance(value, (bytes, bytearray, memoryview)) else value
