"""Live logins of Flask-JWT-Extended, Flask-Session and Flask-Security, each by the real package, become sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_login
import pytest
import time_machine
from cachelib import FileSystemCache
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask, jsonify, session
from flask.testing import FlaskClient
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    set_access_cookies,
    set_refresh_cookies,
)
from flask_security import Security, SQLAlchemyUserDatastore, hash_password
from flask_security.models import fsqla_v3
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session.migration import move_flask_security_login, move_jwt_extended_login, move_session_login
from flask_corbado_session.testing import expire_short
from tests.integration.test_moving_flask_login import cookies, moved, moving_site, user_of
from tests.support.apps import SECRET_KEY, rows_of
from tests.support.site import Site

SIXTY_DAYS = timedelta(days=60)


# ---- Flask-JWT-Extended


def jwt_browser(user: str = "alice", *, only: str = "", **config: Any) -> FlaskClient:
    """A browser that has signed in with the app as it was: tokens in cookies."""
    app = Flask("before")
    app.config.update(SECRET_KEY=SECRET_KEY, JWT_TOKEN_LOCATION=["cookies"], **config)
    JWTManager(app)

    @app.get("/sign-in")
    def sign_in() -> Any:
        response = jsonify()
        if only != "refresh":
            set_access_cookies(response, create_access_token(user, fresh=True))
        if only != "access":
            set_refresh_cookies(response, create_refresh_token(user))
        return response

    browser = app.test_client()
    assert browser.get("/sign-in").status_code == 200
    return browser


def jwt_site(url: str, *, is_blocked: Any = None, **config: Any) -> Site:
    site = Site(url, **config)
    move_jwt_extended_login(site.app, until=site.clock() + SIXTY_DAYS, is_blocked=is_blocked)
    with site.app.app_context():
        site.db.create_all()
    return site


def jwt_moved(old: FlaskClient, site: Site) -> FlaskClient:
    names = [f"{prefix}{kind}_token{suffix}" for kind in ("access", "refresh") for prefix, suffix in (("", "_cookie"),)]
    return moved(old, site.app, *names, "csrf_access_token", "csrf_refresh_token")


@pytest.mark.parametrize("only", ["", "access", "refresh"])
def test_tokens_in_cookies_become_a_session_and_go(sqlite_url: str, only: str) -> None:
    site = jwt_site(sqlite_url)
    browser = jwt_moved(jwt_browser(only=only), site)
    response = browser.get("/protected")
    assert user_of(response) == "alice"
    for kind in ("access", "refresh"):
        assert browser.get_cookie(f"{kind}_token_cookie") is None
        assert browser.get_cookie(f"csrf_{kind}_token") is None
    expire_short(browser)
    assert browser.get("/protected").get_json()["session_id"] == response.get_json()["session_id"]
    assert "Max-Age" not in cookies(response)["__Host-cbo_long_session"]


def test_cookies_that_outlive_the_browser_become_one_that_does(sqlite_url: str) -> None:
    site = jwt_site(sqlite_url, JWT_SESSION_COOKIE=False)
    response = jwt_moved(jwt_browser(JWT_SESSION_COOKIE=False), site).get("/protected")
    assert "Max-Age" in cookies(response)["__Host-cbo_long_session"]


def test_tokens_of_a_key_pair_are_moved_and_their_public_key_makes_none(sqlite_url: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    private_pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    site = jwt_site(sqlite_url, JWT_ALGORITHM="ES256", JWT_PUBLIC_KEY=public_pem)
    keys = {"JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY": private_pem, "JWT_PUBLIC_KEY": public_pem}
    assert user_of(jwt_moved(jwt_browser(**keys), site).get("/protected")) == "alice"
    assert user_of(jwt_moved(jwt_browser("mallory"), site).get("/protected")) is None


def test_a_refresh_token_with_a_path_of_its_own_is_deleted_there(sqlite_url: str) -> None:
    path = {"JWT_REFRESH_COOKIE_PATH": "/token", "JWT_REFRESH_CSRF_COOKIE_PATH": "/token"}
    site = jwt_site(sqlite_url, **path)
    response = jwt_moved(jwt_browser(only="access"), site).get("/protected")
    assert user_of(response) == "alice"
    assert "Path=/token" in cookies(response)["refresh_token_cookie"]


@pytest.mark.parametrize("seconds", [16 * 60, 31 * 24 * 3600], ids=["access", "refresh"])
def test_a_token_that_has_expired_is_nobody(sqlite_url: str, seconds: int) -> None:
    site = jwt_site(sqlite_url)
    old = jwt_browser(only="access" if seconds < 3600 else "refresh")
    site.clock.move(seconds=seconds)
    assert site.ask(jwt_moved(old, site)).facts == (401, [], [])


def test_a_token_on_the_blocklist_of_the_app_is_nobody(sqlite_url: str) -> None:
    def is_blocked(claims: Mapping[str, Any]) -> bool:
        return claims["type"] == "refresh" and bool(claims["jti"])

    site = jwt_site(sqlite_url, is_blocked=is_blocked)
    assert user_of(jwt_moved(jwt_browser(only="refresh"), site).get("/protected")) is None


@pytest.mark.parametrize("name", ["refresh_token_cookie", "access_token_cookie"])
def test_a_token_in_the_place_of_the_other_kind_or_under_another_key_is_nobody(sqlite_url: str, name: str) -> None:
    site = jwt_site(sqlite_url)
    other = "access_token_cookie" if name.startswith("refresh") else "refresh_token_cookie"
    swapped = jwt_browser().get_cookie(other)
    forged = jwt_browser(JWT_SECRET_KEY="another key of thirty-two characters!").get_cookie(name)
    assert swapped is not None
    assert forged is not None
    for value in (swapped.value, forged.value, "", "a.b.c", "x" * 4000):
        browser = site.nobody()
        browser.set_cookie(name, value)
        assert user_of(browser.get("/protected")) is None


def test_a_token_made_before_the_last_sign_out_is_refused_and_a_newer_one_is_not(sqlite_url: str) -> None:
    site = jwt_site(sqlite_url)
    old = jwt_browser(only="refresh")
    browser, copy = jwt_moved(old, site), jwt_moved(old, site)
    assert user_of(browser.get("/protected")) == "alice"
    site.clock.move(minutes=1)
    browser.post("/sign-out")
    assert user_of(copy.get("/protected")) is None
    # a server of before is still up, and alice signs in there
    newer = jwt_browser_at(site, minutes=2)
    site.clock.move(minutes=2)
    assert user_of(jwt_moved(newer, site).get("/protected")) == "alice"


def jwt_browser_at(site: Site, minutes: int) -> FlaskClient:
    with time_machine.travel(site.clock() + timedelta(minutes=minutes), tick=False):
        return jwt_browser(only="refresh")


# ---- Flask-Session, with and without Flask-Login


def server_side(app: Flask, folder: Path) -> None:
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(str(folder)))
    Session(app)


def test_a_login_kept_by_flask_session_becomes_a_session(sqlite_url: str, tmp_path: Path) -> None:
    """The user id that the app itself put there: what the tutorials do."""
    before = Flask("before")
    before.config.update(SECRET_KEY=SECRET_KEY)
    server_side(before, tmp_path / "sessions")

    @before.get("/sign-in")
    def sign_in() -> str:
        session["user_id"], session["cart"] = 7, ["apples"]
        return "in"

    old = before.test_client()
    old.get("/sign-in")
    site = Site(sqlite_url)
    server_side(site.app, tmp_path / "sessions")
    move_session_login(site.app, until=site.clock() + SIXTY_DAYS)
    site.app.add_url_rule("/cart", view_func=lambda: jsonify(session["cart"]), endpoint="cart")
    with site.app.app_context():
        site.db.create_all()
    browser, copy = moved(old, site.app, "session"), moved(old, site.app, "session")
    assert user_of(browser.get("/protected")) == "7"
    assert browser.get("/cart").get_json() == ["apples"]
    # it is gone from the server, so that a copy of the cookie names nobody any more
    assert user_of(copy.get("/protected")) is None


def test_a_login_of_flask_login_on_flask_session_becomes_a_session(sqlite_url: str, tmp_path: Path) -> None:
    before = Flask("before")
    before.config.update(SECRET_KEY=SECRET_KEY)
    server_side(before, tmp_path / "sessions")
    manager = flask_login.LoginManager(before)

    class User(flask_login.UserMixin):  # type: ignore[misc]
        id = "alice"

    manager.user_loader(lambda _: User())
    before.add_url_rule("/sign-in", view_func=lambda: str(flask_login.login_user(User())), endpoint="sign_in")
    old = before.test_client()
    old.get("/sign-in")
    site = moving_site(sqlite_url)
    server_side(site.app, tmp_path / "sessions")
    browser, copy = moved(old, site.app, "session"), moved(old, site.app, "session")
    assert user_of(browser.get("/protected")) == "alice"
    assert user_of(copy.get("/protected")) is None


@pytest.mark.parametrize("value", [None, "", True, 7.5, ["alice"], {"id": 1}])
def test_what_is_no_user_id_in_the_session_is_nobody(sqlite_url: str, value: Any) -> None:
    site = Site(sqlite_url)
    move_session_login(site.app, until=site.clock() + SIXTY_DAYS)
    browser = site.nobody()
    with browser.session_transaction() as kept:
        kept["user_id"] = value
    assert user_of(browser.get("/protected")) is None


# ---- Flask-Security


class SecurityBefore:
    """The app as it was: Flask-Security, whose sessions name a user by their ``fs_uniquifier``."""

    def __init__(self, url: str) -> None:
        self.app = Flask("before")
        self.app.config.update(
            TESTING=True,
            SECRET_KEY=SECRET_KEY,
            SECURITY_PASSWORD_SALT="146585145368132386173505678016728509634",
            SECURITY_PASSWORD_HASH="pbkdf2_sha512",
            SECURITY_PASSWORD_SINGLE_HASH=True,
            SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
            SQLALCHEMY_DATABASE_URI=url,
            WTF_CSRF_ENABLED=False,
        )
        db = SQLAlchemy(self.app)
        fsqla_v3.FsModels.set_db_info(db)  # type: ignore[attr-defined, no-untyped-call]

        class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[name-defined, misc]
            pass

        class WebAuthn(db.Model, fsqla_v3.FsWebAuthnMixin):  # type: ignore[name-defined, misc]
            pass

        class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[name-defined, misc]
            pass

        store = SQLAlchemyUserDatastore(db, User, Role)
        Security(self.app, store)
        with self.app.app_context():
            db.create_all()
            user = store.create_user(email="alice@example.com", password=hash_password("correct horse"))
            db.session.commit()
            self.ids = {user.fs_uniquifier: user.id}

    def browser(self, **form: str) -> FlaskClient:
        client = self.app.test_client()
        form = {"email": "alice@example.com", "password": "correct horse", **form}
        assert client.post("/login", data=form).status_code == 302
        return client


@pytest.mark.parametrize("remember", [False, True], ids=["session", "remember"])
def test_a_login_of_flask_security_becomes_a_session(sqlite_url: str, tmp_path: Path, remember: bool) -> None:
    before = SecurityBefore(f"sqlite:///{tmp_path / 'before.sqlite'}")
    old = before.browser(**({"remember": "y"} if remember else {}))
    site = Site(sqlite_url)
    move_flask_security_login(site.app, until=site.clock() + SIXTY_DAYS, find_user=before.ids.get)
    with site.app.app_context():
        site.db.create_all()
    names = ["remember_token"] if remember else ["session"]
    browser, copy, changed = (moved(old, site.app, *names) for _ in range(3))
    assert user_of(browser.get("/protected")) == "1"
    assert browser.get_cookie("remember_token") is None
    with browser.session_transaction() as kept:
        assert not {"_user_id", "_fresh", "_id", "fs_cc", "fs_paa"} & set(kept)
    rows_of(site.app).revocation.revoke_user("1", "operator")
    assert user_of(copy.get("/protected")) is None
    before.ids.clear()  # a changed password changes the fs_uniquifier
    assert user_of(changed.get("/protected")) is None
