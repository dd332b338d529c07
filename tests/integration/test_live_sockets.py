"""Sockets end with their session: Flask-Sock and Flask-SocketIO, on a server, with real clients."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
import simple_websocket
import socketio
from flask import Flask, request
from flask.testing import FlaskClient
from flask_sock import Sock
from flask_socketio import SocketIO, disconnect
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import ANY_USER, CorbadoSession, current_session, current_user, login_required
from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.web.watcher import LiveConnection, watcher
from tests.support.apps import SECRET_KEY, make_app, rows_of, statements, unprepared_app
from tests.support.live import PROMISE, cookie_header, served, wait_until

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgraded": ["polling", "websocket"]}


class SocketSite:
    """The tests' app with a socket of each kind, protected."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app, _, self.sessions = make_app(url)
        self.users = {"alice"}
        self.events, self.open = list[str](), list[LiveConnection]()
        self.sessions.user_loader(lambda user_id: user_id if user_id in self.users else None)
        self.socketio = SocketIO(self.app, async_mode="threading")
        self.add_events(self.socketio)
        Sock(self.app).route("/ws")(login_required(self.talk))

    def talk(self, ws: Any) -> None:
        with self.sessions.end_on_revocation(ws.close):
            while True:
                ws.send(f"{current_session.user_id} said {ws.receive()}")

    def add_events(self, socketio: SocketIO) -> None:
        for event in ("connect", "who"):
            socketio.on_event(event, login_required(getattr(self, event)))
        socketio.on_event("recheck", login_required(recheck=True)(self.who))
        socketio.on_event("maybe", lambda: str(current_session.user_id))

    def connect(self) -> None:
        sid = request.sid  # type: ignore[attr-defined]
        self.open.append(self.sessions.end_on_revocation(lambda: disconnect(sid, "/")))

    def who(self) -> str:
        self.events.append("who")
        return str(current_user)

    def revoke(self) -> None:
        """As another server of the same site does it."""
        other, _, sessions = unprepared_app(self.url)
        session_id = rows_of(self.app).revocation.live_sessions("alice", 1)[0].session_id
        with other.app_context():
            sessions.revoke(session_id, user_id=ANY_USER)


@pytest.fixture
def site(sqlite_url: str) -> Iterator[SocketSite]:
    site = SocketSite(sqlite_url)
    yield site
    for connection in site.open:
        connection.forget()
    wait_until(lambda: watcher.count == 0)


@pytest.fixture
def alice(site: SocketSite) -> FlaskClient:
    return signed_in(site.app, "alice")


@pytest.fixture
def address(site: SocketSite) -> Iterator[str]:
    with served(site.app) as address:
        yield address


# ---- Flask-Sock


@pytest.fixture
def websocket(address: str, alice: FlaskClient) -> Iterator[simple_websocket.Client]:
    headers = {"Cookie": cookie_header(alice)}
    client = simple_websocket.Client.connect(f"ws://{address}/ws", headers=headers)
    client.send("hello")
    assert client.receive(timeout=5) == "alice said hello"
    yield client
    assert closed_with(client) == 1000


def closed_with(client: simple_websocket.Client) -> int:
    """The code with which the server closes it, within what is promised."""
    with pytest.raises(simple_websocket.ConnectionClosed) as closed:
        assert client.receive(timeout=PROMISE) is not None, "it is still open"
    return int(closed.value.reason)


@contextmanager
def handshake(address: str, **headers: str) -> Iterator[socket.socket]:
    """A WebSocket by hand, which has asked to be opened."""
    connection = http.client.HTTPConnection(address, timeout=5)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    with closing(connection):
        connection.request("GET", "/ws", headers={**upgrade, **key, **headers})
        yield connection.sock


def test_a_websocket_is_closed_when_its_session_is_revoked_elsewhere(
    site: SocketSite, websocket: simple_websocket.Client
) -> None:
    site.revoke()


def test_a_websocket_is_closed_when_its_browser_signs_out(
    alice: FlaskClient, websocket: simple_websocket.Client
) -> None:
    assert alice.post("/sign-out").status_code == 200


def test_a_websocket_is_closed_when_its_user_is_gone(
    site: SocketSite, alice: FlaskClient, websocket: simple_websocket.Client
) -> None:
    site.users.clear()
    assert alice.get("/who").get_json()["id"] is None


def test_a_websocket_that_nobody_is_signed_in_for_is_closed_and_says_why(site: SocketSite, address: str) -> None:
    # by hand: simple-websocket's client overlooks a close that comes together with the handshake's answer
    with handshake(address) as peer:
        heard = b"".join(iter(partial(peer.recv, 1000), b""))
    assert b" 101 " in heard
    assert b"\x88\x11\x03\xf0unauthenticated" in heard  # a close with 1008 (RFC 6455 §5.5.1)


