"""The library's own engine: bounded waits, its own pool, short transactions, errors that say what to do."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, NullPool, QueuePool, create_engine, make_url, text

from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.options import is_in_memory
from flask_corbado_session.database.tables import tables_in
from flask_corbado_session.model.errors import ConstraintViolated, StoreUnavailable, TablesMissing
from tests.support.rules import rules_on
from tests.support.stopwatch import Stopwatch


def database_at(url: str, **options: Any) -> Database:
    metadata = MetaData()
    tables_in(metadata)
    return Database(lambda: (make_url(url), options), metadata)


def run(database: Database, statement: str) -> Any:
    return database.run(lambda connection: connection.execute(text(statement)).scalar())


def test_the_engine_is_made_when_it_is_first_needed() -> None:
    located: list[int] = []

    def locate() -> tuple[Any, Mapping[str, Any]]:
        located.append(1)
        return make_url("sqlite://"), {}

    database = Database(locate, MetaData())
    assert located == []
    assert run(database, "SELECT 1") == 1
    assert database.engine is database.engine
    assert located == [1]


def test_each_statement_is_a_transaction_of_its_own(database_url: str) -> None:
    database, other = database_at(database_url), create_engine(database_url, poolclass=NullPool)

    def insert_and_look(connection: Connection) -> Any:
        connection.execute(text("CREATE TABLE t (a INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        with other.connect() as second:
            return second.execute(text("SELECT count(*) FROM t")).scalar()

    assert database.run(insert_and_look) == 1


def test_what_is_run_together_is_undone_together(database_url: str) -> None:
    database = database_at(database_url)
    run_only(database, "CREATE TABLE t (a INTEGER)")

    def half(connection: Connection) -> None:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise KeyError("half way")

    with pytest.raises(KeyError):
        database.transaction(half)
    assert run(database, "SELECT count(*) FROM t") == 0


def test_what_is_run_together_is_kept_together(database_url: str) -> None:
    database = database_at(database_url)
    run_only(database, "CREATE TABLE t (a INTEGER)")
    database.transaction(lambda connection: connection.execute(text("INSERT INTO t VALUES (1)")))
    assert run(database, "SELECT count(*) FROM t") == 1


def run_only(database: Database, statement: str) -> None:
    database.run(lambda connection: connection.execute(text(statement)))


def test_the_apps_options_are_used_but_for_those_of_the_pool(sqlite_url: str) -> None:
    engine = database_at(sqlite_url, pool_size=50, max_overflow=50, pool_timeout=600, echo=True, pool_recycle=7).engine
    assert isinstance(engine.pool, QueuePool)
    assert (engine.pool.size(), engine.pool._max_overflow, engine.pool.timeout()) == (5, 5, 2)
    assert (engine.echo, engine.pool._recycle) == (True, 7)


def test_an_app_without_a_pool_gets_none(sqlite_url: str) -> None:
    assert isinstance(database_at(sqlite_url, poolclass=NullPool).engine.pool, NullPool)


def test_no_value_stands_in_the_engines_messages(sqlite_url: str) -> None:
    assert database_at(sqlite_url).engine.hide_parameters


def test_postgres_is_told_how_long_to_wait(postgres_url: str) -> None:
    database = database_at(postgres_url, connect_args={"options": "-c application_name=the_app"})
    settings = ("lock_timeout", "statement_timeout", "default_transaction_isolation", "application_name")
    assert [run(database, f"SHOW {name}") for name in settings] == ["2s", "2s", "read committed", "the_app"]


def test_sqlite_is_told_how_long_to_wait_and_lets_readers_read(sqlite_url: str) -> None:
    database = database_at(sqlite_url)
    assert run(database, "PRAGMA busy_timeout") == 2000
    assert run(database, "PRAGMA journal_mode") == "wal"


def test_a_statement_that_takes_too_long_is_given_up(postgres_url: str) -> None:
    since = Stopwatch()
    with pytest.raises(StoreUnavailable, match="did not answer: QueryCanceled"):
        run(database_at(postgres_url), "SELECT pg_sleep(10)")
    assert since.seconds < 3


def test_a_locked_sqlite_file_is_given_up_with_advice(sqlite_url: str) -> None:
    database = database_at(sqlite_url)
    run_only(database, "CREATE TABLE t (a INTEGER)")
    with create_engine(sqlite_url).connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        since = Stopwatch()
        with pytest.raises(StoreUnavailable, match=r"call db\.session\.commit\(\) before"):
            run_only(database, "INSERT INTO t VALUES (1)")
    assert since.elapsed > 1.5
    assert since.seconds < 3


def test_a_pool_that_is_used_up_is_given_up(sqlite_url: str) -> None:
    database = database_at(sqlite_url)
    held = [database.engine.connect() for _ in range(10)]
    try:
        with pytest.raises(StoreUnavailable, match="no connection of the library's own pool was free within 2 s"):
            run(database, "SELECT 1")
    finally:
        for connection in held:
            connection.close()


def test_a_stale_connection_is_replaced(postgres_url: str) -> None:
    database = database_at(postgres_url)
    stale = run(database, "SELECT pg_backend_pid()")
    with create_engine(postgres_url, poolclass=NullPool).begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": stale})
    assert run(database, "SELECT pg_backend_pid()") != stale


def test_a_database_that_is_not_there_is_unavailable() -> None:
    nobody = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    with pytest.raises(StoreUnavailable, match="did not answer: OperationalError"):
        run(database_at(nobody), "SELECT 1")


def test_a_folder_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="did not answer: OperationalError"):
        run(database_at("sqlite:////no/such/folder/test.sqlite"), "SELECT 1")


def test_missing_tables_are_told_with_the_command_that_makes_them(database_url: str) -> None:
    with pytest.raises(TablesMissing, match="flask corbado-session init-db"):
        run(database_at(database_url), "SELECT id FROM corbado_session")


def test_tables_of_another_version_are_told_too(database_url: str) -> None:
    database = database_at(database_url)
    run_only(database, "CREATE TABLE corbado_session (id INTEGER)")
    with pytest.raises(TablesMissing, match="as this version needs them"):
        run(database, "SELECT step FROM corbado_session")


def test_a_row_that_is_there_already_is_told_apart(database_url: str) -> None:
    database = database_at(database_url)
    run_only(database, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
    run_only(database, "INSERT INTO t VALUES (1)")
    with pytest.raises(ConstraintViolated):
        run_only(database, "INSERT INTO t VALUES (1)")


def test_an_engine_that_was_disposed_of_is_made_anew(database_url: str) -> None:
    database = database_at(database_url)
    first = database.engine
    assert run(database, "SELECT 1") == 1
    database.dispose()
    assert run(database, "SELECT 1") == 1
    assert database.engine is not first


@pytest.mark.parametrize(
    ("url", "in_memory"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file:shared?mode=memory&cache=shared&uri=true", True),
        ("sqlite:///memory.sqlite", False),
        ("postgresql+psycopg://host", False),
    ],
)
def test_a_database_in_memory_is_known_as_one(url: str, in_memory: bool) -> None:
    assert is_in_memory(make_url(url)) is in_memory


def test_an_in_memory_database_has_its_tables_from_the_first_use_and_one_connection_for_all() -> None:
    database = database_at("sqlite://")
    run_only(database, "INSERT INTO corbado_device VALUES ('d', 'u', 'h', NULL, NULL, 'b', 's', 'f', 0)")
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(run(database, SELECT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8


SELECT = "SELECT count(*) FROM corbado_device"


def pool_size(engine: Engine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedin()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_worker_leaves_its_parents_connections_alone(postgres_url: str) -> None:
    rules = rules_on(postgres_url)
    mine = run(rules.database, "SELECT pg_backend_pid()")
    assert pool_size(rules.database.engine) >= 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # whatever happens in here must not come back into pytest
        try:
            os.write(writer, str(run(rules.database, "SELECT pg_backend_pid()")).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert int(said.read()) != mine
    assert run(rules.database, "SELECT pg_backend_pid()") == mine


def test_a_listener_of_every_engine_finds_the_columns_of_psycopg(postgres_url: str) -> None:
    """An app's log of what comes back reads ``column.name``; a result without columns is one all the same."""
    engine = database_at(postgres_url).engine
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE t (id integer, name text)")
        for statement, names in (("SELECT id, name FROM t", ["id", "name"]), ('SELECT 1 AS "größe"', ["größe"])):
            cursor: Any = connection.exec_driver_sql(statement).cursor
            assert [column.name for column in cursor.description] == names
            assert [column[0] for column in cursor.description] == names
            assert [column.type_code for column in cursor.description] == [column[1] for column in cursor.description]
        assert connection.exec_driver_sql("SELECT").all() == [()]
        assert connection.exec_driver_sql("UPDATE t SET id = 1").cursor is None
