"""A PostgreSQL and its streaming standby, which can take its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, make_url, text

from tests.support.postgres import PostgresServer, wait_until


class Standby(PostgresServer):
    """A copy of a running server that follows it, answers reads, and takes writes once it is promoted."""

    def __init__(self, primary: PostgresServer, log: Path | None = None) -> None:
        self._primary = make_url(primary.url)
        super().__init__(log)

    def promote(self) -> None:
        """Take writes from now on; returns when it does."""
        self._ask("SELECT pg_promote()")
        wait_until(lambda: not self._ask("SELECT pg_is_in_recovery()"), "the standby to take writes")

    def unfollow(self) -> None:
        """Get nothing more of what the primary writes, as if the network between the two had gone first."""
        self._ask("ALTER SYSTEM SET primary_conninfo = ''")
        self._ask("SELECT pg_reload_conf()")
        wait_until(lambda: not self._ask("SELECT count(*) FROM pg_stat_wal_receiver"), "the standby to stop following")

    def has_all_of(self, primary: PostgresServer) -> bool:
        """Whether it has everything that the primary has written."""
        at = _ask(primary.url, "SELECT CAST(pg_current_wal_lsn() AS text)")
        return bool(self._ask(f"SELECT pg_last_wal_replay_lsn() >= CAST('{at}' AS pg_lsn)"))

    def _ask(self, query: str) -> Any:
        return _ask(self.url, query)

    def _make_cluster(self) -> None:
        where = f"host={self._primary.host} port={self._primary.port} user={self._primary.username}"
        self._run(
            self._binaries / "pg_basebackup",
            *("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"),
            *(f"--dbname={where}", f"--pgdata={self._data}"),
        )

    def _is_ready(self) -> bool:
        try:
            return self._pid_file()[7].strip() in ("ready", "standby") and self._answers()
        except (FileNotFoundError, IndexError):
            return False

    def _answers(self) -> bool:
        return bool(self._ask("SELECT 1") == 1)


def url_of_both(primary: PostgresServer, standby: PostgresServer) -> str:
    """The URL of an app that writes to whichever of the two takes writes."""
    hosts = [make_url(server.url) for server in (primary, standby)]
    name = f"host={','.join(str(host.host) for host in hosts)}&port={','.join(str(host.port) for host in hosts)}"
    return f"postgresql+psycopg://postgres@/postgres?{name}&target_session_attrs=read-write"


def _ask(url: str, query: str) -> Any:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.execute(text(query))
        return result.scalar_one() if result.returns_rows else None
