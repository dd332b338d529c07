"""A guarded stream ends with its session, whoever ends it and wherever, and goes on while the session does."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response, stream_with_context
from flask.testing import FlaskClient

from flask_corbado_session import ANY_USER, current_session, login_required
from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.web.watcher import watcher
from tests.support.apps import make_app, rows_of, state_of, statements, unprepared_app
from tests.support.live import PROMISE, cookie_header, served, wait_until
from tests.support.servers import PortSayingServer, ServerProcess


class LiveSite:
    """The tests' app with a feed of ticks, one whose source is silent, and users who may go."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app, self.db, self.sessions = make_app(url)
        self.users = {"alice", "bob"}
        self.closed, self.talk = threading.Event(), threading.Event()
        self.sessions.user_loader(lambda user_id: user_id if user_id in self.users else None)
        add = self.app.add_url_rule
        add("/ticks", view_func=login_required(self.ticks))
        guard = self.sessions.guard_stream
        add("/silent", "silent", login_required(lambda: self.stream(self.silence())))
        add("/inside", "inside", login_required(lambda: Response(stream_with_context(guard(self.named())))))
        add("/outside", "outside", login_required(lambda: Response(guard(stream_with_context(self.named())))))
        add("/unprotected", "unprotected", lambda: self.stream(["never sent"]))

    def stream(self, items: Any) -> Response:
        return Response(self.sessions.guard_stream(items), mimetype="text/event-stream")

    def ticks(self) -> Response:
        def source() -> Iterator[str]:
            try:
                while True:
                    yield "data: tick\n\n"
                    time.sleep(0.02)
            finally:
                self.closed.set()

        return self.stream(source())

    def silence(self) -> Iterator[str]:
        yield "data: the only one\n\n"
        self.talk.wait(30)

    def named(self) -> Iterator[str]:
        for _ in range(3):
            yield f"{current_session.user_id}\n"

    def revoke(self) -> None:
        with self.app.app_context():
            self.sessions.revoke(self.session_id(), user_id=ANY_USER)

    def session_id(self) -> str:
        return rows_of(self.app).revocation.live_sessions("alice", 1)[0].session_id


@pytest.fixture
def live(sqlite_url: str) -> Iterator[LiveSite]:
    site = LiveSite(sqlite_url)
    yield site
    site.talk.set()
    wait_until(lambda: watcher.count == 0)


@pytest.fixture
def alice(live: LiveSite) -> FlaskClient:
    return signed_in(live.app, "alice")


@pytest.fixture
def address(live: LiveSite) -> Iterator[str]:
    with served(live.app) as address:
        yield address


