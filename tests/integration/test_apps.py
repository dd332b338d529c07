"""Apps of every make: several in one process, mounted in one another, from factories; and who may post to them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase
from werkzeug.exceptions import NotFound as WerkzeugNotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_corbado_session import (
    ANY_USER,
    CorbadoSession,
    SessionNotFound,
    current_session,
    current_user,
    login_required,
    login_user,
)
from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from tests.support.apps import SECRET_KEY, make_app, rows_of, state_of, statements
from tests.support.jars import SHORT
from tests.support.rules import heard
from tests.support.site import Site, cookie_of

OTHER_KEY = "Zk8vQ2nW5xR9tY3uJ7mL4pS6aD1fG0hB"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


def bare_app(url: str, name: str = "bare", **config: Any) -> Flask:
    app = Flask(name)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=url)
    app.config.from_mapping(config)
    return app


def new_db() -> SQLAlchemy:
    class Base(DeclarativeBase):
        pass

    return SQLAlchemy(model_class=Base)


def cookie_header(client: FlaskClient, name: str = SHORT) -> str:
    return f"{name}={cookie_of(client, name)}"


# ---- several apps


def test_two_apps_of_one_instance_share_nothing_but_its_callbacks(tmp_path: Any) -> None:
    db = new_db()
    sessions = CorbadoSession(db)
    apps = []
    for number, key in enumerate((SECRET_KEY, OTHER_KEY)):
        app = bare_app(f"sqlite:///{tmp_path}/{number}.sqlite", f"app{number}", SECRET_KEY=key)
        db.init_app(app)
        sessions.init_app(app)
        app.add_url_rule("/me", view_func=login_required(lambda: f"{current_user.id}"))
        with app.app_context():
            db.create_all()
        apps.append(app)
    one, other = apps
    alice = signed_in(one, "alice")
    assert alice.get("/me").text == "alice"
    stranger = other.test_client(use_cookies=False)
    everything = "; ".join(cookie_header(alice, name) for name in (SHORT, "__Host-cbo_long_session"))
    assert stranger.get("/me", headers={"Cookie": everything}).status_code == 401
    assert state_of(one) is not state_of(other)
    assert rows_of(other).revocation.devices("alice", None) == []


def noting(loaded: list[str], name: str) -> Any:
    """A user loader that says it was asked."""

    def load(user_id: str) -> str:
        loaded.append(name)
        return user_id

    return load


def test_two_instances_may_stand_on_one_db(sqlite_url: str) -> None:
    db = new_db()
    loaded: list[str] = []
    apps = []
    for name in ("one", "other"):
        sessions = CorbadoSession(db)
        sessions.user_loader(noting(loaded, name))
        app = bare_app(sqlite_url, name)
        db.init_app(app)
        sessions.init_app(app)
        app.add_url_rule("/me", view_func=lambda: str(current_user))
        apps.append(app)
    with apps[0].app_context():
        db.create_all()
    alice = signed_in(apps[0], "alice")
    assert alice.get("/me").text == "alice"
    assert apps[1].test_client(use_cookies=False).get("/me", headers={"Cookie": cookie_header(alice)}).text == "alice"
    assert loaded == ["one", "other"]


def test_a_factory_may_be_called_again_and_again(sqlite_url: str) -> None:
    db, sessions = new_db(), CorbadoSession()

    def create_app() -> Flask:
        app = bare_app(sqlite_url)
        db.init_app(app)
        sessions.init_app(app, db)
        app.add_url_rule("/me", view_func=login_required(lambda: str(current_session.user_id)))
        with app.app_context():
            db.create_all()
        return app

    first, second = create_app(), create_app()
    alice = signed_in(first, "alice")
    answer = second.test_client(use_cookies=False).get("/me", headers={"Cookie": cookie_header(alice)})
    assert answer.text == "alice"
    assert {"corbado_session", "corbado_device"} <= set(db.metadata.tables)


def test_a_signal_is_heard_by_the_app_that_sent_it(tmp_path: Any) -> None:
    one, other = (make_app(f"sqlite:///{tmp_path}/{number}.sqlite")[0] for number in range(2))
    with heard(one) as here, heard(other) as there:
        signed_in(one, "alice")
    assert [name for name, _ in here] == ["session-started", "device-added"]
    assert there == []


# ---- keys


def test_a_new_secret_key_signs_nobody_out(sqlite_url: str) -> None:
    old, _, _ = make_app(sqlite_url)
    alice = signed_in(old, "alice")
    new, _, _ = make_app(sqlite_url, SECRET_KEY=OTHER_KEY, SECRET_KEY_FALLBACKS=[SECRET_KEY])
    clock = move_clock(new)
    assert ask_with(new, alice, SHORT).status_code == 200
    clock.move(minutes=16)
    answer = ask_with(new, alice, "__Host-cbo_long_session")
    assert answer.status_code == 200
    alone, _, _ = make_app(sqlite_url, SECRET_KEY=OTHER_KEY)
    move_clock(alone, clock.move(seconds=61))
    by_name = {header.partition("=")[0]: header.partition(";")[0] for header in answer.headers.getlist("Set-Cookie")}
    for cookie in by_name.values():
        refreshed = alone.test_client(use_cookies=False).get("/protected", headers={"Cookie": cookie})
        assert refreshed.status_code == 200


def test_a_secret_key_that_was_taken_away_takes_its_sessions_but_not_their_cookies(sqlite_url: str) -> None:
    """So that a bad rollout, undone, has signed out nobody."""
    app, _, _ = make_app(sqlite_url)
    alice = signed_in(app, "alice")
    wrong, _, _ = make_app(sqlite_url, SECRET_KEY=OTHER_KEY)
    for name in (SHORT, "__Host-cbo_long_session"):
        answer = ask_with(wrong, alice, name)
        assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, [])
        assert ask_with(app, alice, name).status_code == 200


def ask_with(app: Flask, client: FlaskClient, name: str) -> Any:
    """Another app, or process, with one cookie of this browser."""
    return app.test_client(use_cookies=False).get("/protected", headers={"Cookie": cookie_header(client, name)})


# ---- mounted in one another


def me() -> str:
    return f"{current_user.get_id()} in {request.script_root or '/'}"


def test_a_mounted_app_has_its_own_session(tmp_path: Any) -> None:
    outer, inner = (make_app(f"sqlite:///{tmp_path}/{name}.sqlite", SECRET_KEY=key)[0] for name, key in
                    (("outer", SECRET_KEY), ("inner", OTHER_KEY)))  # fmt: skip
    for app in (outer, inner):
        app.add_url_rule("/me", view_func=me)
    both = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner.wsgi_app})
    client = Client(both, use_cookies=False)
    alice, bob = cookie_header(signed_in(outer, "alice")), cookie_header(signed_in(inner, "bob"))
    asked = [client.get(path, headers={"Cookie": f"{alice}; {bob}"}).text for path in ("/me", "/inner/me")]
    assert asked == ["alice in /", "bob in /inner"]
    assert client.get("/inner/me", headers={"Cookie": alice}).text == "None in /inner"


def test_a_view_that_calls_another_app_gets_its_own_session_back(tmp_path: Any) -> None:
    """Or alice's page would go on as bob, and be written without her refresh."""
    outer, inner = (make_app(f"sqlite:///{tmp_path}/{name}.sqlite", SECRET_KEY=key)[0] for name, key in
                    (("outer", SECRET_KEY), ("inner", OTHER_KEY)))  # fmt: skip
    clock = move_clock(outer)
    inner.add_url_rule("/around", view_func=me)

    @outer.get("/around")
    def around() -> str:
        inside = Response.from_app(inner.wsgi_app, request.environ).get_data(as_text=True)
        return f"{inside}, {me()}"

    alice, bob = signed_in(outer, "alice"), signed_in(inner, "bob")
    clock.move(minutes=16)
    long = cookie_header(alice, "__Host-cbo_long_session")
    answer = outer.test_client(use_cookies=False).get("/around", headers={"Cookie": f"{cookie_header(bob)}; {long}"})
    assert answer.text == "bob in /, alice in /"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers.getlist("Set-Cookie")) == 2


