"""This request's outcome through the proxies: found when asked for, kept with the request, gone with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, jsonify, render_template_string
from werkzeug.exceptions import HTTPException

from flask_corbado_session import (
    AnonymousUser,
    CorbadoSession,
    SessionUser,
    current_session,
    current_user,
    login_required,
)
from flask_corbado_session.testing import move_clock, signed_in
from tests.support.apps import rows_of, statements
from tests.support.rules import heard
from tests.support.site import Site, cookie_of

PAGE = {"Accept": "text/html"}


@dataclass
class User:
    """The app's own."""

    id: str
    is_authenticated = True
    is_anonymous = False


class SiteWithUsers(Site):
    """An app with a table of users, of which some may go."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **config)
        self.users = {name: User(name) for name in ("alice", "bob")}
        self.loaded: list[str] = []

        @self.sessions.user_loader
        def load(user_id: str) -> User | None:
            self.loaded.append(user_id)
            return self.users.get(user_id)

        @self.app.get("/user")
        def user() -> Any:
            return jsonify(id=current_user.get_id() if current_user.is_anonymous else current_user.id)


@pytest.fixture
def site(sqlite_url: str) -> SiteWithUsers:
    return SiteWithUsers(sqlite_url)


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    """An app that has no users of its own."""
    return Site(sqlite_url).app


# ---- current_session


def test_the_current_session_tells_what_the_short_one_proves(app: Flask) -> None:
    clock = move_clock(app)

    @app.get("/session-facts")
    def facts() -> str:
        now = clock.at.replace(microsecond=0)
        assert current_session
        assert (current_session.user_id, current_session.amr) == ("alice", ("pwd",))
        assert len(str(current_session.session_id)) == 30
        assert (current_session.issued_at, current_session.auth_time) == (now, now)
        assert current_session.expires_at == now + timedelta(minutes=15)
        assert current_session.claims == {"roles": ["admin"]}
        assert current_session.device is not None
        assert current_session.device.label == "Unknown browser"
        return repr(current_session)

    said = signed_in(app, "alice", claims={"roles": ["admin"]}, amr=["pwd"]).get("/session-facts").text
    assert "'alice'" in said
    assert "eyJ" not in said


def test_without_a_session_it_is_false_and_empty_throughout(app: Flask) -> None:
    with app.test_request_context():
        assert not current_session
        names = ("user_id", "session_id", "issued_at", "expires_at", "auth_time", "device")
        assert [getattr(current_session, name) for name in names] == [None] * 6
        assert (current_session.claims, current_session.amr) == ({}, ())
        assert repr(current_session) == "<no session>"


def test_what_a_view_does_to_the_claims_is_seen_by_nobody_else(app: Flask) -> None:
    @app.get("/change")
    def change() -> Any:
        current_session.claims["roles"].append("owner")
        current_user.claims["roles"].append("owner")
        return jsonify(current_session.claims)

    client = signed_in(app, "alice", claims={"roles": ["admin"]})
    assert [client.get("/change").get_json() for _ in range(2)] == [{"roles": ["admin"]}] * 2


def test_both_are_there_in_templates(app: Flask) -> None:
    @app.get("/page")
    def page() -> str:
        who = "{% if current_session %}{{ current_user.id }}{% else %}nobody{% endif %}"
        return render_template_string(f"{who} {{{{ current_user.is_authenticated }}}}")

    assert signed_in(app, "alice").get("/page").text == "alice True"
    assert app.test_client().get("/page").text == "nobody False"


def test_outside_a_request_there_is_nobody(app: Flask) -> None:
    for context in (None, app.app_context()):
        if context is not None:
            context.push()
        assert not current_session
        assert current_user == AnonymousUser()
        assert current_user.is_anonymous
        assert current_user.get_id() is None
        if context is not None:
            context.pop()


def test_without_a_loader_the_user_is_made_of_the_claims(app: Flask) -> None:
    @app.get("/user")
    def user() -> str:
        assert current_user == SessionUser("alice", {"plan": "pro"})
        assert current_user.is_authenticated
        assert current_user.is_active
        assert not current_user.is_anonymous
        return str(current_user.get_id())

    assert signed_in(app, "alice", claims={"plan": "pro"}).get("/user").text == "alice"


def test_the_device_costs_one_statement(app: Flask) -> None:
    app.add_url_rule("/device", view_func=lambda: str(current_session.device.id))  # type: ignore[union-attr]
    client = signed_in(app, "alice")
    client.get("/protected")
    with statements(app) as seen:
        client.get("/device")
    assert seen.verbs == ["SELECT"]


# ---- the app's users


def test_the_user_is_what_the_loader_gave_and_asked_for_once(site: SiteWithUsers) -> None:
    @site.app.get("/thrice")
    def thrice() -> str:
        assert current_user == site.users["alice"]
        return f"{current_user.id} {current_user.id}"

    client = site.signed_in()
    site.loaded.clear()
    assert client.get("/thrice").text == "alice alice"
    assert site.loaded == ["alice"]


def test_a_page_that_does_not_touch_the_user_does_not_load_it(site: SiteWithUsers) -> None:
    client = site.signed_in()
    site.loaded.clear()
    assert client.get("/protected").status_code == 200
    assert site.loaded == []


def test_a_refresh_asks_for_the_user_and_a_touch_after_it_does_not_again(site: SiteWithUsers) -> None:
    client = site.signed_in()
    site.loaded.clear()
    site.clock.move(minutes=16)
    assert client.get("/user").get_json() == {"id": "alice"}
    assert site.loaded == ["alice"]


def test_a_loader_may_be_a_coroutine(site: SiteWithUsers) -> None:
    @site.sessions.user_loader
    async def load(user_id: str) -> User | None:
        return site.users.get(user_id)

    client = site.signed_in()
    site.clock.move(minutes=16)
    assert client.get("/user").get_json() == {"id": "alice"}


def test_a_user_who_is_gone_is_out_at_the_next_refresh(site: SiteWithUsers) -> None:
    client = site.signed_in()
    del site.users["alice"]
    site.clock.move(minutes=16)
    answer = client.get("/protected")
    assert (answer.status_code, answer.get_json()["reason"]) == (401, "user_disabled")
    assert site.end_reasons() == ["user_disabled"]
    assert answer.headers.getlist("Set-Cookie") == []


def test_a_user_who_is_gone_is_nobody_at_the_first_touch(site: SiteWithUsers) -> None:
    client, elsewhere = site.signed_in(), site.signed_in()
    del site.users["alice"]
    with heard(site.app) as said:
        assert client.get("/user").get_json() == {"id": None}
    assert [(name, facts["reason"]) for name, facts in said] == [("session-ended", "user_disabled")]
    assert site.end_reasons() == ["user_disabled"]
    assert client.get("/protected").status_code == 401
    assert elsewhere.get("/protected").status_code == 200


@pytest.mark.parametrize("login_view", [None, "/sign-in"])
def test_a_protected_view_that_touches_a_user_who_is_gone_answers_as_to_nobody(
    sqlite_url: str, login_view: Any
) -> None:
    site = SiteWithUsers(sqlite_url, CORBADO_SESSION_LOGIN_VIEW=login_view)

    @site.app.get("/dashboard")
    @login_required
    def dashboard() -> str:
        return f"never said to {current_user.id}"

    client = site.signed_in()
    del site.users["alice"]
    answer = client.get("/dashboard", headers=PAGE)
    assert answer.status_code == (303 if login_view else 401)
    assert "never said" not in answer.text
    assert answer.headers.getlist("Set-Cookie") == []


def test_the_apps_own_handler_answers_that_too(site: SiteWithUsers) -> None:
    site.sessions.unauthorized_handler(lambda: ("please leave", 418))
    site.app.add_url_rule("/dashboard", view_func=login_required(lambda: f"never said to {current_user.id}"))
    client = site.signed_in()
    del site.users["alice"]
    answer = client.get("/dashboard")
    assert (answer.status_code, answer.text) == (418, "please leave")


@pytest.mark.parametrize("first", ["alice", "bob"])
def test_a_user_who_is_gone_takes_nobody_along_whose_cookie_came_with_his(site: SiteWithUsers, first: str) -> None:
    """The None of one was remembered for the other, and ended their session."""
    jars = {name: signed_in(site.app, name).get_cookie("__Host-cbo_long_session") for name in ("alice", "bob")}
    del site.users["alice"]
    site.clock.move(minutes=16)
    order = [first, *(name for name in jars if name != first)]
    header = "; ".join(f"__Host-cbo_long_session={jar.value}" for name in order if (jar := jars[name]) is not None)
    answer = site.app.test_client(use_cookies=False).get("/user", headers={"Cookie": header})
    assert answer.get_json() == {"id": "bob"}
    assert rows_of(site.app).revocation.history("bob") == []


def test_a_loader_that_asks_who_is_there_sees_nobody_and_does_no_harm(site: SiteWithUsers) -> None:
    @site.sessions.user_loader
    def load(user_id: str) -> User | None:
        assert not current_user.is_authenticated
        return site.users.get(user_id)

    client = site.signed_in()
    site.clock.move(minutes=16)
    assert client.get("/protected").status_code == 200


def test_a_loader_that_fails_signs_nobody_out(site: SiteWithUsers) -> None:
    site.app.testing = False
    client = site.signed_in()
    site.sessions.user_loader(lambda user_id: 1 // 0)
    site.clock.move(minutes=16)
    answer = client.get("/user")
    assert answer.status_code == 500
    assert answer.headers.getlist("Set-Cookie") == []
    site.sessions.user_loader(site.users.get)
    assert client.get("/user").get_json() == {"id": "alice"}


# ---- the app's claims


def test_claims_are_loaded_at_the_start_and_at_each_refresh(site: SiteWithUsers) -> None:
    roles = iter("abc")
    site.sessions.claims_loader(lambda user_id: {"role": next(roles), "of": user_id})
    client = site.signed_in()
    said = []
    for _ in range(3):
        said.append(client.get("/session").get_json()["claims"]["role"])
        site.clock.move(minutes=8)
    assert said == ["a", "a", "b"]


def test_a_loader_of_claims_may_give_nothing_or_be_a_coroutine(site: SiteWithUsers) -> None:
    site.sessions.claims_loader(lambda user_id: None)
    assert site.signed_in().get("/session").status_code == 200

    @site.sessions.claims_loader
    async def load(user_id: str) -> dict[str, Any]:
        return {"role": "admin"}

    assert site.signed_in().get("/session").get_json()["claims"]["role"] == "admin"


@pytest.mark.parametrize("claims", [{"sub": "bob"}, {"a": "x" * 4000}, {"a": object()}])
def test_a_loader_whose_claims_cannot_be_signed_ends_no_session(site: SiteWithUsers, claims: Any) -> None:
    client = site.signed_in()
    site.clock.move(minutes=16)
    site.sessions.claims_loader(lambda user_id: claims)
    assert client.get("/protected").status_code == 200
    site.clock.move(minutes=16)
    site.sessions.claims_loader(lambda user_id: {})
    assert client.get("/protected").status_code == 200


# ---- with the request


def test_an_outer_app_context_gives_nobody_anothers_user(site: SiteWithUsers) -> None:
    """Flask-Login keeps its user in ``g``, which under an outer context outlives the request: bob was alice."""
    alice, bob = site.signed_in(), signed_in(site.app, "bob")
    with site.app.app_context():
        said = [client.get("/user").get_json()["id"] for client in (alice, bob, site.app.test_client(), alice)]
    assert said == ["alice", "bob", None, "alice"]


def test_a_refused_request_is_refused_once_and_its_error_page_sees_nobody(site: SiteWithUsers) -> None:
    @site.app.errorhandler(HTTPException)
    def page(error: HTTPException) -> tuple[str, int]:
        return f"{error.code} for {current_user.get_id()} {bool(current_session)}", error.code or 500

    answer = site.signed_in().post("/protected", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.text) == (403, "403 for None False")
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_app_without_the_extension_is_told_what_to_call() -> None:
    app = Flask(__name__)
    with app.test_request_context(), pytest.raises(RuntimeError, match=r"call sessions\.init_app\(app\)"):
        bool(current_session)


def test_a_request_context_of_a_test_works_without_a_server(app: Flask) -> None:
    client = signed_in(app, "alice")
    cookie = cookie_of(client)
    with app.test_request_context(headers={"Cookie": f"__Host-cbo_short_session={cookie}"}):
        assert current_user.id == "alice"


def test_a_request_within_a_request_has_its_own_session(app: Flask) -> None:
    cookie = cookie_of(signed_in(app, "alice"))
    with app.test_request_context(headers={"Cookie": f"__Host-cbo_short_session={cookie}"}):
        assert current_user.id == "alice"
        with app.test_request_context():
            assert current_user.is_anonymous
        assert current_user.id == "alice"


def test_a_decorator_of_the_instance_gives_back_what_it_got() -> None:
    sessions = CorbadoSession()
    decorators: list[Any] = [sessions.user_loader, sessions.claims_loader, sessions.unauthorized_handler]
    assert all(decorator(len) is len for decorator in decorators)
