"""The databases that the other tests stand on are real, empty, and as mortal as they claim."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

import psycopg
import pytest
from sqlalchemy import NullPool, QueuePool, create_engine, inspect, make_url, text

from tests.support.databases import EmptyDatabases, engines_disposed
from tests.support.postgres import PostgresServer, wait_until


def connect(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True, connect_timeout=2)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, turn: int) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (turn INTEGER)"))
    assert inspect(engine).get_table_names() == ["left_behind"]


def test_one_test_may_have_databases_of_several_kinds(sqlite_url: str, postgres_url: str) -> None:
    kinds = [create_engine(url, poolclass=NullPool).dialect.name for url in (sqlite_url, postgres_url)]
    assert kinds == ["sqlite", "postgresql"]


def test_whoever_is_still_connected_is_thrown_out(postgres_databases: EmptyDatabases) -> None:
    with postgres_databases.lend() as url:
        connection = psycopg.connect(url.replace("+psycopg", ""))
    with connection, pytest.raises(psycopg.errors.AdminShutdown):
        connection.execute("SELECT 1")


def test_two_databases_lent_at_once_are_not_the_same(postgres_databases: EmptyDatabases) -> None:
    with postgres_databases.lend() as one, postgres_databases.lend() as other:
        assert one != other


def test_the_connections_an_engine_keeps_are_closed_after_the_test(sqlite_url: str) -> None:
    with engines_disposed():
        engine = create_engine(sqlite_url)
        engine.connect().close()
        assert isinstance(pool := engine.pool, QueuePool)
        assert pool.checkedin() == 1
    assert pool.checkedin() == 0


def test_a_killed_server_comes_back_with_all_that_was_committed(private_postgres: PostgresServer) -> None:
    with connect(private_postgres) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        private_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connect(private_postgres)
    private_postgres.start()
    with connect(private_postgres) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_stopped_server_can_be_started_again(private_postgres: PostgresServer) -> None:
    private_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        connect(private_postgres)
    private_postgres.start()
    connect(private_postgres).close()


def test_a_running_server_is_not_started_a_second_time(private_postgres: PostgresServer) -> None:
    with pytest.raises(RuntimeError, match=r"kill\(\) or stop\(\) it before"):
        private_postgres.start()


def test_a_paused_server_keeps_its_clients_waiting(private_postgres: PostgresServer) -> None:
    with connect(private_postgres) as connection:
        private_postgres.pause()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            connect(private_postgres)
        private_postgres.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_paused_server_can_be_killed(private_postgres: PostgresServer) -> None:
    private_postgres.pause()
    private_postgres.kill()
    private_postgres.start()
    connect(private_postgres).close()


def test_the_log_of_a_private_server_lies_where_the_test_can_read_it(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    assert "ready to accept connections" in Path(tmp_path, "postgres.log").read_text()


def test_a_server_ends_with_the_process_that_started_it() -> None:
    code = "import tests.support.postgres as p; s = p.PostgresServer(); s.start(); print(s.url, flush=True); input()"
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o711)  # for the account that runs PostgreSQL for root
        environment = {**os.environ, "TMPDIR": directory}
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True, env=environment
        ) as owner:
            assert owner.stdout is not None
            port = make_url(owner.stdout.readline().strip()).port
            owner.kill()
        wait_until(lambda: is_refused(port), "the server to follow its owner")


def is_refused(port: int | None) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
