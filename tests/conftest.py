"""Fixtures for every test: databases, and the browser or the reason why there is none."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from flask import Flask
from sqlalchemy import make_url

from flask_corbado_session.testing import MovingClock
from tests.support.databases import EmptyDatabases, engines_disposed, start_private_postgres
from tests.support.mariadb import MariaDBUnavailable, is_installed, private_mariadb
from tests.support.postgres import PostgresServer, PostgresUnavailable
from tests.support.rules import Rules, rules_on
from tests.support.site import Site

HAS_MYSQL = bool(os.environ.get("TEST_MYSQL_URL") or os.environ.get("REQUIRE_MYSQL") == "1" or is_installed())
DATABASES = ["sqlite", "postgresql", *(["mysql"] if HAS_MYSQL else [])]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = [
    "--no-sandbox",  # root cannot start it with one; the only pages it opens are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# A busy machine takes long for an example now and then, which says nothing about the code.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


def do_without(part: str, reason: str) -> NoReturn:
    """Skip the test that needs a part this machine lacks, or fail it where ``REQUIRE_<PART>=1`` asks for the part."""
    if os.environ.get(f"REQUIRE_{part}") == "1":
        pytest.fail(f"REQUIRE_{part}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: of tests side by side, the quick ones then fill the gaps."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> None:
    """Leave what is there by now out of Python's garbage collections. They stopped the process for a second, and what
    the library promises within half of one failed."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Let the demo site hash passwords in no time, here and in the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLASK_DEMO_PASSWORD_HASH", "pbkdf2:sha256:1")
        yield


@pytest.fixture
def late_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost is replaced however late a busy machine lets the process know."""
    monkeypatch.setattr("flask_corbado_session.database.engine.STALE_WINDOW", 10.0)


@pytest.fixture(autouse=True)
def _engines_disposed() -> Iterator[None]:
    with engines_disposed():
        yield


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: the test runs once on each kind."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mysql": "mysql_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def postgres_url(postgres_databases: EmptyDatabases) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    with postgres_databases.lend() as url:
        yield url


@pytest.fixture
def mysql_url(mysql_databases: EmptyDatabases) -> Iterator[str]:
    """The URL of an empty MariaDB or MySQL database."""
    with mysql_databases.lend() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[EmptyDatabases]:
    """Databases on the PostgreSQL server that ``TEST_POSTGRES_URL`` names, else on one of our own."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        with closing(EmptyDatabases(make_url(url).set(drivername="postgresql+psycopg"))) as databases:
            yield databases
        return
    try:
        server = start_private_postgres()
    except PostgresUnavailable as error:
        do_without("POSTGRES", str(error))
    with server:
        yield EmptyDatabases(make_url(server.url))


@pytest.fixture(scope="session")
def mysql_databases() -> Iterator[EmptyDatabases]:
    """Databases on the MariaDB or MySQL server that ``TEST_MYSQL_URL`` names, else on one of our own."""
    if url := os.environ.get("TEST_MYSQL_URL"):
        with closing(EmptyDatabases(make_url(url).set(drivername="mysql+pymysql"))) as databases:
            yield databases
        return
    with ExitStack() as stack:
        try:
            server = stack.enter_context(private_mariadb())
        except MariaDBUnavailable as error:
            do_without("MYSQL", str(error))
        yield EmptyDatabases(server.url("mysql"))


@pytest.fixture
def private_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A running PostgreSQL of the test's own, to be killed, paused and started again."""
    try:
        server = start_private_postgres(tmp_path)
    except PostgresUnavailable as error:
        do_without("POSTGRES", str(error))
    with server:
        yield server


@pytest.fixture
def site(sqlite_url: str) -> Site:
    """The tests' app on SQLite; a file whose tests belong on every kind of database has its own ``site`` there."""
    return Site(sqlite_url)


@pytest.fixture
def app(site: Site) -> Flask:
    """The site's app."""
    return site.app


@pytest.fixture
def clock(site: Site) -> MovingClock:
    """The site's clock."""
    return site.clock


@pytest.fixture
def rules(database_url: str) -> Rules:
    """The rules without Flask, on each kind of database."""
    return rules_on(database_url)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium, or of the one ``CHROMIUM`` names."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        do_without("BROWSER", f"no Chromium: none of {', '.join(BROWSERS)} is installed")
    return path


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], chromium: str) -> dict[str, Any]:
    """How pytest-playwright starts its browser: the system's, which talks to our servers and nobody else."""
    return {**browser_type_launch_args, "executable_path": chromium, "args": BROWSER_ARGUMENTS}
