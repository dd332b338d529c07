"""A real PgBouncer of a test's own, before a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url

from tests.support.postgres import TIMEOUT, account_for_postgres, free_port, wait_until

PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"
GUARD = '"$@" & read -r _; kill -TERM $! 2>/dev/null; wait'
"""It ends with whoever started it, and at once: on an INT it would wait for its clients."""
Mode = Literal["transaction", "session"]


def find_pgbouncer() -> str | None:
    """The program, if it is installed."""
    return shutil.which("pgbouncer", path=PLACES)


@contextmanager
def pgbouncer(database_url: str, mode: Mode, *settings: str, user: str = "postgres") -> Iterator[str]:
    """The URL of this database by way of a PgBouncer."""
    program, url, port = find_pgbouncer(), make_url(database_url), free_port()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as home:
        config = Path(home, "pgbouncer.ini")
        lines = (
            "[databases]", f"* = host={url.host} port={url.port} user={user}", "[pgbouncer]",
            "listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =", "auth_type = any",
            f"pool_mode = {mode}", "default_pool_size = 8", "max_client_conn = 500", *settings,
        )  # fmt: skip
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o644)
        os.chmod(home, 0o755)
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", program, "-q", str(config)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **account_for_postgres(),
        )  # fmt: skip
        try:
            wait_until(lambda: _listens(port), "PgBouncer to listen")
            yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(TIMEOUT)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
