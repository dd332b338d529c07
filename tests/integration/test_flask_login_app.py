"""An app written for Flask-Login, on these sessions: every idiom of its documentation."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from blinker import Signal
from flask import Flask, g
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from werkzeug.local import LocalProxy

from flask_corbado_session import (
    CorbadoSession,
    SettingsError,
    current_session,
    flask_login,
)
from flask_corbado_session import current_user as core_user
from flask_corbado_session.flask_login import (
    AnonymousUserMixin,
    FlaskLoginClient,
    HasNoEffect,
    LoginManager,
    current_user,
    fresh_login_required,
    login_required,
    login_url,
    login_user,
    logout_user,
    set_login_view,
)
from flask_corbado_session.testing import copy_jar, expire_short, move_clock
from tests.support.flask_login_app import SECRET_KEY, LoginApp, make_login_app


@pytest.fixture
def site(sqlite_url: str) -> LoginApp:
    return make_login_app(sqlite_url)


@contextmanager
def heard(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """What a signal was sent with."""
    sent: list[dict[str, Any]] = []

    def remember(sender: object, **facts: Any) -> None:
        sent.append(facts)

    with signal.connected_to(remember):
        yield sent


# ---- signing in and out


def test_a_login_lasts_and_a_logout_ends_it_for_copies_too(site: LoginApp) -> None:
    browser = site.browser("alice")
    thief = copy_jar(browser)
    assert browser.get("/").text == thief.get("/").text == "Hi alice"
    assert browser.get("/logout").text == "True"
    assert browser.get("/").text == thief.get("/").text == "Hi stranger"


def test_the_login_ends_with_the_browser_unless_it_is_remembered(site: LoginApp) -> None:
    for query, lasts in (({}, False), ({"remember": 1}, True)):
        cookies = site.browser().get("/login/alice", query_string=query).headers.getlist("Set-Cookie")
        long = next(cookie for cookie in cookies if "long_session" in cookie)
        assert ("Max-Age" in long) is lasts
        assert site.browser("alice", **query).get("/state").json["remembered"] is lasts  # type: ignore[index]


def test_a_duration_ends_the_session_early(site: LoginApp) -> None:
    clock = move_clock(site.app)
    browser = site.browser("alice", remember=1, hours=7)
    clock.move(hours=6)
    expire_short(browser)
    assert browser.get("/").text == "Hi alice"
    clock.move(hours=2)
    expire_short(browser)
    assert browser.get("/").text == "Hi stranger"


def test_confirming_a_login_does_not_make_it_last_longer(site: LoginApp) -> None:
    clock = move_clock(site.app)
    browser = site.browser("alice", remember=1, hours=7)
    assert browser.get("/confirm").text == "True"
    clock.move(hours=8)
    expire_short(browser)
    assert browser.get("/").text == "Hi stranger"


def test_a_duration_beyond_the_limit_says_so(site: LoginApp) -> None:
    with site.app.test_request_context(), pytest.warns(HasNoEffect, match="CORBADO_SESSION_LONG_LIFETIME"):
        login_user(site.user("alice"), remember=True, duration=timedelta(days=365))
    with site.app.test_request_context(), pytest.raises(TypeError, match="must be a datetime"):
        login_user(site.user("alice"), remember=True, duration=3600)  # type: ignore[arg-type]


def test_a_user_who_is_not_active_is_not_signed_in(site: LoginApp) -> None:
    browser = site.browser()
    answer = browser.get("/login/carol")
    assert answer.text == "False"
    assert "Set-Cookie" not in answer.headers
    assert browser.get("/").text == "Hi stranger"


def test_a_user_who_is_not_active_can_be_forced_in(site: LoginApp) -> None:
    with site.app.test_request_context():
        assert login_user(site.user("carol"), force=True)
        assert current_user.name == "carol"
        assert not current_user.is_authenticated


def test_the_proxy_itself_can_be_signed_in(site: LoginApp) -> None:
    with site.app.test_request_context():
        alice = site.user("alice")
        assert login_user(LocalProxy(lambda: alice))
        assert current_user._get_current_object() is alice


def test_a_user_class_may_name_the_method_of_its_id(site: LoginApp) -> None:
    site.manager.id_attribute = "get_public_id"
    site.user_class.get_public_id = lambda user: f"00{user.id}"
    with site.app.test_request_context():
        login_user(site.user("alice"))
        assert current_session.user_id == "001"


# ---- current_user


def test_current_user_is_nothing_outside_a_request(site: LoginApp) -> None:
    assert not current_user
    with site.app.app_context():
        assert not current_user


def test_both_current_users_are_one_person(site: LoginApp) -> None:
    with site.app.test_request_context():
        login_user(site.user("bob"))
        assert current_user.get_id() == core_user.get_id() == current_session.user_id == "2"
        logout_user()
        assert current_user.get_id() is None
        assert not core_user.is_authenticated
        assert not current_session


def test_a_template_that_shows_nobody_loads_nobody(site: LoginApp) -> None:
    browser = site.browser("alice")
    with heard(flask_login.user_accessed) as accessed:
        assert "Cache-Control" not in browser.get("/static-page").headers
    assert accessed == []


def test_a_user_the_loader_no_longer_knows_is_nobody(site: LoginApp) -> None:
    browser = site.browser("alice")
    with site.app.app_context():
        site.db.session.delete(site.user("alice"))
        site.db.session.commit()
    assert browser.get("/").text == "Hi stranger"
    assert browser.get("/secret").status_code == 401


def test_an_anonymous_class_of_the_app_is_used(site: LoginApp) -> None:
    class Guest(AnonymousUserMixin):
        name = "guest"

    site.manager.anonymous_user = Guest
    with site.app.test_request_context():
        assert current_user.name == "guest"


def test_a_request_loader_finds_those_who_are_not_signed_in(site: LoginApp) -> None:
    @site.manager.request_loader
    def by_key(request: Any) -> Any:
        return site.user("bob") if request.headers.get("Authorization") == "Bearer key-of-bob" else None

    with heard(flask_login.user_loaded_from_request) as loaded:
        key = {"Authorization": "Bearer key-of-bob"}
        assert site.browser().get("/secret", headers=key).text == "secret of bob"
    assert len(loaded) == 1
    assert site.browser().get("/secret").status_code == 401
    assert site.browser("alice").get("/secret").text == "secret of alice"


def test_an_app_with_a_request_loader_alone_needs_no_user_loader(sqlite_url: str) -> None:
    app = bare_app(sqlite_url)
    SQLAlchemy(app)
    manager = LoginManager(app)
    manager.request_loader(lambda request: AnonymousUserMixin())
    with app.test_request_context():
        assert current_user.is_anonymous


def test_a_loader_that_is_missing_is_named(sqlite_url: str) -> None:
    app = bare_app(sqlite_url)
    SQLAlchemy(app)
    LoginManager(app)
    with app.test_request_context(), pytest.raises(RuntimeError, match="Missing user_loader or request_loader"):
        current_user.is_authenticated  # noqa: B018


def test_what_is_missing_is_said_by_a_mere_if_too(sqlite_url: str) -> None:
    app = bare_app(sqlite_url)
    SQLAlchemy(app)
    LoginManager(app)
    with app.test_request_context(), pytest.raises(RuntimeError, match="Missing user_loader"):
        bool(current_user)


def test_users_set_in_g_are_not_taken_for_signed_in(site: LoginApp) -> None:
    with site.app.test_request_context():
        g._login_user = site.user("alice")
        with pytest.raises(RuntimeError, match="FlaskLoginClient"):
            current_user.is_authenticated  # noqa: B018


# ---- the decorators and their answers


def test_a_view_without_a_login_view_answers_401(site: LoginApp) -> None:
    answer = site.browser().get("/secret")
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json"])
def test_every_client_is_sent_to_the_login_view(site: LoginApp, accept: str) -> None:
    site.manager.login_view = "sign_in"
    browser = site.browser()
    answer = browser.get("/secret?page=2", headers={"Accept": accept})
    assert (answer.status_code, answer.location) == (302, "/sign-in?next=%2Fsecret%3Fpage%3D2")
    assert browser.get("/sign-in").text == "Please log in to access this page."


def test_the_message_is_the_apps_and_translated(site: LoginApp) -> None:
    site.manager.login_view = "/sign-in"
    site.manager.login_message, site.manager.login_message_category = "Log in!", "warning"
    site.manager.localize_callback = {"Log in!": "Einloggen!"}.get
    browser = site.browser()
    browser.get("/secret")
    assert browser.get("/state").json["flashes"] == [["warning", "Einloggen!"]]  # type: ignore[index]
    site.manager.login_message = None
    browser.get("/secret")
    assert browser.get("/state").json["flashes"] == []  # type: ignore[index]


def test_a_blueprint_has_a_login_view_of_its_own(site: LoginApp) -> None:
    site.manager.login_view = "sign_in"
    site.manager.blueprint_login_views["admin"] = "admin.admin_sign_in"
    assert site.browser().get("/admin/").location == "/admin/sign-in?next=%2Fadmin%2F"
    assert site.browser().get("/secret").location == "/sign-in?next=%2Fsecret"


def test_set_login_view_sets_that_of_the_app_or_of_a_blueprint(site: LoginApp) -> None:
    with site.app.app_context():
        set_login_view("sign_in")
        set_login_view("admin.admin_sign_in", blueprint=site.app.blueprints["admin"])  # type: ignore[arg-type]
    assert site.browser().get("/admin/").location == "/admin/sign-in?next=%2Fadmin%2F"
    assert site.browser().get("/secret").location == "/sign-in?next=%2Fsecret"


def test_next_can_be_kept_in_flasks_session(site: LoginApp) -> None:
    site.app.config["USE_SESSION_FOR_NEXT"] = True
    site.manager.login_view = "sign_in"
    browser = site.browser()
    assert browser.get("/secret").location == "/sign-in"
    assert browser.get("/state").json["next"] == "/secret"  # type: ignore[index]


def test_a_page_that_no_redirect_may_lead_to_is_no_next(site: LoginApp) -> None:
    site.manager.login_view = "sign_in"
    with site.app.test_request_context("/" + "a" * 3000):
        assert site.manager.unauthorized().location == "/sign-in"


def test_the_host_of_redirects_can_be_forced(site: LoginApp) -> None:
    site.app.config["FORCE_HOST_FOR_REDIRECTS"] = "app.example"
    with site.app.test_request_context():
        assert login_url("sign_in", "/a") == "//app.example/sign-in?next=%2Fa"
        assert login_url("/sign-in?lang=de", "/a", "back") == "//app.example/sign-in?lang=de&back=%2Fa"


def test_an_unauthorized_handler_has_the_last_word(site: LoginApp) -> None:
    @site.manager.unauthorized_handler
    def refuse() -> tuple[str, int]:
        return "go away", 418

    with heard(flask_login.user_unauthorized) as refused:
        answer = site.browser().get("/secret")
    assert (answer.status_code, answer.text, len(refused)) == (418, "go away", 1)


def test_a_handler_that_forgets_to_answer_lets_nobody_through(site: LoginApp) -> None:
    site.manager.unauthorized_handler(lambda: None)
    with pytest.raises(TypeError):
        site.browser().get("/secret")


def test_a_view_may_answer_unauthorized_by_itself(site: LoginApp) -> None:
    site.manager.login_view = "sign_in"
    site.app.add_url_rule("/mine", "mine", lambda: site.app.login_manager.unauthorized())  # type: ignore[attr-defined]
    assert site.browser().get("/mine").location == "/sign-in?next=%2Fmine"


def test_async_views_and_method_views_are_guarded(site: LoginApp) -> None:
    class Endpoint(MethodView):
        decorators = [login_required, fresh_login_required]  # noqa: RUF012

        def get(self) -> str:
            return "got"

        def options(self) -> str:
            return "options"

    site.app.add_url_rule("/endpoint", view_func=Endpoint.as_view("endpoint"))
    for path, text in (("/async-secret", "secret of alice"), ("/endpoint", "got")):
        assert site.browser().get(path).status_code == 401
        assert site.browser("alice").get(path).text == text
    assert site.browser().options("/endpoint").text == "options"


def test_login_disabled_lets_everybody_through(site: LoginApp) -> None:
    site.app.config["LOGIN_DISABLED"] = True
    assert site.browser().get("/very-secret").text == "very secret"


def test_the_librarys_own_pages_send_a_browser_to_the_same_login_view(site: LoginApp) -> None:
    site.manager.login_view = "sign_in"
    browser = site.browser()
    assert browser.get("/session/devices", headers={"Accept": "text/html"}).location.startswith("/sign-in?next=")
    assert browser.get("/session/devices", headers={"Accept": "application/json"}).status_code == 401
    assert len(site.browser("alice").get("/session/devices", headers={"Accept": "application/json"}).json["devices"])  # type: ignore[index]


def test_a_form_of_the_librarys_pages_leads_back_to_its_page(site: LoginApp) -> None:
    site.manager.login_view = "sign_in"
    headers = {"Accept": "text/html", "Referer": "http://localhost/session/devices"}
    answer = site.browser().post("/session/revoke-others", headers=headers)
    assert answer.location == "/sign-in?next=%2Fsession%2Fdevices"


# ---- freshness


def test_a_login_is_fresh_for_a_while(site: LoginApp) -> None:
    clock = move_clock(site.app)
    browser = site.browser("alice")
    assert browser.get("/very-secret").text == "very secret"
    clock.move(minutes=16)
    expire_short(browser)
    assert browser.get("/very-secret").status_code == 401
    assert browser.get("/confirm").text == "True"
    assert browser.get("/very-secret").text == "very secret"


def test_a_login_that_is_not_fresh_is_sent_to_the_refresh_view(site: LoginApp) -> None:
    site.manager.refresh_view = "sign_in"
    site.manager.needs_refresh_message = "Once more"
    browser = site.browser("alice", stale=1)
    assert browser.get("/state").json["fresh"] is False  # type: ignore[index]
    with heard(flask_login.user_needs_refresh) as needed:
        assert browser.get("/very-secret").location == "/sign-in?next=%2Fvery-secret"
    assert len(needed) == 1
    assert browser.get("/sign-in").text == "Once more"
    with heard(flask_login.user_login_confirmed) as confirmed:
        assert browser.get("/confirm").text == "True"
    assert len(confirmed) == 1


def test_a_refresh_handler_has_the_last_word(site: LoginApp) -> None:
    site.manager.needs_refresh_handler(lambda: "once more, please")
    assert site.browser("alice", stale=1).get("/very-secret").text == "once more, please"


# ---- signals


def test_sign_in_and_sign_out_are_signalled_with_the_user(site: LoginApp) -> None:
    with (
        heard(flask_login.user_logged_in) as signed_in,
        heard(flask_login.user_logged_out) as signed_out,
        site.app.test_request_context(),
    ):
        alice = site.user("alice")
        login_user(alice)
        logout_user()
    assert signed_in == signed_out == [{"user": alice}]


def test_whoever_hears_of_a_sign_out_still_sees_the_user(site: LoginApp) -> None:
    seen: list[Any] = []

    def look(app: Flask, user: Any) -> None:
        seen.append(current_user._get_current_object())

    with site.app.test_request_context(), flask_login.user_logged_out.connected_to(look):
        alice = site.user("alice")
        login_user(alice)
        logout_user()
        assert seen == [alice]
        assert current_user.is_anonymous


def test_a_user_brought_back_by_the_long_cookie_is_signalled(site: LoginApp) -> None:
    browser = site.browser("alice")
    with heard(flask_login.user_loaded_from_cookie) as loaded:
        browser.get("/")
        assert loaded == []
        expire_short(browser)
        browser.get("/")
    assert len(loaded) == 1


def test_a_signal_that_is_never_sent_says_so(site: LoginApp) -> None:
    with pytest.warns(HasNoEffect, match="session_reuse_detected"):
        flask_login.session_protected.connect(test_a_signal_that_is_never_sent_says_so)


# ---- how tests of such apps sign in


def test_a_test_may_write_the_login_into_flasks_session(site: LoginApp) -> None:
    browser = site.browser()
    with browser.session_transaction() as session:
        session["_user_id"] = "2"
        session["_fresh"] = True
    assert browser.get("/secret").text == "secret of bob"
    assert browser.get("/very-secret").text == "very secret"
    assert browser.get("/session").json["user_id"] == "2"  # type: ignore[index]
    with browser.session_transaction() as session:
        session["_user_id"] = "1"
    assert browser.get("/secret").text == "secret of alice"
    assert browser.get("/very-secret").status_code == 401


def test_a_login_written_for_nobody_signs_nobody_in(site: LoginApp) -> None:
    browser = site.browser()
    with browser.session_transaction() as session:
        session["_user_id"] = "99"
    assert browser.get("/").text == "Hi stranger"


def test_outside_tests_flasks_session_signs_nobody_in(site: LoginApp, caplog: pytest.LogCaptureFixture) -> None:
    site.app.testing = False
    browser = site.browser()
    with browser.session_transaction() as session:
        session["_user_id"] = "2"
    assert browser.get("/").text == browser.get("/").text == "Hi stranger"
    assert [record.message for record in caplog.records if "docs/migration.md" in record.message] != []


def test_the_test_client_is_signed_in(site: LoginApp) -> None:
    site.app.test_client_class = FlaskLoginClient
    with site.app.app_context():
        bob = site.user("bob")
    assert site.app.test_client().get("/").text == "Hi stranger"
    assert site.app.test_client(user=bob).get("/very-secret").text == "very secret"
    assert site.app.test_client(user=bob, fresh_login=False).get("/very-secret").status_code == 401


def test_a_test_may_patch_who_it_is(site: LoginApp) -> None:
    with site.app.app_context():
        alice = site.user("alice")
    with mock.patch("flask_corbado_session.flask_login.utils._get_user", return_value=alice):
        assert site.browser().get("/secret").text == "secret of alice"
        assert site.browser().get("/").text == "Hi alice"


def test_a_test_may_ask_who_it_was_after_the_answer(site: LoginApp) -> None:
    """``with client:`` keeps the request, also of a page that asked for nobody."""
    with site.browser("alice") as browser:
        browser.get("/static-page")
        assert current_user.name == "alice"


# ---- how the manager finds its database


def bare_app(database_url: str, **config: Any) -> Flask:
    """An app with nothing on it."""
    app = Flask(__name__)
    app.config.from_mapping(SQLALCHEMY_DATABASE_URI=database_url, SECRET_KEY=SECRET_KEY, **config)
    return app


@pytest.mark.parametrize("order", ["db first", "login first", "login first, key last", "db named", "within a context"])
def test_the_tables_are_known_in_time_for_create_all_in_any_order(sqlite_url: str, order: str) -> None:
    app, db = bare_app(sqlite_url), SQLAlchemy()
    manager = LoginManager(db=db) if order == "db named" else LoginManager()
    if order == "login first, key last":
        app.config.pop("SECRET_KEY")
    if order == "within a context":
        manager.init_app(app)
        with app.app_context():
            db.init_app(app)
            db.create_all()
    else:
        for init in (db.init_app, manager.init_app) if order == "db first" else (manager.init_app, db.init_app):
            init(app)
    app.config["SECRET_KEY"] = SECRET_KEY
    assert "corbado_session" in db.metadata.tables
    with app.app_context():
        db.create_all()
    manager.user_loader(lambda user_id: {"id": user_id})
    app.add_url_rule("/login", "login", lambda: str(login_user(SimpleNamespace(is_active=True, get_id=lambda: 7))))
    app.add_url_rule("/who", "who", lambda: current_user["id"])
    browser = app.test_client()
    browser.get("/login")
    assert browser.get("/who").text == "7"


def test_commands_and_routes_are_there_in_any_order(sqlite_url: str) -> None:
    app, manager, db = bare_app(sqlite_url), LoginManager(), SQLAlchemy()
    manager.init_app(app)
    db.init_app(app)
    made = app.test_cli_runner().invoke(args=["corbado-session", "init-db"])
    assert made.exit_code == 0, made.output
    assert "corbado_session.devices" in app.view_functions


def test_check_does_not_ask_for_a_login_view_that_the_manager_has(site: LoginApp) -> None:
    checked = site.app.test_cli_runner().invoke(args=["corbado-session", "check"])
    assert "CORBADO_SESSION_LOGIN_VIEW" not in checked.output


def test_the_sessions_own_names_work_in_any_order(sqlite_url: str) -> None:
    app, manager, db = bare_app(sqlite_url), LoginManager(), SQLAlchemy()
    manager.init_app(app)
    with app.app_context():
        db.init_app(app)
        db.create_all()
        with app.test_request_context():
            assert not current_session
            assert manager.sessions.devices("alice") == []


def test_the_first_requests_come_all_at_once(sqlite_url: str) -> None:
    made = make_login_app(sqlite_url)
    app, manager = bare_app(sqlite_url), LoginManager()
    manager.init_app(app)
    manager.user_loader(lambda user_id: {"id": user_id})
    SQLAlchemy(app, metadata=made.db.metadata)
    app.add_url_rule("/login/<user>", "login", lambda user: str(login_user(SimpleNamespace(get_id=lambda: user))))
    app.add_url_rule("/who", "who", lambda: current_user["id"])
    start = threading.Barrier(8)

    def sign_in(user: str) -> str:
        browser = app.test_client()
        start.wait()
        browser.get(f"/login/{user}")
        return browser.get("/who").text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign_in, "abcdefgh")) == list("abcdefgh")


def test_an_app_without_a_database_is_told_what_to_write(sqlite_url: str) -> None:
    app = bare_app(sqlite_url, TESTING=True)
    manager = LoginManager(app)
    manager.user_loader(lambda user_id: None)
    app.add_url_rule("/public", "public", lambda: "public")
    app.add_url_rule("/who", "who", lambda: str(current_user.is_authenticated))
    assert app.test_client().get("/public").text == "public"
    with pytest.raises(RuntimeError, match=r"LoginManager\(db=db\)"):
        app.test_client().get("/who")


def test_a_weak_key_is_refused_when_it_is_needed(sqlite_url: str) -> None:
    app = bare_app(sqlite_url)
    app.config["SECRET_KEY"] = "dev"
    SQLAlchemy(app)
    LoginManager(app)
    with app.test_request_context(), pytest.raises(SettingsError, match="SECRET_KEY"):
        current_user.is_authenticated  # noqa: B018


def test_one_manager_serves_several_apps(tmp_path: Any) -> None:
    manager, db = LoginManager(), SQLAlchemy()
    manager.user_loader(lambda user_id: {"id": user_id})
    for name in ("one", "two"):
        app = bare_app(f"sqlite:///{tmp_path / name}.sqlite", TESTING=True)
        manager.init_app(app)
        manager.init_app(app)  # twice does no harm
        db.init_app(app)
        with app.test_request_context():
            db.create_all()
            login_user(SimpleNamespace(is_active=True, get_id=lambda name=name: name))
            assert current_session.user_id == name


def test_an_app_that_is_gone_is_forgotten(sqlite_url: str) -> None:
    """A manager of a module serves every app that a test run makes."""
    manager = LoginManager()
    app = bare_app(sqlite_url)
    SQLAlchemy(app)
    manager.init_app(app)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


def test_a_second_manager_on_one_app_is_an_error(site: LoginApp) -> None:
    with pytest.raises(RuntimeError, match="has a LoginManager already"):
        LoginManager(site.app)


def test_an_app_may_set_up_its_sessions_itself(sqlite_url: str) -> None:
    app, db = bare_app(sqlite_url), SQLAlchemy()
    db.init_app(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    sessions.claims_loader(lambda user_id: {"role": "admin"})
    manager = LoginManager(app)
    manager.user_loader(lambda user_id: {"id": user_id})
    with app.test_request_context():
        db.create_all()
        login_user(SimpleNamespace(is_active=True, get_id=lambda: 7))
        assert current_session.claims == {"role": "admin"}


def test_the_names_work_on_an_app_that_has_no_login_manager(sqlite_url: str) -> None:
    app, db = bare_app(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in"), SQLAlchemy()
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    app.add_url_rule("/secret", "secret", login_required(lambda: f"secret of {current_user.id}"))
    app.add_url_rule("/login", "login", lambda: str(login_user(SimpleNamespace(is_active=True, get_id=lambda: "7"))))
    with app.app_context():
        db.create_all()
    browser = app.test_client()
    assert browser.get("/secret", headers={"Accept": "text/html"}).location == "/sign-in?next=%2Fsecret"
    browser.get("/login")
    assert browser.get("/secret").text == "secret of 7"


# ---- what can't mean anything says so


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_PROTECTION", "strong"),
        ("REMEMBER_COOKIE_NAME", "me"),
        ("REMEMBER_COOKIE_DURATION", timedelta(days=14)),
        ("REMEMBER_COOKIE_DOMAIN", ".example.com"),
        ("REMEMBER_COOKIE_PATH", "/app"),
        ("REMEMBER_COOKIE_SECURE", False),
        ("REMEMBER_COOKIE_HTTPONLY", False),
        ("REMEMBER_COOKIE_SAMESITE", "Strict"),
        ("REMEMBER_COOKIE_REFRESH_EACH_REQUEST", True),
        ("AUTH_HEADER_NAME", "X-Key"),
    ],
)
def test_a_setting_without_effect_says_so(sqlite_url: str, name: str, value: object) -> None:
    with pytest.warns(HasNoEffect, match=f"{name} has no effect here"):
        make_login_app(sqlite_url, **{name: value})


def test_a_setting_that_says_what_holds_anyway_is_no_reason_to_warn(sqlite_url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_login_app(sqlite_url, SESSION_PROTECTION=None, REMEMBER_COOKIE_SECURE=True, REMEMBER_COOKIE_HTTPONLY=True)


def test_session_protection_set_on_the_manager_says_so(site: LoginApp) -> None:
    with pytest.warns(HasNoEffect, match="token rotation"):
        site.manager.session_protection = "strong"
    site.manager.session_protection = None


def test_deprecated_names_say_what_to_write(site: LoginApp) -> None:
    with pytest.raises(NotImplementedError, match="request_loader"):
        site.manager.header_loader(lambda header: None)
    with pytest.raises(AttributeError, match="user_loaded_from_request"):
        flask_login.user_loaded_from_header  # noqa: B018
    with pytest.warns(DeprecationWarning, match="init_app"):
        LoginManager().setup_app(bare_app("sqlite://"))
