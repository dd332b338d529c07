"""A psycopg connection that gives up, with cursors that cost less. Imported where psycopg is in use, and only there."""

from __future__ import annotations

from collections.abc import Generator
from operator import itemgetter
from time import monotonic
from typing import Any, TypeVar

from psycopg import Connection, Cursor, OperationalError
from psycopg.rows import TupleRow

from .options import READ_TIMEOUT

T = TypeVar("T")


class _Column(tuple[Any, ...]):
    """A column as PEP 249 describes it, with the names that psycopg's own has for what is known of it."""

    __slots__ = ()
    name = property(itemgetter(0))
    type_code = property(itemgetter(1))


class PlainCursor(Cursor[TupleRow]):
    """Describes its columns by name and type alone.

    SQLAlchemy asks for that with every result. psycopg's own columns can do more, and making them took as long as the
    statement.
    """

    @property
    def description(self) -> Any:
        """The columns of the result; None without one."""
        result = self.pgresult
        names = [] if result is None else [result.fname(index) or b"" for index in range(result.nfields)]
        if result is None or not names or not b"".join(names).isascii():
            return super().description
        return [
            _Column((name.decode(), result.ftype(index), None, None, None, None, None))
            for index, name in enumerate(names)
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
