"""A psycopg connection that gives up. Imported where psycopg is in use, and only there."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.rows import TupleRow

from .options import READ_TIMEOUT

T = TypeVar("T")


class BoundedConnection(Connection[TupleRow]):
    """Closes itself when the server says nothing for :data:`READ_TIMEOUT` seconds: stopped or unreachable."""

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