class Feed:
    """An open stream, read in a thread until it ends."""

    def __init__(self, address: str, path: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=20)
        self.connection.request("GET", path, headers=headers)
        self.socket: socket.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.lines, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        wait_until(lambda: self.lines)

    def _read(self) -> None:
        try:
            while self.response.readline():
                self.lines += 1
        except (http.client.HTTPException, OSError, ValueError):
            pass
        self.connection.close()
        self.ended.set()

    def goes_on(self) -> bool:
        seen = self.lines
        wait_until(lambda: self.lines > seen + 10 or self.ended.is_set())
        return not self.ended.is_set()

    def leave(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def feed(address: str, alice: FlaskClient) -> Feed:
    return Feed(address, "/ticks", Cookie=cookie_header(alice))


# ---- it ends


def revoked_here(live: LiveSite, alice: FlaskClient) -> None:
    live.revoke()


def signed_out(live: LiveSite, alice: FlaskClient) -> None:
    assert alice.post("/sign-out").status_code == 200


def revoked_by_another_app(live: LiveSite, alice: FlaskClient) -> None:
    other, _, sessions = unprepared_app(live.url)
    with other.app_context():
        sessions.revoke(live.session_id(), user_id=ANY_USER)


def the_user_is_gone(live: LiveSite, alice: FlaskClient) -> None:
    live.users.remove("alice")
    assert alice.get("/who").get_json()["id"] is None


def the_user_is_gone_and_nobody_notices(live: LiveSite, alice: FlaskClient) -> None:
    live.users.remove("alice")
    move_clock(live.app).move(minutes=16)


def the_long_session_expires(live: LiveSite, alice: FlaskClient) -> None:
    move_clock(live.app).move(days=31)


ENDS: list[Callable[[LiveSite, FlaskClient], None]] = [
    revoked_here,
    signed_out,
    revoked_by_another_app,
    the_user_is_gone,
    the_user_is_gone_and_nobody_notices,
    the_long_session_expires,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_stream_ends_and_closes_its_source_when(
    live: LiveSite, alice: FlaskClient, feed: Feed, end: Callable[[LiveSite, FlaskClient], None]
) -> None:
    assert feed.goes_on()
    end(live, alice)
    assert feed.ended.wait(PROMISE), "the stream goes on"
    assert live.closed.wait(PROMISE), "its source goes on"


def test_a_stream_ends_when_another_process_revokes_its_session(live: LiveSite, feed: Feed) -> None:
    with ServerProcess(live.url) as other:
        session_id = live.session_id()
        connection = http.client.HTTPConnection("127.0.0.1", other.port, timeout=20)
        connection.request("POST", f"/revoke/{session_id}")
        assert connection.getresponse().status == 200
        connection.close()
        assert feed.ended.wait(PROMISE), "the stream goes on"


def test_a_stream_under_gevent_ends_when_its_session_is_revoked_elsewhere(live: LiveSite, alice: FlaskClient) -> None:
    with PortSayingServer("tests.support.gevent_app", {"DATABASE_URL": live.url}) as server:
        feeds = [Feed(f"127.0.0.1:{server.port}", "/ticks", Cookie=cookie_header(alice)) for _ in range(3)]
        assert all(feed.goes_on() for feed in feeds)
        live.revoke()
        assert all(feed.ended.wait(PROMISE) for feed in feeds), "a stream goes on"


def test_the_stream_of_a_bearer_ends_with_its_token(live: LiveSite, alice: FlaskClient, address: str) -> None:
    """Nothing can give a bearer a newer one."""
    cookie = alice.get_cookie(state_of(live.app).settings.short_cookie)
    assert cookie is not None
    feed = Feed(address, "/ticks", Authorization=f"Bearer {cookie.value}")
    assert feed.goes_on()
    move_clock(live.app).move(minutes=16)
    assert feed.ended.wait(PROMISE)


def test_a_source_that_is_silent_does_not_keep_its_connection_open(
    live: LiveSite, alice: FlaskClient, address: str
) -> None:
    feed = Feed(address, "/silent", Cookie=cookie_header(alice))
    live.revoke()
    assert feed.ended.wait(PROMISE)


# ---- it goes on


def test_a_stream_goes_on_when_its_short_session_has_run_out_and_costs_one_statement(
    live: LiveSite, feed: Feed
) -> None:
    clock = move_clock(live.app)
    for _ in range(2):
        with statements(live.app) as seen:
            clock.move(minutes=16)
            assert feed.goes_on()
            wait_until(lambda: len([stmt for stmt in seen if "UNION" not in stmt]) == 1)
            assert feed.goes_on()
        assert [verb for stmt, verb in zip(seen, seen.verbs, strict=True) if "UNION" not in stmt] == ["SELECT"]
    live.revoke()


def test_a_stream_goes_on_when_another_session_of_its_user_ends(live: LiveSite, feed: Feed) -> None:
    signed_in(live.app, "alice").post("/sign-out")
    assert feed.goes_on()
    live.revoke()


def test_a_stream_goes_on_while_its_user_cannot_be_loaded(
    live: LiveSite, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    live.sessions.user_loader(lambda user_id: 1 // 0)
    move_clock(live.app).move(minutes=16)
    wait_until(lambda: "could not be loaded" in caplog.text)
    assert feed.goes_on()
    live.revoke()


def test_many_streams_cost_a_query_a_second(live: LiveSite, alice: FlaskClient, address: str) -> None:
    feeds = [Feed(address, "/ticks", Cookie=cookie_header(alice)) for _ in range(8)]
    with statements(live.app) as seen:
        time.sleep(1.5)
    assert 1 <= len(seen) <= 2
    assert [thread.name for thread in threading.enumerate()].count("flask-corbado-session-live") == 1
    live.revoke()
    assert all(feed.ended.wait(PROMISE) for feed in feeds)


# ---- who is watched


def test_a_stream_for_nobody_is_refused(live: LiveSite) -> None:
    assert live.app.test_client().get("/unprotected").status_code == 401


def test_a_client_that_leaves_is_forgotten_and_the_thread_ends_with_the_last(live: LiveSite, feed: Feed) -> None:
    assert watcher.count == 1
    feed.leave()
    wait_until(lambda: watcher.count == 0)
    wait_until(lambda: "flask-corbado-session-live" not in [thread.name for thread in threading.enumerate()])


def test_a_stream_that_is_never_read_is_not_watched(live: LiveSite, alice: FlaskClient) -> None:
    assert alice.head("/ticks").status_code == 200
    assert watcher.count == 0


@pytest.mark.parametrize("path", ["/inside", "/outside"])
def test_a_stream_with_its_context_knows_who_it_is_for(live: LiveSite, alice: FlaskClient, path: str) -> None:
    assert alice.get(path).text == "alice\n" * 3


def test_a_forked_process_watches_its_own_connections_alone(live: LiveSite, feed: Feed) -> None:
    pid = os.fork()
    if pid == 0:  # no assert: pytest would go on in the child
        os._exit(forked(live))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert watcher.count == 1
    live.revoke()


def forked(live: LiveSite) -> int:
    """How a forked process fares: 0 is well."""
    try:
        if watcher.count:
            return 1
        with live.app.test_request_context():
            closed = threading.Event()
            cookies = {"Cookie": cookie_header(signed_in(live.app, "bob"))}
        with live.app.test_request_context(headers=cookies):
            live.sessions.end_on_revocation(closed.set)
            live.sessions.revoke_user("bob")
        return 0 if closed.wait(PROMISE) else 2
    except BaseException:
        return 3
