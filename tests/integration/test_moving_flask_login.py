"""Live logins of Flask-Login become sessions of ours, once, and none comes back that was ended here."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import flask_login
import pytest
from flask import Flask, flash
from flask.testing import FlaskClient
from flask_socketio import SocketIO
from werkzeug.test import TestResponse

from flask_corbado_session import CorbadoSession, Notice, current_session, fresh_login_required
from flask_corbado_session.migration import move_flask_login
from flask_corbado_session.model.errors import NotOnThisApp
from flask_corbado_session.testing import expire_short
from tests.support.apps import SECRET_KEY, rows_of
from tests.support.rules import heard
from tests.support.site import Site

REMEMBER = "remember_token"


class User(flask_login.UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


class Before:
    """The app as it was: Flask-Login under the same ``SECRET_KEY``."""

    def __init__(self, **config: Any) -> None:
        self.app = Flask("before")
        self.app.config.update(SECRET_KEY=SECRET_KEY, **config)
        manager = flask_login.LoginManager(self.app)
        manager.user_loader(User)
        self.app.add_url_rule("/sign-in/<user>", view_func=self.sign_in, endpoint="sign_in")
        self.app.add_url_rule("/who", view_func=lambda: str(flask_login.current_user.get_id()), endpoint="who")

    @staticmethod
    def sign_in(user: str) -> str:
        flask_login.login_user(User(user.removeprefix("r-")), remember=user.startswith("r-"))
        return "in"

    def browser(self, user: str = "alice", *, remember: bool = False) -> FlaskClient:
        """A browser that this user has signed in with."""
        client = self.app.test_client()
        client.get(f"/sign-in/{'r-' if remember else ''}{user}")
        return client


def moved(client: FlaskClient, app: Flask, *names: str) -> FlaskClient:
    """The same browser (or a copy of its jar) in front of the new app; with ``names``, only those cookies are left."""
    browser = app.test_client()
    for name in names or ("session", REMEMBER):
        cookie = client.get_cookie(name)
        if cookie is not None:
            browser.set_cookie(name, cookie.value)
    return browser


@pytest.fixture
def before() -> Before:
    return Before()


@pytest.fixture
def after(database_url: str) -> Site:
    return moving_site(database_url)


def moving_site(url: str, **config: Any) -> Site:
    site = Site(url, **config)
    move_flask_login(site.app, until=site.clock() + timedelta(days=60))
    site.app.add_url_rule("/fresh", view_func=fresh_login_required(lambda: "fresh"), endpoint="fresh")
    site.app.add_url_rule("/flash", view_func=write_to_flask_session, endpoint="flash")
    with site.app.app_context():
        site.db.create_all()
    return site


def write_to_flask_session() -> str:
    flash("hello")
    return "flashed"


def user_of(response: TestResponse) -> str | None:
    return None if response.status_code == 401 else response.get_json()["user_id"]


def cookies(response: TestResponse) -> dict[str, str]:
    return {header.partition("=")[0]: header for header in response.headers.getlist("Set-Cookie")}


@pytest.mark.parametrize("remember", [False, True], ids=["session", "remember"])
def test_a_login_becomes_a_session_and_its_old_cookie_goes_in_the_same_response(
    before: Before, after: Site, remember: bool
) -> None:
    browser = moved(before.browser(remember=remember), after.app)
    response = browser.get("/protected")
    assert user_of(response) == "alice"
    assert {"__Host-cbo_short_session", "__Host-cbo_long_session", "session"} <= set(cookies(response))
    assert browser.get_cookie(REMEMBER) is None
    with browser.session_transaction() as kept:
        assert not {"_user_id", "_fresh", "_id", "_remember"} & set(kept)
    expire_short(browser)
    again = browser.get("/protected")
    assert again.get_json()["session_id"] == response.get_json()["session_id"]


def test_a_remembered_login_stays_remembered_and_another_does_not(before: Before, after: Site) -> None:
    for remember in (True, False):
        browser = moved(before.browser(remember=remember), after.app)
        header = cookies(browser.get("/protected"))["__Host-cbo_long_session"]
        assert ("Max-Age" in header) is remember


def test_the_remember_cookie_alone_is_enough(before: Before, after: Site) -> None:
    browser = moved(before.browser(remember=True), after.app, REMEMBER)
    response = browser.get("/protected")
    assert user_of(response) == "alice"
    assert f"{REMEMBER}=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" in cookies(response)[REMEMBER]


def test_the_remember_cookie_is_deleted_where_its_settings_put_it(sqlite_url: str) -> None:
    config = {
        "REMEMBER_COOKIE_NAME": "stay",
        "REMEMBER_COOKIE_DOMAIN": "example.com",
        "REMEMBER_COOKIE_PATH": "/app",
        "REMEMBER_COOKIE_SECURE": True,
        "REMEMBER_COOKIE_SAMESITE": "Strict",
    }
    after = moving_site(sqlite_url, **config)
    browser = after.app.test_client()
    browser.set_cookie("stay", flask_login.encode_cookie("alice", key=SECRET_KEY))
    header = cookies(browser.get("/protected"))["stay"]
    for attribute in ("Domain=example.com", "Path=/app", "Secure", "SameSite=Strict", "HttpOnly", "Max-Age=0"):
        assert attribute in header


def test_a_move_costs_two_reads_and_what_a_sign_in_costs_and_nothing_afterwards(
    before: Before, sqlite_url: str
) -> None:
    after = moving_site(sqlite_url)
    browser = moved(before.browser(), after.app)
    moved_now = after.ask(browser)
    # refused? · device read and insert, session, session limit · refused meanwhile?
    assert moved_now.statements == ["SELECT", "SELECT", "INSERT", "INSERT", "SELECT", "SELECT"]
    assert after.ask(browser).facts == (200, [], [])


def test_a_script_that_asks_for_a_refresh_first_is_moved_too(before: Before, after: Site) -> None:
    browser = moved(before.browser(remember=True), after.app)
    assert browser.post("/session/refresh").status_code == 200
    assert user_of(browser.get("/protected")) == "alice"
    assert len(after.devices()) == 1


def test_of_two_remember_cookies_the_authentic_one_counts(before: Before, after: Site) -> None:
    cookie = before.browser(remember=True).get_cookie(REMEMBER)
    assert cookie is not None
    header = f'{REMEMBER}="mallory|x"; {REMEMBER}="{cookie.value}"'
    assert user_of(after.app.test_client(use_cookies=False).get("/protected", headers={"Cookie": header})) == "alice"


def test_a_page_that_never_asks_moves_nothing(before: Before, after: Site) -> None:
    response = after.ask(moved(before.browser(remember=True), after.app), "/public")
    assert response.facts == (200, [], [])


def test_a_moved_login_is_no_recent_sign_in(before: Before, after: Site) -> None:
    browser = moved(before.browser(), after.app)
    assert browser.get("/fresh").get_json()["code"] == "insufficient_user_authentication"
    who = browser.get("/session").get_json()
    assert (who["auth_time"][:10], who["amr"]) == ("1970-01-01", [])
    expire_short(browser)
    assert browser.get("/fresh").status_code == 401


def test_nobody_is_mailed_of_a_new_device_when_they_are_moved(before: Before, sqlite_url: str) -> None:
    after = moving_site(sqlite_url)
    notices: list[Notice] = []
    after.sessions.notifier(notices.append)
    with heard(after.app) as signals:
        moved(before.browser(), after.app).get("/protected")
    assert notices == []
    assert [name for name, _ in signals] == ["session-started", "device-added"]


# ---- what was ended here stays ended


ENDS = ["sign out", "revoke", "revoke device", "revoke user", "revoke others", "idle", "100 days", "reuse"]


def end(how: str, after: Site, browser: FlaskClient) -> None:
    session_id, device_id = after.ids()
    match how:
        case "sign out":
            browser.post("/sign-out")
        case "revoke":
            rows_of(after.app).revocation.revoke(session_id, "alice")
        case "revoke device":
            rows_of(after.app).revocation.revoke_device(device_id, "alice")
        case "revoke user":
            with after.app.app_context():
                after.sessions.revoke_user("alice")
        case "revoke others":
            after.signed_in("alice", user_agent="another").post("/session/revoke-others")
        case "idle":
            after.clock.move(days=8)
        case "100 days":
            after.clock.move(days=100)
            list(rows_of(after.app).revocation.delete_old())
        case "reuse":
            rows_of(after.app).revocation.revoke(session_id, "alice", "reuse")


@pytest.mark.parametrize("remember", [False, True], ids=["session", "remember"])
@pytest.mark.parametrize("how", ENDS)
def test_a_copy_of_the_old_cookie_does_not_bring_back_what_was_ended(
    before: Before, after: Site, how: str, remember: bool
) -> None:
    old = before.browser(remember=remember)
    browser, copy, second_copy = (moved(old, after.app) for _ in range(3))
    assert user_of(browser.get("/protected")) == "alice"
    end(how, after, browser)
    assert user_of(browser.get("/protected")) is None
    assert user_of(copy.get("/protected")) is None
    assert user_of(copy.get("/protected")) is None
    # writing to Flask's session renews the date of its cookie, and must not renew the login
    second_copy.get("/flash")
    assert user_of(second_copy.get("/protected")) is None
    assert after.devices() == [] or how == "revoke others"


@pytest.mark.parametrize("how", ["revoke_user", "cli"])
def test_revoking_a_user_who_has_not_come_yet_refuses_their_old_logins(before: Before, after: Site, how: str) -> None:
    if how == "cli":
        after.app.test_cli_runner().invoke(args=["corbado-session", "revoke", "--user", "alice"])
    else:
        with after.app.app_context():
            after.sessions.revoke_user("alice")
            after.sessions.revoke_user("alice")
    assert user_of(moved(before.browser(remember=True), after.app).get("/protected")) is None
    assert user_of(moved(before.browser("bob"), after.app).get("/protected")) == "bob"


def test_signing_out_everywhere_else_reaches_a_browser_that_has_not_come_yet(before: Before, after: Site) -> None:
    stolen = moved(before.browser(remember=True), after.app)
    here = after.signed_in("alice")
    assert here.post("/session/revoke-others").status_code == 204
    assert user_of(stolen.get("/protected")) is None
    assert user_of(here.get("/protected")) == "alice"


def test_signing_out_before_any_page_asked_ends_the_old_login_and_its_copies(before: Before, after: Site) -> None:
    old = before.browser(remember=True)
    browser, copy = moved(old, after.app), moved(old, after.app)
    response = browser.post("/sign-out")
    assert response.status_code == 200
    assert REMEMBER in cookies(response)
    assert user_of(browser.get("/protected")) is None
    assert user_of(copy.get("/protected")) is None


def test_signing_in_takes_the_old_login_of_somebody_else_out_of_the_browser(before: Before, after: Site) -> None:
    browser = moved(before.browser("bob", remember=True), after.app)
    browser.post("/sign-in", data={"user": "alice"})
    browser.post("/sign-out")
    assert user_of(browser.get("/protected")) is None


def test_every_browser_of_a_person_is_moved_and_a_newer_session_in_one_is_no_end(before: Before, after: Site) -> None:
    laptop = moved(before.browser(remember=True), after.app)
    assert user_of(laptop.get("/protected")) == "alice"
    laptop.post("/sign-in", data={"user": "alice"})  # ends the moved one as superseded
    phone = moved(before.browser(remember=True), after.app)
    assert user_of(phone.get("/protected")) == "alice"
    assert len(after.devices()) == 2


def test_a_revocation_between_the_question_and_the_start_ends_the_new_session(before: Before, sqlite_url: str) -> None:
    after = moving_site(sqlite_url)

    @after.sessions.claims_loader
    def claims(user_id: str) -> dict[str, Any]:
        rows_of(after.app).revocation.revoke_user(user_id, "operator")
        return {}

    assert user_of(moved(before.browser(), after.app).get("/protected")) is None
    assert after.end_reasons() == ["signed_out"]


# ---- who is not moved


def test_nothing_is_moved_from_the_day_on_that_was_said(before: Before, after: Site) -> None:
    old = before.browser(remember=True)
    after.clock.move(days=59)
    assert user_of(moved(old, after.app).get("/protected")) == "alice"
    after.clock.move(days=1)
    assert after.ask(moved(before.browser("bob", remember=True), after.app)).facts == (401, [], [])


def test_without_the_line_nothing_is_moved(before: Before, sqlite_url: str) -> None:
    after = Site(sqlite_url)
    assert user_of(moved(before.browser(remember=True), after.app).get("/protected")) is None


@pytest.mark.parametrize("how", ["gone", "inactive"])
def test_a_user_who_is_gone_or_disabled_is_not_moved(before: Before, sqlite_url: str, how: str) -> None:
    after = moving_site(sqlite_url)

    @after.sessions.user_loader
    def load_user(user_id: str) -> User | None:
        user = User(user_id)
        type(user).is_active = property(lambda self: how != "inactive")
        return None if how == "gone" else user

    browser = moved(before.browser(remember=True), after.app)
    try:
        assert user_of(browser.get("/protected")) is None
    finally:
        del User.is_active
    assert browser.get_cookie(REMEMBER) is None
    assert after.devices() == []


@pytest.mark.parametrize(
    "value", ["alice|" + "0" * 128, "alice|é", "|", "alice", "", flask_login.encode_cookie("alice", key="another")]
)
def test_a_forged_remember_cookie_is_nobody(after: Site, value: str) -> None:
    browser = after.app.test_client()
    browser.set_cookie(REMEMBER, value)
    assert after.ask(browser).facts == (401, [], [])


def test_a_remember_cookie_of_a_former_secret_key_is_moved(sqlite_url: str) -> None:
    former = "a former key: 7c1f9e2b4d6a8035"
    after = moving_site(sqlite_url, SECRET_KEY_FALLBACKS=[former])
    browser = after.app.test_client()
    browser.set_cookie(REMEMBER, flask_login.encode_cookie("alice", key=former))
    assert user_of(browser.get("/protected")) == "alice"


def test_a_foreign_page_can_neither_move_nor_end_an_old_login(before: Before, after: Site) -> None:
    browser = moved(before.browser(remember=True), after.app)
    for path in ("/protected", "/sign-out"):
        assert browser.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert user_of(browser.post("/protected")) == "alice"


def test_a_bearer_request_and_a_preflight_move_nothing(before: Before, after: Site) -> None:
    browser = moved(before.browser(remember=True), after.app)
    browser.get("/protected", headers={"Authorization": "Bearer x"})
    browser.options("/who")
    assert after.devices() == []


def test_signing_out_by_bearer_leaves_an_old_login_in_the_browser_alone(before: Before, after: Site) -> None:
    bob = after.signed_in("bob").get_cookie("__Host-cbo_short_session")
    assert bob is not None
    browser = moved(before.browser(remember=True), after.app)
    assert browser.post("/sign-out", headers={"Authorization": f"Bearer {bob.value}"}).status_code == 200
    assert user_of(browser.get("/protected")) == "alice"


def test_a_socket_moves_nothing_because_it_can_set_no_cookie(before: Before, after: Site) -> None:
    socketio = SocketIO(after.app, async_mode="threading")
    after.app.add_url_rule("/ws", view_func=lambda: str(current_session.user_id), endpoint="ws", websocket=True)
    socketio.on_event("connect", lambda: bool(current_session))
    browser = moved(before.browser(remember=True), after.app)
    assert not socketio.test_client(after.app, flask_test_client=browser).is_connected()
    assert browser.get("/ws", headers={"Upgrade": "websocket", "Connection": "upgrade"}).text == "None"
    assert after.devices() == []
    browser.get("/protected")
    assert socketio.test_client(after.app, flask_test_client=browser).is_connected()


def test_ids_that_changed_are_found_by_the_app(before: Before, sqlite_url: str) -> None:
    after = Site(sqlite_url)
    new_ids = {"alice": 17}
    move_flask_login(after.app, until=after.clock() + timedelta(days=60), find_user=new_ids.get)
    with after.app.app_context():
        after.db.create_all()
    old = before.browser(remember=True)
    assert user_of(moved(old, after.app).get("/protected")) == "17"
    assert user_of(moved(before.browser("bob"), after.app).get("/protected")) is None
    moved(old, after.app).post("/sign-out")
    assert user_of(moved(old, after.app).get("/protected")) is None


# ---- when something fails


@pytest.mark.parametrize("which", ["claims_loader", "user_loader"])
def test_a_loader_that_fails_leaves_the_old_login_for_later(
    before: Before, sqlite_url: str, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    after, broken = moving_site(sqlite_url), [True]

    def load(user_id: str) -> Any:
        if broken:
            raise LookupError("no such role")
        return {} if which == "claims_loader" else User(user_id)

    getattr(after.sessions, which)(load)

    browser = moved(before.browser(remember=True), after.app)
    with caplog.at_level(logging.ERROR):
        assert browser.get("/who").get_json()["user_id"] is None
    assert "could not be moved" in caplog.text
    broken.clear()
    assert user_of(browser.get("/who")) == "alice"


def test_while_the_database_is_down_an_old_login_is_neither_moved_nor_lost(before: Before, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    after = moving_site(f"sqlite:///{folder / 'test.sqlite'}")
    old = before.browser(remember=True)
    browser, other = moved(old, after.app), moved(old, after.app)
    rows_of(after.app).database.dispose()
    gone = folder.rename(tmp_path / "away")
    assert browser.get("/protected").get_json()["code"] == "session_store_unavailable"
    signed_out = browser.post("/sign-out")
    assert signed_out.get_json()["code"] == "logout_incomplete"
    assert REMEMBER in cookies(signed_out)
    gone.rename(folder)
    assert user_of(other.get("/protected")) == "alice"


# ---- what the developer is told


def test_a_date_beyond_what_the_history_keeps_is_refused_at_start(site: Site) -> None:
    with pytest.raises(ValueError, match="RETENTION"):
        move_flask_login(site.app, until=site.clock() + timedelta(days=91))
    with pytest.raises(ValueError, match="time zone"):
        move_flask_login(site.app, until=datetime(2020, 1, 1))
    move_flask_login(site.app, until=date(2020, 1, 1))


def test_the_line_before_init_app_says_what_to_call() -> None:
    with pytest.raises(NotOnThisApp):
        move_flask_login(Flask("early"), until=date(2020, 1, 1))


def test_a_service_that_only_verifies_moves_nothing(sqlite_url: str) -> None:
    app = Flask("verifier")
    app.config.update(CORBADO_SESSION_ISSUER="https://a.example", CORBADO_SESSION_JWKS_URL="https://a.example/jwks")
    CorbadoSession().init_app(app)
    with pytest.raises(RuntimeError, match="only verifies"):
        move_flask_login(app, until=date(2020, 1, 1))


def test_check_says_when_the_line_can_go(sqlite_url: str) -> None:
    after = moving_site(sqlite_url)
    check = ["corbado-session", "check"]
    assert "remove the line" not in after.app.test_cli_runner().invoke(args=check).output
    after.clock.move(days=60)
    assert "remove the line" in after.app.test_cli_runner().invoke(args=check).output


def test_the_command_line_makes_the_table_and_an_app_without_the_line_has_none(sqlite_url: str) -> None:
    plain = Site(sqlite_url)
    assert "corbado_old_login" not in plain.db.metadata.tables
    move_flask_login(plain.app, until=plain.clock() + timedelta(days=1))
    output = plain.app.test_cli_runner().invoke(args=["corbado-session", "init-db"]).output
    assert "corbado_old_login" in output
