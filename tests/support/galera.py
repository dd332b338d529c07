"""A MariaDB Galera cluster of a test's own, on loopback: three servers that each take writes."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sqlalchemy.exc import OperationalError

from tests.support.mariadb import MariaDBServer, MariaDBUnavailable, is_installed
from tests.support.postgres import free_port, wait_until

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
    "skip_grant_tables=ON",
    "binlog_format=ROW",
    "innodb_autoinc_lock_mode=2",
    "wsrep_on=ON",
    "wsrep_sst_method=same",
    "wsrep_node_address=127.0.0.1",
    # no retry by the server: each conflict reaches the app
    "wsrep_retry_autocommit=0",
)


class GaleraNode(MariaDBServer):
    """One server of the cluster."""

    def __init__(self, home: Path, number: int, provider: str) -> None:
        super().__init__(home, number)
        self.group, state, snapshot = free_port(), free_port(), free_port()
        self._settings = (
            *SETTINGS,
            f"wsrep_provider={provider}",
            f"wsrep_node_name=node{number}",
            f"wsrep_sst_receive_address=127.0.0.1:{snapshot}",
            f"wsrep_provider_options=gmcast.listen_addr=tcp://127.0.0.1:{self.group};"
            f"ist.recv_addr=127.0.0.1:{state};gcache.size=16M",
        )

    def start_in(self, cluster: str, *options: str) -> None:
        """Start it as a node of this cluster, without waiting until it answers."""
        self.start(*self._settings, f"wsrep_cluster_address=gcomm://{cluster}", *options)

    def is_ready(self) -> bool:
        """Whether it takes writes, and has those of the others."""
        with suppress(OperationalError):
            return self.status("wsrep_local_state_comment") == "Synced"
        return False

    def status(self, name: str) -> str:
        """A status variable of the server."""
        return str(self.execute(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])


class GaleraCluster:
    """Three nodes, each with all of the others' writes; ``options`` are of the servers, without their dashes.

    Raises MariaDBUnavailable.
    """

    def __init__(self, *options: str) -> None:
        provider = next((path for path in PROVIDERS if Path(path).exists()), "")
        if not provider or not is_installed():
            raise MariaDBUnavailable("Galera is not installed: apt-get install mariadb-server galera-4")
        self._home = tempfile.TemporaryDirectory(prefix="galera-")
        self.nodes = [GaleraNode(Path(self._home.name), number, provider) for number in range(NODES)]
        self._options = options
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> list[str]:
        """The database ``test`` on each node."""
        return [node.url("test").render_as_string(hide_password=False) for node in self.nodes]

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
        first.install()
        # Each starts from the same data, as of a first short run of one: nothing has to be copied by a server.
        first.start_in("", "wsrep_new_cluster", *self._options)
        first.wait()
        first.stop()
        self._write_transfer(first)
        for node in others:
            shutil.copytree(first.data, node.data)
        first.start_in("", "wsrep_new_cluster", *self._options)
        first.wait()
        for node in others:
            node.start_in(f"127.0.0.1:{first.group}", *self._options)
        for node in others:
            node.wait()
        wait_until(lambda: first.status("wsrep_cluster_size") == str(NODES), "the nodes to see each other")
        first.execute("CREATE DATABASE test")

    def _write_transfer(self, node: GaleraNode) -> None:
        """The program that a server runs to get, or give, a copy of the data."""
        state = dict(
            line.split(maxsplit=1) for line in (node.data / "grastate.dat").read_text().splitlines() if ": " in line
        )
        transfer = Path(self._home.name, "wsrep_sst_same")
        transfer.write_text(TRANSFER.format(position=f"{state['uuid:']}:{state['seqno:']}"))
        transfer.chmod(0o700)
