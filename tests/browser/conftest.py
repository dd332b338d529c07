"""Fixtures of the browser tests: servers to talk to, and no page that fails unseen.

The browser itself, or the reason why there is none, comes from tests/conftest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext

from tests.support.script_browser import Browser
from tests.support.servers import Server

Serve = Callable[..., Server]
PATIENCE = 10_000
"""Milliseconds a page has for what it is waited for."""


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Serve]:
    """``serve("demo_site", FLASK_X="…")`` runs a module as a server until the tests are over."""
    with ExitStack() as at_the_end:

        def serve(module: str, **env: str) -> Server:
            server = Server(module, tmp_path_factory.mktemp("server") / "server.log", env)
            at_the_end.callback(server.stop)
            return server

        yield serve


@pytest.fixture(scope="session")
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The demo site, one for all: each test has people of its own there, and its clock stands still until moved."""
    return serve(
        "tests.support.demo",
        DEMO_INSTANCE=str(tmp_path_factory.mktemp("instance")),
        FLASK_DEMO_SIGN_IN_LIMIT="1000 per minute",
        FLASK_DEMO_SIGN_UP_LIMIT="1000 per minute",
    )


@pytest.fixture(scope="module")
def workers(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, Server]:
    """Two processes that serve the demo site on one database, as workers of one server do."""
    instance = str(tmp_path_factory.mktemp("instance"))
    return serve("demo_site.site", DEMO_INSTANCE=instance), serve("demo_site.site", DEMO_INSTANCE=instance)


@pytest.fixture
def email() -> str:
    """The address of somebody new."""
    return f"grace-{uuid4()}@example.com"


@pytest.fixture
def context(context: BrowserContext) -> Iterator[BrowserContext]:
    """pytest-playwright's, impatient, and strict: a script error nobody caught in any of its pages fails the test."""
    context.set_default_timeout(PATIENCE)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    assert errors == []


# ---- the site that the tests of corbado-session.js talk to


@pytest.fixture(scope="session")
def script_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite file of that site."""
    return tmp_path_factory.mktemp("database") / "sessions.sqlite"


@pytest.fixture(scope="session")
def script_site(serve: Serve, script_database: Path) -> Server:
    """That site, running."""
    return serve("tests.support.script_site", DATABASE_URL=f"sqlite:///{script_database}")


@pytest.fixture
def browser_of_nobody(context: BrowserContext, script_site: Server) -> Browser:
    """A browser nobody has signed in with, its clock in the test's hand."""
    return Browser(context, script_site)


@pytest.fixture
def browser_of_alice(browser_of_nobody: Browser) -> Browser:
    """The same, signed in."""
    browser_of_nobody.sign_in()
    return browser_of_nobody