def test_a_websocket_whose_peer_does_not_answer_the_close_is_cut(
    site: SocketSite, address: str, alice: FlaskClient
) -> None:
    """Whoever copied a session would go on listening otherwise."""
    with handshake(address, Cookie=cookie_header(alice)) as peer:
        assert b" 101 " in peer.recv(1000)
        wait_until(lambda: watcher.count)
        site.revoke()
        wait_until(lambda: peer.recv(1000) == b"", within=2 * PROMISE)


# ---- Flask-SocketIO


@pytest.fixture(params=TRANSPORTS)
def client(request: pytest.FixtureRequest, address: str, alice: FlaskClient) -> Iterator[socketio.Client]:
    with connected(address, cookie_header(alice), TRANSPORTS[request.param]) as client:
        yield client


class connected:
    """A client of Flask-SocketIO, connected."""

    def __init__(self, address: str, cookies: str, transports: list[str]) -> None:
        self.client = socketio.Client(reconnection=False)
        self.client.connect(f"http://{address}", headers={"Cookie": cookies}, transports=transports)

    def __enter__(self) -> socketio.Client:
        return self.client

    def __exit__(self, *_: object) -> None:
        if (connection := self.client.eio.ws) is not None:  # which may wait three seconds for the other's farewell
            connection.close = partial(connection.close, timeout=0.05)
        self.client.disconnect()


def test_a_client_is_served_and_is_disconnected_when_its_session_is_revoked_elsewhere(
    site: SocketSite, client: socketio.Client
) -> None:
    assert [client.call(event) for event in ("who", "recheck", "maybe")] == ["alice"] * 3
    site.revoke()
    wait_until(lambda: not client.connected)


@pytest.mark.parametrize("event", ["who", "recheck"])
def test_an_event_after_the_sign_out_is_not_served(
    site: SocketSite, address: str, alice: FlaskClient, event: str
) -> None:
    """It was, to whoever the handshake had found."""
    with connected(address, cookie_header(alice), ["websocket"]) as client:
        assert client.call(event) == "alice"
        site.events.clear()
        alice.post("/sign-out")
        client.emit(event)
        wait_until(lambda: not client.connected)
    assert site.events == []


def test_an_unprotected_event_after_the_sign_out_sees_nobody(
    sqlite_url: str, site: SocketSite, alice: FlaskClient
) -> None:
    client = site.socketio.test_client(site.app, headers={"Cookie": cookie_header(alice)})
    assert client.emit("maybe", callback=True) == "alice"
    alice.post("/sign-out")
    assert client.emit("maybe", callback=True) == "None"


def test_a_connection_that_nobody_is_signed_in_for_is_refused(address: str) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        connected(address, "", ["websocket"])


def test_an_event_costs_no_statement_and_outlives_the_short_session(
    site: SocketSite, address: str, alice: FlaskClient
) -> None:
    clock = move_clock(site.app)
    with connected(address, cookie_header(alice), ["websocket"]) as client:
        client.call("who")
        with statements(site.app) as seen:
            assert [client.call("who") for _ in range(20)] == ["alice"] * 20
        assert seen == []
        clock.move(minutes=16)
        assert client.call("who") == "alice"


def test_an_event_of_a_user_who_is_gone_is_not_served(site: SocketSite, address: str, alice: FlaskClient) -> None:
    with connected(address, cookie_header(alice), ["websocket"]) as client:
        site.users.clear()
        client.emit("who")
        wait_until(lambda: not client.connected)
    assert rows_of(site.app).revocation.live_sessions("alice", 1) == []


def test_a_client_that_has_left_is_forgotten_when_its_short_session_runs_out(
    site: SocketSite, address: str, alice: FlaskClient
) -> None:
    with connected(address, cookie_header(alice), ["websocket"]):
        assert watcher.count == 1
    move_clock(site.app).move(minutes=16)
    wait_until(lambda: watcher.count == 0)


def test_a_page_request_of_an_app_with_socketio_is_refreshed_as_ever(site: SocketSite, alice: FlaskClient) -> None:
    """Flask-SocketIO marks the environ of every request, not of its own alone."""
    move_clock(site.app).move(minutes=16)
    answer = alice.get("/protected")
    assert answer.status_code == 200
    assert len(answer.headers.getlist("Set-Cookie")) == 2


def test_it_does_not_matter_that_flask_socketio_was_set_up_first(sqlite_url: str) -> None:
    """The handshake then comes by way of our WSGI wrapper."""
    app, db = Flask(__name__), SQLAlchemy()
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    events = SocketIO(app, async_mode="threading")
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    events.on_event("who", login_required(lambda: current_user.id))
    with app.app_context():
        db.create_all()
    alice = signed_in(app, "alice")
    with served(app) as address:
        for transports in TRANSPORTS.values():
            with connected(address, cookie_header(alice), transports) as client:
                assert [client.call("who") for _ in range(3)] == ["alice"] * 3
        with connected(address, cookie_header(alice), ["websocket"]) as client, app.app_context():
            app.extensions["corbado_session"].parts.revocation.revoke_user("alice", "revoked")
            client.emit("who")
            wait_until(lambda: not client.connected)
