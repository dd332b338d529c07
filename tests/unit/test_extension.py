"""CorbadoSession: what init_app wires, refuses and leaves alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, inspect
from sqlalchemy.orm import DeclarativeBase

from flask_corbado_session import CorbadoSession, SettingsError, current_session, login_required, login_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import SECRET_KEY, make_app, rows_of, statements, unprepared_app

LOG = "flask_corbado_session"


def new_app(**config: Any) -> Flask:
    app = Flask("tests.extension")
    app.config.from_mapping({"SECRET_KEY": SECRET_KEY, "SQLALCHEMY_DATABASE_URI": "sqlite://", **config})
    return app


def new_db() -> SQLAlchemy:
    class Base(DeclarativeBase):
        pass

    return SQLAlchemy(model_class=Base)


def wired(**config: Any) -> Flask:
    app, db = new_app(**config), new_db()
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    return app


# ---- what it wires


def test_nothing_is_created_when_an_app_is_set_up(sqlite_url: str, tmp_path: Path) -> None:
    app, _, _ = unprepared_app(sqlite_url)
    assert not list(tmp_path.glob("*.sqlite"))
    app.test_client().get("/public")
    assert not list(tmp_path.glob("*.sqlite"))


def test_the_apps_own_create_all_makes_the_tables(sqlite_url: str) -> None:
    make_app(sqlite_url)
    assert {"corbado_session", "corbado_device"} <= set(inspect(create_engine(sqlite_url)).get_table_names())


def test_no_hook_runs_for_a_request_that_never_asks(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    assert set(app.before_request_funcs) <= {"corbado_session"}  # the routes of its own
    assert not app.after_request_funcs
    assert not app.teardown_request_funcs
    with statements(app) as seen:
        app.test_client().get("/public")
    assert seen == []


def test_an_answer_to_a_page_that_never_asks_is_as_without_the_extension(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    plain = Flask("plain")
    plain.add_url_rule("/public", view_func=lambda: "anybody")
    answers = [signed_in(app, "alice").get("/public"), plain.test_client().get("/public")]
    assert list(answers[0].headers) == list(answers[1].headers)


def test_everything_of_an_app_stands_in_its_extensions() -> None:
    app, db, sessions = new_app(TESTING=True), new_db(), CorbadoSession()
    db.init_app(app)
    before = dict(vars(sessions))
    sessions.init_app(app, db)
    assert dict(vars(sessions)) == before
    assert "corbado_session" in app.extensions


def test_the_settings_are_read_once_and_not_again() -> None:
    app = wired(TESTING=True)
    app.config["CORBADO_SESSION_SHORT_COOKIE"] = "later"
    assert app.extensions["corbado_session"].settings.short_cookie == "__Host-cbo_short_session"


def test_its_engine_is_not_the_apps(sqlite_url: str) -> None:
    app, db, _ = make_app(sqlite_url, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0, "pool_timeout": 1})

    @app.post("/both")
    def both() -> str:
        with db.engine.connect():  # the app's only connection is in use
            login_user("alice")
            return str(bool(current_session))

    assert app.test_client().post("/both").text == "True"
    with app.app_context():
        assert rows_of(app).database.engine is not db.engine


def test_the_settings_of_the_environment_are_enough(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", sqlite_url)
    monkeypatch.setenv("FLASK_CORBADO_SESSION_SHORT_LIFETIME", "60")
    monkeypatch.setenv("FLASK_CORBADO_SESSION_COOKIE_SECURE", "false")
    app, db = Flask("from.environment"), new_db()
    app.config.from_prefixed_env()
    db.init_app(app)
    CorbadoSession(db).init_app(app)
    with app.app_context():
        db.create_all()
    app.add_url_rule("/me", view_func=login_required(lambda: "in"))
    client = signed_in(app, "alice")
    assert client.get("/me").text == "in"
    cookie = client.get_cookie("cbo_short_session")
    assert cookie is not None


# ---- what it refuses


def test_a_weak_secret_key_stops_an_app_in_production(subtests: pytest.Subtests) -> None:
    rows: list[Any] = [
        None,
        "",
        "dev",
        "short",
        "abcd" * 10,
        5,
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    ]
    for secret in rows:
        with subtests.test(secret=secret):
            with pytest.raises(SettingsError, match=r"^SECRET_KEY .*secrets\.token_hex") as caught:
                wired(SECRET_KEY=secret)
            assert secret is None or len(str(secret)) < 6 or str(secret) not in str(caught.value)


@pytest.mark.parametrize("mode", ["DEBUG", "TESTING"])
def test_a_weak_one_is_enough_to_debug_and_to_test_with(mode: str) -> None:
    wired(SECRET_KEY="dev", **{mode: True})


def test_what_is_no_key_is_enough_for_nothing(subtests: pytest.Subtests) -> None:
    """``FLASK_SECRET_KEY=12345`` in the environment is a number."""
    rows: list[tuple[Any, str]] = [(None, "not set"), ("", "not set"), (12345, "neither text nor bytes")]
    for secret, why in rows:
        for mode in ["DEBUG", "TESTING"]:
            error = pytest.raises(SettingsError, match=f"SECRET_KEY is {why}")
            with subtests.test(mode=mode, secret=secret), error:
                wired(SECRET_KEY=secret, **{mode: True})


def test_former_keys_are_a_list(subtests: pytest.Subtests) -> None:
    """One text was taken for a list of its letters, and whoever signed with one of them was let in."""
    wrong: list[Any] = ["the old key of this app, long enough", b"the old key", 5, {"a": 1}, [None], [""], [5]]
    for testing in [True, False]:
        for fallbacks in wrong:
            error = pytest.raises(SettingsError, match=r"^SECRET_KEY_FALLBACKS must be a list of former SECRET_KEYs")
            with subtests.test(fallbacks=fallbacks, testing=testing), error:
                wired(SECRET_KEY_FALLBACKS=fallbacks, TESTING=testing)


@pytest.mark.parametrize("weak", ["dev", "short", "changeme"])
def test_a_weak_former_key_stops_an_app_in_production(weak: str) -> None:
    for mode in ({"TESTING": True}, {"DEBUG": True}):
        wired(SECRET_KEY_FALLBACKS=[SECRET_KEY, weak], **mode)
    with pytest.raises(SettingsError, match=r"^SECRET_KEY_FALLBACKS holds a key that anyone can guess"):
        wired(SECRET_KEY_FALLBACKS=[SECRET_KEY, weak])


def test_a_strong_former_key_is_none_to_worry_about(subtests: pytest.Subtests) -> None:
    for fallbacks in [None, [], (), [SECRET_KEY], (SECRET_KEY.encode(),)]:
        with subtests.test(fallbacks=fallbacks):
            wired(SECRET_KEY_FALLBACKS=fallbacks)


def test_a_strong_one_may_be_bytes() -> None:
    wired(SECRET_KEY=SECRET_KEY.encode())


def test_a_wrong_setting_stops_the_app_by_name() -> None:
    with pytest.raises(SettingsError, match=r"^CORBADO_SESSION_SHORT_LIFETIME must be "):
        wired(CORBADO_SESSION_SHORT_LIFETIME="soon")


def test_an_app_whose_db_is_not_set_up_is_told(sqlite_url: str) -> None:
    app, db = new_app(TESTING=True), new_db()
    CorbadoSession(db).init_app(app)
    with pytest.raises(RuntimeError, match=r"call db\.init_app\(app\)"):
        signed_in(app, "alice")


def test_without_a_db_it_is_told_what_a_service_that_only_verifies_needs() -> None:
    for config in ({}, {"CORBADO_SESSION_ISSUER": "https://auth.example.com"}):
        with pytest.raises(SettingsError, match=r"CORBADO_SESSION_\w+ must be set where CorbadoSession\(\) has no db"):
            CorbadoSession().init_app(new_app(TESTING=True, **config))


def test_a_service_that_only_verifies_cannot_sign_anybody_in() -> None:
    app = new_app(
        TESTING=True,
        CORBADO_SESSION_ISSUER="https://auth.example.com",
        CORBADO_SESSION_JWKS_URL="https://auth.example.com/.well-known/jwks.json",
    )
    CorbadoSession().init_app(app)
    with pytest.raises(RuntimeError, match="only verifies"):
        signed_in(app, "alice")


# ---- what it warns of


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == LOG]


@pytest.mark.parametrize(
    ("config", "warned"), [({}, 1), ({"DEBUG": True}, 0), ({"TESTING": True}, 0), ({"SECURE": True}, 0)]
)
def test_cookies_in_the_clear_are_warned_of_in_production(
    config: dict[str, Any], warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    secure = config.pop("SECURE", False)
    with caplog.at_level(logging.WARNING, LOG):
        wired(CORBADO_SESSION_COOKIE_SECURE=secure, **config)
    assert [("COOKIE_SECURE is False" in each) for each in warnings(caplog)] == [True] * warned


@pytest.mark.parametrize(("testing", "warned"), [(False, 1), (True, 0)])
def test_a_database_in_memory_is_warned_of_once(testing: bool, warned: int, caplog: pytest.LogCaptureFixture) -> None:
    app = wired(TESTING=testing)
    app.add_url_rule("/me", view_func=login_required(lambda: str(current_session.user_id)))
    with caplog.at_level(logging.WARNING, LOG):
        for user_id in ("alice", "bob"):
            assert signed_in(app, user_id).get("/me").text == user_id
    assert [each for each in warnings(caplog) if "in memory" in each] == warnings(caplog)
    assert len(warnings(caplog)) == warned


def test_no_log_line_and_no_message_holds_a_token(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _, _ = make_app(sqlite_url)
    client = signed_in(app, "alice")
    names = ("__Host-cbo_short_session", "__Host-cbo_long_session", "__Host-cbo_device")
    secrets = [cookie.value for name in names if (cookie := client.get_cookie(name)) is not None]
    with caplog.at_level(logging.DEBUG):
        for value in secrets:
            client.get("/protected", headers={"Authorization": f"Bearer {value}x"})
        client.post("/protected", headers={"Sec-Fetch-Site": "cross-site"})
        client.post("/sign-out")
        client.get("/protected")
    assert len(secrets) == 3
    parts = [part for value in secrets for part in value.split(".") if len(part) > 36]
    assert not [part for part in parts if part in caplog.text]


def test_a_weak_key_says_that_debug_was_set_too_late(sqlite_url: str) -> None:
    """``app.run(debug=True)`` sets it after ``init_app`` has refused the key."""
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY="dev", SQLALCHEMY_DATABASE_URI=sqlite_url)
    db = SQLAlchemy(app)
    with pytest.raises(SettingsError, match=r"set app\.debug or app\.testing before init_app"):
        CorbadoSession(db).init_app(app)
    app.debug = True
    CorbadoSession(db).init_app(app)
