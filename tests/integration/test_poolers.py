"""Behind a pooler: start-up options refused or dropped, sessions shared, and a default isolation that is not ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, make_url, text

from flask_corbado_session.testing import move_clock
from tests.conftest import do_without
from tests.support.apps import make_app, rows_of
from tests.support.jars import Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE
from tests.support.pgbouncer import Mode, find_pgbouncer, pgbouncer

DROPS = "ignore_startup_parameters = options"
REFUSED, NOT_SET = "refuses start-up options", "timeouts are not set: ALTER ROLE"
Pooler = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def pooler(postgres_url: str) -> Pooler:
    """A PgBouncer before an empty database, with these settings, in this mode."""
    if find_pgbouncer() is None:
        do_without("PGBOUNCER", "pgbouncer is not installed")

    @contextmanager
    def start(mode: Mode, *settings: str) -> Iterator[str]:
        with pgbouncer(postgres_url, mode, *settings) as url:
            yield url

    return start


def set_for_all(postgres_url: str, **settings: str) -> None:
    """As ``ALTER ROLE … SET``, for this database alone."""
    with create_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for name, value in settings.items():
            connection.execute(text(f"ALTER DATABASE {make_url(postgres_url).database} SET {name} = '{value}'"))


def shown(url: str, name: str) -> Any:
    """A setting as another client of the pooler finds it."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True, prepare_threshold=None) as connection:
        return connection.execute(f"SHOW {name}").fetchone()


def own(app: Flask, name: str) -> Any:
    return rows_of(app).database.run(lambda connection: connection.execute(text(f"SHOW {name}")).scalar())


def sign_in_and_refresh(app: Flask, rounds: int = 2, wide: int = 1) -> list[int]:
    """The statuses of a sign-in and of bursts at expiry."""
    clock, jar = move_clock(app), Jar()
    statuses = [asked(app, jar, "/sign-in", "POST", user="alice").status]
    with ThreadPoolExecutor(wide) as pool:
        for _ in range(rounds):
            clock.move(milliseconds=MIN_AGE + 1)
            statuses += [answer.status for answer in pool.map(partial(processed, app), [jar.sends()] * wide)]
            statuses.append(asked(app, jar).status)
    return statuses


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_the_recipe_of_the_docs_serves_bursts_at_every_level(pooler: Pooler, postgres_url: str, level: str) -> None:
    """docs/production.md: options ignored, timeouts on the role, no prepared statements. At cd6b537 every fortieth
    answer was a 503 where the database's default level is not READ COMMITTED."""
    set_for_all(postgres_url, statement_timeout="2s", default_transaction_isolation=level)
    with pooler("transaction", DROPS) as url:
        connect_args = {"prepare_threshold": None}
        app, _, _ = make_app(url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": connect_args})
        assert set(sign_in_and_refresh(app, 6, 32)) == {200}
        assert (own(app, "statement_timeout"), own(app, "transaction_isolation")) == ("2s", level)
    with SessionRows(postgres_url) as rows:
        assert rows.one()["end_reason"] is None


def test_a_shared_pool_that_refuses_options_works_and_its_other_clients_are_left_alone(
    pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    """At cd6b537 every sign-in was a 503 while ``create_all`` worked."""
    with caplog.at_level(logging.WARNING, "flask_corbado_session"), pooler("transaction") as url:
        app, _, _ = make_app(url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"prepare_threshold": None}})
        assert set(sign_in_and_refresh(app, 12, 8)) == {200}
        assert [shown(url, "statement_timeout") for _ in range(8)] == [("0",)] * 8
    assert caplog.text.count(NOT_SET) == 1, "said once"


def test_a_shared_pool_needs_no_setting_for_prepared_statements(pooler: Pooler, postgres_url: str) -> None:
    set_for_all(postgres_url, statement_timeout="2s")
    with pooler("transaction", DROPS) as url:
        app, db, _ = make_app(url)
        with app.app_context():
            db.engine.dispose()
        assert set(sign_in_and_refresh(app, 12, 8)) == {200}


def test_a_pool_of_whole_sessions_that_refuses_options_has_the_timeouts_set_by_a_statement(
    pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flask_corbado_session"), pooler("session") as url:
        app, _, _ = make_app(url)
        assert set(sign_in_and_refresh(app)) == {200}
        assert [own(app, name) for name in ("statement_timeout", "lock_timeout")] == ["2s", "2s"]
    assert caplog.text.count(REFUSED) == 1
    assert NOT_SET not in caplog.text


def test_postgres_itself_is_asked_nothing_more(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _, _ = make_app(postgres_url, CORBADO_SESSION_COOKIE_SECURE=False)
    assert set(sign_in_and_refresh(app)) == {200}
    assert caplog.text == ""
