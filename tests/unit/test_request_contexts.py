"""What is kept for a request belongs to one request context: an environ can outlive it, and so can its user."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, copy_current_request_context, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from flask_corbado_session import current_session, current_user, login_required, login_user, logout_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import make_app, rows_of, state_of
from tests.support.live import cookie_header
from tests.support.site import Site, look_up_ended


class SiteWithUsers(Site):
    """The tests' app with a table of users."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **config)
        db = self.db

        class User(db.Model):  # type: ignore[name-defined, misc]
            id: Mapped[str] = mapped_column(primary_key=True)
            name: Mapped[str]
            is_authenticated = True

            def get_id(self) -> str:
                return self.id

        self.user_class = User
        self.sessions.user_loader(lambda user_id: db.session.get(User, user_id))
        with self.app.app_context():
            db.create_all()
            db.session.add(User(id="alice", name="a"))
            db.session.commit()

    def environ(self, client: FlaskClient, path: str = "/public", **how: Any) -> dict[str, Any]:
        """What a server hands to the app for a request of this client."""
        headers = {"Cookie": cookie_header(client), **how.pop("headers", {})}
        return EnvironBuilder(path, headers=headers, **how).get_environ()

    def saved_name(self) -> str:
        with self.app.app_context():
            name: str = self.db.session.get_one(self.user_class, "alice").name
            return name


@pytest.fixture
def site(sqlite_url: str) -> SiteWithUsers:
    return SiteWithUsers(sqlite_url)


def ids() -> tuple[str | None, str | None]:
    return current_session.user_id, current_user.id


def serve() -> str:
    return "served"


# ---- later contexts on one environ, as Flask-SocketIO makes them


def test_a_later_context_on_an_environ_loads_the_user_anew_and_saves_what_it_changes(site: SiteWithUsers) -> None:
    """The user of the first event belonged to a database session that was gone: nothing was saved."""
    environ = site.environ(site.signed_in())
    for name in "bcd":
        with site.app.request_context(environ):
            current_user.name = name
            site.db.session.commit()
        assert site.saved_name() == name


@pytest.mark.parametrize("protect", [login_required, login_required(recheck=True)], ids=["plain", "recheck"])
def test_a_later_context_is_refused_once_the_session_has_ended(
    site: SiteWithUsers, protect: Callable[[Any], Any]
) -> None:
    client = site.signed_in()
    environ, view = site.environ(client), protect(serve)
    for _ in range(2):
        with site.app.request_context(environ):
            assert view() == "served"
    client.post("/sign-out")
    with site.app.request_context(environ):
        assert view() is None
        assert not current_session
        assert current_user.is_anonymous


def test_recheck_reads_the_row_in_a_later_context_too(site: SiteWithUsers) -> None:
    """What another server revoked this instant is known by the row alone."""
    environ = site.environ(site.signed_in())
    view, plain = login_required(recheck=True)(serve), login_required(serve)
    with site.app.request_context(environ):
        assert view() == "served"
    with site.second_server().app_context() as context:
        rows_of(context.app).revocation.revoke(site.ids()[0], None)
    look_up_ended(site.app)
    with site.app.request_context(environ):
        assert plain() == "served"
    with site.app.request_context(environ):
        assert view() is None


def test_a_later_context_costs_no_statement_until_the_short_session_has_run_out(site: SiteWithUsers) -> None:
    environ = site.environ(site.signed_in())
    look_up_ended(site.app)
    costs = []
    for minutes in (0, 1, 1, 15, 1, 1):
        site.clock.move(minutes=minutes)
        look_up_ended(site.app)
        with site.statements() as seen, site.app.request_context(environ):
            assert current_session.user_id == "alice"
        costs.append(seen.verbs)
    assert costs == [[], [], [], ["SELECT"], [], []]