def test_behind_a_proxy_the_origin_is_the_one_the_browser_sees(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    alice = signed_in(app, "alice")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    forwarded = {"X-Forwarded-Host": "app.example.com", "X-Forwarded-Proto": "https", "Cookie": cookie_header(alice)}
    client = app.test_client(use_cookies=False)
    ours, theirs = ({"Origin": f"https://{host}", **forwarded} for host in ("app.example.com", "localhost"))
    assert client.post("/protected", headers=ours).status_code == 200
    assert client.post("/protected", headers=theirs).status_code == 403


def test_a_second_init_app_on_one_app_is_refused(sqlite_url: str) -> None:
    app, _, sessions = make_app(sqlite_url)
    with pytest.raises(ValueError, match="corbado_session"):
        sessions.init_app(app)


# ---- blueprints


def test_a_blueprint_of_the_app_uses_it_like_any_view(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    outer, inner = Blueprint("outer", __name__, url_prefix="/o"), Blueprint("inner", __name__, url_prefix="/i")
    inner.add_url_rule("/me", view_func=login_required(me))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert signed_in(app, "alice").get("/o/i/me").text == "alice in /"


# ---- the origin check


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app, _, sessions = make_app(sqlite_url, CORBADO_SESSION_TRUSTED_ORIGINS=["https://idp.example"])
    app.extensions["tests.sessions"] = sessions

    @app.post("/webhook")
    def webhook() -> str:
        return request.get_data(as_text=True)

    @app.post("/callback")
    @sessions.csrf_exempt
    def callback() -> str:
        login_user(request.form["user"])
        return "in"

    @app.post("/exempt-protected")
    @login_required
    @sessions.csrf_exempt
    def exempt_protected() -> str:
        return str(current_session.user_id)

    @app.post("/end-all")
    def end_all() -> str:
        sessions.revoke_user(request.form["user"])
        return "ended"

    @app.post("/end-one")
    def end_one() -> str:
        sessions.revoke(request.form["user"], user_id=ANY_USER)
        return "ended"

    return app


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def test_an_unsafe_request_with_a_cookie_is_told_by_its_origin(subtests: pytest.Subtests, app: Flask) -> None:
    rows: list[tuple[Any, bool]] = [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "https://localhost"}, True),
        ({"Origin": "http://localhost:81"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://idp.example"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://idp.example"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://idp.example.evil.example"}, False),
    ]
    for headers, passes in rows:
        with subtests.test(headers=headers, passes=passes):
            alice = signed_in(app, "alice")
            for method in METHODS:
                expected = 200 if passes or method in METHODS[:3] else 403
                assert alice.open("/protected", method=method, headers=headers).status_code == expected, method


def test_a_bearer_and_a_request_without_cookies_are_no_ones_forgery(app: Flask) -> None:
    alice = signed_in(app, "alice")
    token = cookie_header(alice).partition("=")[2]
    stranger = app.test_client()
    assert stranger.post("/protected", headers={**FOREIGN, "Authorization": f"Bearer {token}"}).status_code == 200
    assert stranger.post("/protected", headers=FOREIGN).status_code == 401
    assert stranger.post("/who", headers=FOREIGN).get_json()["user_id"] is None


def test_a_webhook_that_never_asks_is_left_alone(app: Flask) -> None:
    answer = signed_in(app, "alice").post("/webhook", data=b"payload", headers=FOREIGN, content_type="text/plain")
    assert (answer.status_code, answer.text) == (200, "payload")


def test_an_exempt_view_checks_for_itself(app: Flask) -> None:
    stranger = app.test_client()
    assert stranger.post("/callback", data={"user": "alice"}, headers=FOREIGN).text == "in"
    assert stranger.post("/exempt-protected", headers=FOREIGN).text == "alice"
    assert stranger.post("/protected", headers=FOREIGN).status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/end-all", "/end-one", "/session/logout"])
@pytest.mark.parametrize("signed", [True, False])
def test_nobody_is_signed_in_or_out_or_revoked_by_a_foreign_page(app: Flask, path: str, signed: bool) -> None:
    """Also where no cookie came, for SameSite keeps them back: a stranger's session would be planted (login CSRF)."""
    alice = signed_in(app, "alice")
    client = alice if signed else app.test_client()
    session_id = rows_of(app).revocation.devices("alice", None)[0].sessions[0].session_id
    with statements(app) as seen:
        answer = client.post(path, data={"user": session_id if path == "/end-one" else "alice"}, headers=FOREIGN)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")
    assert [each for each in seen.verbs if each != "SELECT"] == []
    assert answer.headers.getlist("Set-Cookie") == []
    assert alice.get("/protected").status_code == 200


# ---- revoking from a view, and from outside a request


def in_a_request_of(site: Site, client: FlaskClient) -> Any:
    return site.app.test_request_context(headers={"Cookie": cookie_header(client)})


ACTIONS: dict[str, Any] = {
    "revoke": lambda sessions, ids, **how: sessions.revoke(ids[0], **how),
    "revoke_device": lambda sessions, ids, **how: sessions.revoke_device(ids[1], **how),
    "rename_device": lambda sessions, ids, **how: sessions.rename_device(ids[1], "Mine", **how),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_app_acts_on_what_belongs_to_the_signed_in_user_alone(site: Site, name: str) -> None:
    alice, bob = signed_in(site.app, "alice"), signed_in(site.app, "bob")
    with in_a_request_of(site, alice), pytest.raises(SessionNotFound):
        ACTIONS[name](site.sessions, site.ids("bob"))
    assert bob.get("/protected").status_code == 200
    assert rows_of(site.app).revocation.devices("bob", None)[0].name is None


@pytest.mark.parametrize("user_id", [ANY_USER, "bob"])
@pytest.mark.parametrize("name", ACTIONS)
def test_to_act_for_another_is_said_in_so_many_words(site: Site, name: str, user_id: Any) -> None:
    alice, _ = signed_in(site.app, "alice"), signed_in(site.app, "bob")
    with in_a_request_of(site, alice):
        ACTIONS[name](site.sessions, site.ids("bob"), user_id=user_id)
    devices = rows_of(site.app).revocation.devices("bob", None)
    assert devices == [] if name != "rename_device" else devices[0].name == "Mine"
    assert [each.end_reason for each in rows_of(site.app).revocation.history("bob")] in ([], ["operator"])
    assert alice.get("/protected").status_code == 200


@pytest.mark.parametrize("name", ACTIONS)
def test_outside_a_request_a_user_must_be_named(site: Site, name: str) -> None:
    signed_in(site.app, "alice")
    ids = site.ids("alice")
    with site.app.app_context():
        with pytest.raises(SessionNotFound):
            ACTIONS[name](site.sessions, ids)
        ACTIONS[name](site.sessions, ids, user_id=ANY_USER)


def test_not_found_is_a_404_that_an_app_may_leave_to_flask(site: Site) -> None:
    with site.app.test_request_context(), pytest.raises(SessionNotFound) as caught:
        site.sessions.revoke("a" * 30, user_id=ANY_USER)
    assert isinstance(caught.value, WerkzeugNotFound)
    assert repr(ANY_USER) == "ANY_USER"


def test_an_operator_ends_everything_of_a_user_from_a_script(site: Site) -> None:
    alice, phone = signed_in(site.app, "alice"), signed_in(site.app, "alice")
    with site.app.app_context(), heard(site.app) as said:
        assert len(site.sessions.devices("alice")) == 2
        site.sessions.revoke_user("alice", reason="user_disabled")
        site.sessions.revoke_user("alice")
        assert [each.end_reason for each in site.sessions.history("alice")] == ["user_disabled"] * 2
    assert [(name, facts["reason"], len(facts["session_ids"])) for name, facts in said] == [
        ("session-revoked", "user_disabled", 2)
    ]
    assert [client.get("/protected").status_code for client in (alice, phone)] == [401, 401]


@pytest.mark.parametrize("act", [
    lambda sessions, ids: sessions.revoke(ids[0]),
    lambda sessions, ids: sessions.revoke_device(ids[1]),
    lambda sessions, ids: sessions.revoke_user("alice"),
    lambda sessions, ids: sessions.revoke(ids[0], user_id=ANY_USER),
    lambda sessions, ids: sessions.revoke_device(ids[1], user_id="alice"),
])  # fmt: skip
def test_to_revoke_the_current_session_is_to_sign_out(site: Site, act: Any) -> None:
    alice = signed_in(site.app, "alice")
    ids = site.ids("alice")

    @site.app.post("/leave")
    @login_required
    def leave() -> str:
        act(site.sessions, ids)
        return f"{bool(current_session)} {current_user.get_id()}"

    answer = alice.post("/leave")
    assert answer.text == "False None"
    assert all("Max-Age=0" in header for header in answer.headers.getlist("Set-Cookie"))
    assert len(answer.headers.getlist("Set-Cookie")) == 2


def test_a_view_lists_the_devices_of_who_asks(site: Site) -> None:
    @site.app.get("/mine")
    @login_required
    def mine() -> dict[str, Any]:
        return {"labels": [device.label for device in site.sessions.devices()], "ended": len(site.sessions.history())}

    alice = signed_in(site.app, "alice", user_agent="curl/8.5.0")
    signed_in(site.app, "bob")
    assert alice.get("/mine").get_json() == {"labels": ["curl"], "ended": 0}


# ---- the app's database


def test_a_sign_in_does_not_commit_the_apps_rows_and_a_rollback_does_not_undo_it(database_url: str) -> None:
    app, db, _ = make_app(database_url)
    with app.app_context():
        db.session.execute(text("CREATE TABLE note (body TEXT)"))
        db.session.commit()

    @app.post("/both")
    def both() -> str:
        login_user("alice")
        db.session.execute(text("INSERT INTO note VALUES ('x')"))
        db.session.rollback()
        return "in"

    client = app.test_client()
    client.post("/both")
    assert client.get("/protected").status_code == 200
    with app.app_context():
        assert db.session.execute(text("SELECT count(*) FROM note")).scalar() == 0


def test_an_in_memory_app_has_an_in_memory_database_of_the_librarys_own() -> None:
    app, _, _ = make_app("sqlite:///:memory:")
    clock = move_clock(app)
    alice = signed_in(app, "alice")
    thief = copy_jar(alice)
    clock.move(seconds=61)
    for client in (alice, thief):
        expire_short(client)
        assert client.get("/protected").status_code == 200


def test_missing_tables_are_told_to_the_developer(sqlite_url: str) -> None:
    app = bare_app(sqlite_url)
    db = new_db()
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    with pytest.raises(RuntimeError, match="run `flask corbado-session init-db`"):
        signed_in(app, "alice")
