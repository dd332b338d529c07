"""A MariaDB Galera cluster of a test's own, on loopback: three servers that each take writes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.support.postgres import GUARD, free_port, wait_until

PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
NODES = 3
TRANSFER = """#!/bin/sh
case "$*" in
*joiner*) echo "ready 127.0.0.1:1/same"; echo "{position} 0" ;;
*) echo "done {position}" ;;
esac
"""
"""How a joining node gets the data: the server runs a program of this name, which leaves them as they are."""
SETTINGS = (
    "bind_address=127.0.0.1",
    "skip_name_resolve=ON",
    "skip_grant_tables=ON",
    "skip_log_bin",
    "binlog_format=ROW",
    "default_storage_engine=InnoDB",
    "innodb_autoinc_lock_mode=2",
    "innodb_flush_log_at_trx_commit=0",
    "innodb_buffer_pool_size=32M",
    "innodb_log_file_size=16M",
    "performance_schema=OFF",
    "character_set_server=utf8mb4",
    "wsrep_on=ON",
    "wsrep_sst_method=same",
    "wsrep_node_address=127.0.0.1",
    # no retry by the server: each conflict reaches the app
    "wsrep_retry_autocommit=0",
)


class GaleraUnavailable(RuntimeError):
    """No Galera cluster can be started here; the text says why."""


class GaleraNode:
    """One server of the cluster."""

    def __init__(self, home: Path, number: int) -> None:
        self.number = number
        self.data = home / f"node{number}"
        self.log = home / f"log{number}"
        self.port, self.group, self.state = free_port(), free_port(), free_port()
        self._snapshot, self._socket = free_port(), home / f"socket{number}"
        self._guard: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        """The address of the database ``test`` on this node."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/test"

    def start(self, provider: str, cluster: str, *options: str) -> None:
        """Start it, without waiting until it answers."""
        own = [
            f"datadir={self.data}",
            f"port={self.port}",
            f"socket={self._socket}",
            f"wsrep_provider={provider}",
            f"wsrep_cluster_address=gcomm://{cluster}",
            f"wsrep_node_name=node{self.number}",
            f"wsrep_sst_receive_address=127.0.0.1:{self._snapshot}",
            f"wsrep_provider_options=gmcast.listen_addr=tcp://127.0.0.1:{self.group};"
            f"ist.recv_addr=127.0.0.1:{self.state};gcache.size=16M",
        ]
        settings = [f"--{setting}" for setting in (*SETTINGS, *own, *options)]
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD.replace("-INT", "-TERM"), "sh", _server() or "", "--no-defaults", *settings],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": f"{self.data.parent}:{os.environ['PATH']}"},
            )

    def is_synced(self) -> bool:
        """Whether it takes writes, and every node is in the cluster that it sees."""
        with suppress(OperationalError):
            return self.status("wsrep_local_state_comment") == "Synced"
        return False

    def status(self, name: str) -> str:
        """A status variable of the server."""
        engine = create_engine(self.url.replace("/test", "/mysql"), poolclass=NullPool)
        with engine.connect() as connection:
            row = connection.execute(text(f"SHOW GLOBAL STATUS LIKE '{name}'")).one()
        return str(row[1])

    def stop(self) -> None:
        """Shut it down in order."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            try:
                self._guard.wait(20)
            except subprocess.TimeoutExpired:  # one that waits for the others does not end in order
                os.killpg(self._guard.pid, signal.SIGKILL)
                self._guard.wait()
            self._guard = None

    @property
    def has_ended(self) -> bool:
        """Whether it gave up."""
        return self._guard is None or self._guard.poll() is not None


class GaleraCluster:
    """Three nodes, each with all of the others' writes; ``options`` are of the servers, without their dashes."""

    def __init__(self, *options: str) -> None:
        self._provider = next((path for path in PROVIDERS if Path(path).exists()), "")
        if not self._provider:
            raise GaleraUnavailable("Galera is not installed: apt-get install mariadb-server galera-4")
        if _server() is None or shutil.which("mariadb-install-db") is None:
            raise GaleraUnavailable("MariaDB is not installed: apt-get install mariadb-server galera-4")
        self._home = tempfile.TemporaryDirectory(prefix="galera-")
        self.nodes = [GaleraNode(Path(self._home.name), number) for number in range(NODES)]
        self._options = (*options, *_account())
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> list[str]:
        """The database ``test`` on each node."""
        return [node.url for node in self.nodes]

    def close(self) -> None:
        """End the servers and remove their data."""
        for node in self.nodes:
            node.stop()
        self._home.cleanup()

    def __enter__(self) -> GaleraCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        first, *others = self.nodes
        self._install(first)
        # Each starts from the same data, as of a first short run of one: nothing has to be copied by a server.
        first.start(self._provider, "", "wsrep_new_cluster", *self._options)
        self._wait(first)
        first.stop()
        self._write_transfer(first)
        for node in others:
            shutil.copytree(first.data, node.data)
        first.start(self._provider, "", "wsrep_new_cluster", *self._options)
        self._wait(first)
        for node in others:
            node.start(self._provider, f"127.0.0.1:{first.group}", *self._options)
        for node in others:
            self._wait(node)
        wait_until(lambda: first.status("wsrep_cluster_size") == str(NODES), "the nodes to see each other")
        engine = create_engine(first.url.replace("/test", "/mysql"), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("CREATE DATABASE test"))

    def _install(self, node: GaleraNode) -> None:
        command = ["mariadb-install-db", "--no-defaults", "--skip-test-db", "--skip-name-resolve"]
        command += [
            "--auth-root-authentication-method=normal",
            f"--datadir={node.data}",
            *map("--{}".format, _account()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise GaleraUnavailable(f"mariadb-install-db failed: {done.stderr.strip()[-500:]}")

    def _write_transfer(self, node: GaleraNode) -> None:
        """The program that a server runs to get, or give, a copy of the data."""
        state = dict(
            line.split(maxsplit=1) for line in (node.data / "grastate.dat").read_text().splitlines() if ": " in line
        )
        transfer = Path(self._home.name, "wsrep_sst_same")
        transfer.write_text(TRANSFER.format(position=f"{state['uuid:']}:{state['seqno:']}"))
        transfer.chmod(0o700)

    def _wait(self, node: GaleraNode) -> None:
        try:
            wait_until(lambda: node.is_synced() or node.has_ended, "a Galera node to join")
        except TimeoutError as error:
            raise GaleraUnavailable(f"{error}; it said: {node.log.read_text(errors='replace')[-800:]}") from None
        if node.has_ended:
            raise GaleraUnavailable(f"a node ended: {node.log.read_text(errors='replace')[-800:]}")


def _server() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")


def _account() -> list[str]:
    """The server refuses to run as root unless it is told to."""
    return [f"user={pwd.getpwuid(os.geteuid()).pw_name}"] if os.geteuid() == 0 else []