def test_a_later_context_has_the_claims_of_now_once_the_short_session_has_run_out(site: SiteWithUsers) -> None:
    environ = site.environ(site.signed_in())
    with site.app.request_context(environ):
        assert current_session.claims == {}
    site.sessions.claims_loader(lambda user_id: {"role": "admin"})
    with site.app.app_context():
        site.sessions.expire_short("alice")
    with site.app.request_context(environ):
        assert current_session.claims == {"role": "admin"}


def test_an_old_handshake_never_looks_like_a_reuse(site: SiteWithUsers) -> None:
    """Its cookies are as old as the connection: presented late, they would have ended an honest session."""
    client = site.signed_in()
    asked, unasked = site.environ(client), {**site.environ(client), "flask.app": site.app}
    with site.app.request_context(asked):
        assert current_session
    for _ in range(3):
        site.clock.move(minutes=16)
        assert client.get("/protected").status_code == 200
    with site.app.request_context(asked):
        assert current_session.user_id == "alice"
    with site.app.request_context(unasked) as event:
        event.request.sid = "as Flask-SocketIO names its client"  # type: ignore[attr-defined]
        assert not current_session
    assert site.end_reasons() == []
    assert client.get("/protected").status_code == 200


def test_a_socket_refreshes_nothing_ahead_of_time(site: SiteWithUsers) -> None:
    """Its browser would never get the new token, and the one of an old handshake would be a reuse."""
    client = site.signed_in()
    unasked = {**site.environ(client), "flask.app": site.app}
    for _ in range(3):
        site.clock.move(minutes=4)
        assert client.get("/protected").status_code == 200
    with site.app.request_context(unasked) as event:
        event.request.sid = "as Flask-SocketIO names its client"  # type: ignore[attr-defined]
        assert current_session.user_id == "alice"
    assert site.end_reasons() == []
    with site.statements() as seen, site.app.request_context(site.environ(client, headers={"Upgrade": "websocket"})):
        assert current_session.user_id == "alice"
    assert "UPDATE" not in seen.verbs


def test_claims_that_cannot_be_had_sign_no_socket_out(site: SiteWithUsers) -> None:
    environ = site.environ(site.signed_in())
    with site.app.request_context(environ):
        assert current_session

    @site.sessions.claims_loader
    def load(user_id: str) -> dict[str, Any]:
        raise RuntimeError("the app's own")

    site.clock.move(minutes=16)
    with site.app.request_context(environ):
        assert current_session.user_id == "alice"


def test_a_handshake_with_the_long_cookie_alone_is_served_and_moves_no_row_on(site: SiteWithUsers) -> None:
    """Nothing can give its browser a new token."""
    client = site.signed_in()
    site.clock.move(minutes=16)
    environ = site.environ(client, headers={"Upgrade": "websocket"})
    with site.statements() as seen, site.app.request_context(environ):
        assert ids() == ("alice", "alice")
    assert [verb for stmt, verb in zip(seen, seen.verbs, strict=True) if "UNION" not in stmt] == ["SELECT"]


def test_a_socket_of_another_origin_is_rejected_as_a_form_of_it_is(site: SiteWithUsers) -> None:
    """Browsers open WebSockets across origins without asking."""
    headers = {"Upgrade": "websocket", "Origin": "https://evil.example"}
    with site.app.request_context(site.environ(site.signed_in(), headers=headers)):
        with pytest.raises(HTTPException) as caught:
            bool(current_session)
        assert caught.value.code == 403
    headers["Origin"] = "http://localhost"
    with site.app.request_context(site.environ(site.signed_in(), headers=headers)):
        assert current_session


@pytest.mark.parametrize("call", [lambda: login_user("bob"), logout_user], ids=["login_user", "logout_user"])
def test_a_later_context_can_set_no_cookies_and_says_so(site: SiteWithUsers, call: Callable[[], Any]) -> None:
    environ = site.environ(site.signed_in())
    with site.app.request_context(environ):
        assert current_session
    with site.app.request_context(environ), pytest.raises(RuntimeError, match="cookies"):
        call()


# ---- copied contexts


