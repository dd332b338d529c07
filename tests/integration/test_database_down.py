"""The database gone, stopped where it stands, or locked: what is answered, how soon, and that nobody is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.conftest import do_without
from tests.support.databases import start_private_postgres
from tests.support.jars import DEVICE, LONG, SHORT, Answer, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read
from tests.support.postgres import PostgresServer, PostgresUnavailable
from tests.support.site import Site
from tests.support.stopwatch import Stopwatch

WITHIN = 3.5
"""Seconds; three are promised, the rest is the machine's."""

Trouble = Callable[[PostgresServer], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL that only these tests disturb."""
    try:
        server = start_private_postgres(tmp_path_factory.mktemp("postgres"))
    except PostgresUnavailable as error:
        do_without("POSTGRES", str(error))
    with server:
        yield server


# ---- what may befall it


@contextmanager
def killed(server: PostgresServer) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def paused(server: PostgresServer) -> Iterator[None]:
    """Its connections stay open, nothing is answered."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def locked(server: PostgresServer) -> Iterator[None]:
    """A migration, say, holds the table."""
    engine = create_engine(server.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE corbado_session, corbado_device IN ACCESS EXCLUSIVE MODE"))
        yield


TROUBLES = pytest.mark.parametrize("trouble", [killed, paused, locked])


class TroubledSite(Site):
    """An app on that server, and somebody who is signed in and about to be refreshed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        with self.app.app_context():
            for table in reversed(self.db.metadata.sorted_tables):
                self.db.session.execute(table.delete())
            self.db.session.commit()
        self.jar, elsewhere = Jar(), Jar()
        for jar in (elsewhere, self.jar):
            asked(self.app, jar, "/sign-in", "POST", user="alice")
        self.elsewhere = read(elsewhere.cookies[LONG]).session_id
        """Her session in another browser."""
        self.clock.move(milliseconds=MIN_AGE + 1)

    def answers(self, path: str = "/protected", method: str = "GET", **how: Any) -> Answer:
        """Within three seconds."""
        since = Stopwatch()
        answer = processed(self.app, self.jar.sends(path, method, **how))
        assert since.seconds < WITHIN
        return answer

    def is_back(self) -> None:
        """A second after the trouble: what failed just now is tried again."""
        self.clock.move(seconds=1)


@pytest.fixture
def site(server: PostgresServer) -> TroubledSite:
    return TroubledSite(server.url)


def is_unavailable(answer: Answer, code: str = "session_store_unavailable") -> bool:
    return answer.status == 503 and answer.body["code"] == code and int(answer.headers["Retry-After"]) > 0


@TROUBLES
def test_a_valid_short_session_is_served(site: TroubledSite, server: PostgresServer, trouble: Trouble) -> None:
    with trouble(server):
        for seconds in (1, 0):  # the second one comes before it is time to ask again what has ended
            site.clock.move(seconds=seconds)
            answer = site.answers(short=True)
            assert (answer.status, answer.cookies) == (200, {})


@TROUBLES
def test_without_one_the_answer_is_503_and_the_same_jar_serves_afterwards(
    site: TroubledSite, server: PostgresServer, trouble: Trouble
) -> None:
    with trouble(server):
        for _ in range(2):
            answer = site.answers()
            assert is_unavailable(answer)
            assert answer.cookies == {}
    site.clock.move(milliseconds=MIN_AGE + 1)  # beyond what a statement that was run after all has done
    assert set(asked(site.app, site.jar).cookies) == {SHORT, LONG}


@TROUBLES
def test_signing_in_devices_and_revoking_are_503_and_change_nothing(
    site: TroubledSite, server: PostgresServer, trouble: Trouble
) -> None:
    with SessionRows(server.url) as rows:
        before = rows.all()
    asks = [
        ("/sign-in", "POST"),
        ("/session/devices", "GET"),
        (f"/session/{site.elsewhere}/revoke", "POST"),
        (f"/session/{'A' * 30}/revoke", "POST"),
        ("/session/revoke-others", "POST"),
    ]
    with trouble(server), ThreadPoolExecutor(len(asks)) as threads:
        answers = list(threads.map(lambda ask: site.answers(*ask, short=True, user="alice"), asks))
    for answer, (path, _) in zip(answers, asks, strict=True):
        assert is_unavailable(answer), path
        assert answer.cookies == {}, path
    with SessionRows(server.url) as rows:
        assert rows.all() == before


@TROUBLES
def test_signing_out_is_503_logout_incomplete_and_forgets_the_session_in_this_browser(
    site: TroubledSite, server: PostgresServer, trouble: Trouble
) -> None:
    copy = site.jar.copy()
    with trouble(server):
        answer = site.answers("/sign-out", "POST", short=True)
        assert is_unavailable(answer, "logout_incomplete")
        assert answer.cookies == {SHORT: None, LONG: None}
    site.is_back()
    site.jar.take(answer)
    assert set(site.jar.cookies) == {DEVICE}
    assert asked(site.app, site.jar).status == 401
    # and as it says, a copy would still work
    assert asked(site.app, copy).status == 200


@TROUBLES
def test_a_view_that_rechecks_is_503_though_the_short_session_is_valid(
    site: TroubledSite, server: PostgresServer, trouble: Trouble
) -> None:
    with trouble(server):
        answer = site.answers("/recheck", short=True)
        assert is_unavailable(answer)
        assert answer.cookies == {}
    site.is_back()
    assert site.answers("/recheck", short=True).status == 200


@pytest.mark.usefixtures("late_losses")
def test_a_server_that_was_started_again_costs_no_request_a_503(site: TroubledSite, server: PostgresServer) -> None:
    """The pooled connections are stale: each is replaced as it is found out."""
    with killed(server):
        pass
    assert set(asked(site.app, site.jar).cookies) == {SHORT, LONG}


def test_a_dead_session_stays_out_and_a_forged_one_is_nobody_while_the_database_is_down(
    site: TroubledSite, server: PostgresServer
) -> None:
    ended = site.jar.copy()
    asked(site.app, site.jar, "/sign-out", "POST", short=True)
    forged = Jar({LONG: ended.cookies[LONG][:-1] + ("A" if ended.cookies[LONG][-1] != "A" else "B")})
    with killed(server):
        assert processed(site.app, ended.sends()).status == 401
        assert processed(site.app, forged.sends()).status == 401


@contextmanager
def sqlite_held(url: str) -> Iterator[None]:
    """Somebody else writes and does not end."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        try:
            yield
        finally:
            connection.execute(text("ROLLBACK"))


def test_a_locked_sqlite_is_answered_within_three_seconds_too(sqlite_url: str) -> None:
    site = TroubledSite(sqlite_url)
    with sqlite_held(sqlite_url):
        assert site.answers(short=True).status == 200
        assert is_unavailable(site.answers())
        assert is_unavailable(site.answers("/sign-in", "POST", user="alice"))
        assert is_unavailable(site.answers("/sign-out", "POST", short=True), "logout_incomplete")
    assert set(asked(site.app, site.jar).cookies) == {SHORT, LONG}
