"""A psycopg connection that gives up, with cursors that cost less. Imported where psycopg is in use, and only there."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

from psycopg import Connection, Cursor, OperationalError
from psycopg.rows import TupleRow

from .options import READ_TIMEOUT

T = TypeVar("T")


class PlainCursor(Cursor[TupleRow]):
    """Describes its columns as plain tuples (PEP 249).

    SQLAlchemy asks for them with every result and reads two fields of each. psycopg's own can do more, and making them
    took as long as the statement.
    """

    @property
    def description(self) -> Any:
        """Name and type of each column; None without a result."""
        result = self.pgresult
        if result is None or not result.nfields:
            return None
        return [
            ((result.fname(index) or b"").decode(errors="replace"), result.ftype(index), None, None, None, None, None)
            for index in range(result.nfields)
        ]


class BoundedConnection(Connection[TupleRow]):
    """Closes itself when the server says nothing for :data:`READ_TIMEOUT` seconds: stopped or unreachable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = PlainCursor

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """As psycopg's, within bounds."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        deadline = monotonic() + READ_TIMEOUT
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                # psycopg wakes a generator that waits every tenth of a second, with nothing ready
                if not ready and monotonic() > deadline:
                    self.pgconn.finish()
                    raise OperationalError(f"the server said nothing for {READ_TIMEOUT} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