def test_a_copied_context_loads_the_user_anew(site: SiteWithUsers) -> None:
    """It got the user of the view, detached from the database session that loaded it."""
    renamed = []

    @site.app.get("/rename")
    @login_required
    def rename() -> str:
        mine = current_user._get_current_object()

        @copy_current_request_context
        def work() -> None:
            renamed.append(current_user._get_current_object() is not mine)
            current_user.name = "renamed"
            site.db.session.commit()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return "ok"

    assert site.signed_in().get("/rename").text == "ok"
    assert (renamed, site.saved_name()) == ([True], "renamed")


def test_a_copied_context_of_a_refreshed_request_refreshes_nothing_again(site: SiteWithUsers) -> None:
    seen = []

    @site.app.get("/work")
    @login_required
    def work() -> str:
        copied = copy_current_request_context(lambda: seen.append(current_session.user_id))
        thread = threading.Thread(target=copied)
        thread.start()
        thread.join()
        return "ok"

    client = site.signed_in()
    site.clock.move(minutes=16)
    response = site.ask(client, "/work")
    assert (seen, response.statements) == (["alice"], ["UPDATE"])
    assert len(response.cookies) == 2


# ---- contexts within contexts


def test_a_request_within_a_request_leaves_the_outer_one_its_user(site: SiteWithUsers) -> None:
    alice = site.signed_in()
    with site.app.request_context(site.environ(alice)):
        assert ids() == ("alice", "alice")
        assert site.nobody().get("/who").get_json() == {"user_id": None, "id": None}
        with site.app.test_request_context():
            assert not current_session
        assert ids() == ("alice", "alice")


@pytest.fixture
def mounted(site: SiteWithUsers, tmp_path: Any) -> Flask:
    """Another app with sessions of its own, under other cookies, mounted in the site's at /inner."""
    inner, _, _ = make_app(
        f"sqlite:///{tmp_path / 'inner.sqlite'}",
        CORBADO_SESSION_SHORT_COOKIE="inner_short",
        CORBADO_SESSION_LONG_COOKIE="inner_long",
        CORBADO_SESSION_ISSUER="inner",
    )
    site.app.wsgi_app = DispatcherMiddleware(site.app.wsgi_app, {"/inner": inner.wsgi_app})  # type: ignore[method-assign]
    return inner


def test_an_app_that_is_mounted_in_another_has_users_of_its_own(site: SiteWithUsers, mounted: Flask) -> None:
    client = site.signed_in()
    client.post("/inner/sign-in", data={"user": "bob"})
    assert client.get("/who").get_json() == {"user_id": "alice", "id": "alice"}
    assert client.get("/inner/who").get_json() == {"user_id": "bob", "id": "bob"}


def test_an_app_that_answers_by_another_on_its_own_environ_keeps_its_user_and_its_cookies(
    site: SiteWithUsers, mounted: Flask
) -> None:
    """The inner app's state took the outer one's place in the environ."""

    @site.app.get("/by-inner")
    def by_inner() -> Any:
        inner = Response.from_app(mounted.wsgi_app, request.environ)
        return jsonify(inner=inner.status_code, outer=ids())

    client = site.signed_in()
    site.clock.move(minutes=16)
    answer = site.ask(client, "/by-inner")
    assert answer.json == {"inner": 404, "outer": ["alice", "alice"]}
    assert list(answer.cookies) == [state_of(site.app).settings.short_cookie, state_of(site.app).settings.long_cookie]


def test_two_browsers_at_once_are_two_people(site: SiteWithUsers) -> None:
    with site.app.app_context():
        site.db.session.add(site.user_class(id="bob", name="b"))
        site.db.session.commit()
    contexts = [site.app.request_context(site.environ(signed_in(site.app, name))) for name in ("alice", "bob")]
    with contexts[0]:
        assert ids() == ("alice", "alice")
        with contexts[1]:
            assert ids() == ("bob", "bob")
        assert ids() == ("alice", "alice")
