"""A server that is stopped in the middle of a statement and goes on later: what it says then answers nobody else."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, event, make_url

from flask_corbado_session.database.skew import Skew
from flask_corbado_session.model.clock import Clock
from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.model.outcome import Refreshed
from tests.conftest import do_without
from tests.support.databases import EmptyDatabases, start_private_postgres
from tests.support.mariadb import MariaDBServer, MariaDBUnavailable, private_mariadb
from tests.support.oracle import MIN_AGE
from tests.support.postgres import PostgresServer, PostgresUnavailable
from tests.support.rules import as_system_clock, rules_on
from tests.support.stopwatch import Stopwatch

DRIVERS = {
    "postgresql+psycopg": "psycopg",
    "postgresql+pg8000": "pg8000",
    "mysql+pymysql": "pymysql",
    "mysql+mysqldb": "MySQLdb",
    "mysql+mysqlconnector": "mysql",
    "mariadb+mariadbconnector": "mariadb",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    try:
        server = start_private_postgres()
    except PostgresUnavailable as error:
        do_without("POSTGRES", str(error))
    with server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDBServer]:
    """One whose machine keeps summer time."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(private_mariadb(TZ="Europe/Berlin"))
        except MariaDBUnavailable as error:
            do_without("MYSQL", str(error))


@pytest.mark.parametrize("driver", DRIVERS)
def test_who_comes_after_the_stop_is_not_given_what_the_server_owed_another(
    request: pytest.FixtureRequest, driver: str
) -> None:
    """With mysql-connector the next request read that, found no session, and signed somebody out."""
    if importlib.util.find_spec(DRIVERS[driver]) is None:
        pytest.skip(f"{DRIVERS[driver]} is not installed")
    is_postgres = driver.startswith("postgresql")
    server = request.getfixturevalue("postgres" if is_postgres else "mariadb")
    with EmptyDatabases(make_url(server.url) if is_postgres else server.url("mysql")).lend() as url:
        rules = rules_on(make_url(url).set(drivername=driver).render_as_string(hide_password=False))
        alice, bob = rules.start("alice"), rules.start("bob")
        rules.clock.move(milliseconds=MIN_AGE + 1)
        pauses = iter([server.pause])

        def pause(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("UPDATE"):
                next(pauses, lambda: None)()

        event.listen(rules.database.engine, "before_cursor_execute", pause)
        since = Stopwatch()
        try:
            with pytest.raises(StoreUnavailable):
                rules.refresh(alice.long_token)
            assert since.seconds < 3.5
        finally:
            server.resume()
        for started in (bob, alice):
            rules.database.begin_request()
            outcome = rules.refresh(started.long_token)
            assert isinstance(outcome, Refreshed)
            assert outcome.short.user_id == started.short.user_id


@pytest.mark.parametrize("hour", [23, 0, 1, 2])
def test_where_summer_time_ends_the_clocks_of_mariadb_and_of_a_process_agree(mariadb: MariaDBServer, hour: int) -> None:
    """In the second hour of the two, local time is the first's once more: each process was an hour behind or ahead."""
    at = datetime(2026, 10, 24 if hour == 23 else 25, hour, 30, tzinfo=UTC)
    skew = Skew()
    skew.clock = Clock(as_system_clock(lambda: at))
    with create_engine(mariadb.url("mysql"), poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(f"SET timestamp = {at.timestamp()}")
        skew.compare("mysql", lambda statement: connection.exec_driver_sql(statement).one())
    assert skew.ms == 0
