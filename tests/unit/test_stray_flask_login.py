"""What people write out of habit from Flask-Login, on an app of CorbadoSession: it fails with the line to write."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import flask_login as real_flask_login
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import CorbadoSession, CorbadoSessionError, flask_login
from flask_corbado_session.flask_login import differences
from tests.support.child import ROOT
from tests.support.flask_login_app import make_login_app
from tests.support.site import Site


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("login_view", "sign_in", "CORBADO_SESSION_LOGIN_VIEW"),
        ("refresh_view", "sign_in", "CORBADO_SESSION_REAUTH_VIEW"),
        ("login_message", "Log in!", "CORBADO_SESSION_LOGIN_VIEW"),
        ("login_message_category", "warning", "unauthorized_handler"),
        ("blueprint_login_views", {}, "unauthorized_handler"),
        ("localize_callback", str, "unauthorized_handler"),
        ("needs_refresh_message", "Again!", "CORBADO_SESSION_REAUTH_VIEW"),
        ("anonymous_user", object, "@sessions.anonymous_user"),
        ("session_protection", "strong", "token rotation"),
        ("id_attribute", "get_public_id", "get_id()"),
        ("user_loader", str, "@sessions.user_loader"),
    ],
)
def test_an_attribute_of_flask_login_is_refused_with_what_to_write(name: str, value: Any, instead: str) -> None:
    sessions = CorbadoSession()
    with pytest.raises(CorbadoSessionError, match=name) as error:
        setattr(sessions, name, value)
    assert instead in str(error.value)
    assert "flask_corbado_session.flask_login" in str(error.value)


@pytest.mark.parametrize("name", ["request_loader", "needs_refresh_handler", "unauthorized", "setup_app"])
def test_a_method_of_flask_logins_manager_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=r"LoginManager of flask_corbado_session\.flask_login"):
        getattr(CorbadoSession(), name)


def test_other_names_are_missing_as_ever() -> None:
    assert not hasattr(CorbadoSession(), "colour")
    assert copy.copy(CorbadoSession()) is not None


def test_an_app_in_the_place_of_the_database_is_an_error() -> None:
    app, db = Flask(__name__), SQLAlchemy()
    with pytest.raises(TypeError, match=r"CorbadoSession\(db\)"):
        CorbadoSession(app)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"sessions.init_app\(app\)"):
        CorbadoSession().init_app(db)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"CorbadoSession\(db\)"):
        CorbadoSession().init_app(app, app)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes the app first"):
        flask_login.LoginManager(db)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes the app, not a SQLAlchemy"):
        flask_login.LoginManager().init_app(db)  # type: ignore[arg-type]


def test_a_second_init_app_on_one_app_is_an_error(site: Site) -> None:
    with pytest.raises(ValueError, match="has a CorbadoSession already"):
        site.sessions.init_app(site.app)
    with pytest.raises(ValueError, match="has a CorbadoSession already"):
        CorbadoSession(site.db).init_app(site.app)


def test_flask_login_itself_fails_with_the_line_to_write(site: Site) -> None:
    """Its ``current_user`` knew nobody, and its ``login_required`` let nobody in, without a word."""
    with site.app.test_request_context():
        for use in (
            lambda: real_flask_login.current_user.is_authenticated,
            lambda: bool(real_flask_login.current_user),
            lambda: real_flask_login.login_required(lambda: "in")(),
            lambda: real_flask_login.logout_user(),
        ):
            with pytest.raises(CorbadoSessionError, match=r"flask_login.install\(\)"):
                use()


def test_a_forgotten_import_fails_beside_our_login_manager(sqlite_url: str) -> None:
    """In one file of many: it failed with an AttributeError about ``_login_user``, or wrote a login nobody reads."""
    app = make_login_app(sqlite_url).app
    with app.test_request_context():
        for use in (
            lambda: bool(real_flask_login.current_user),
            lambda: real_flask_login.login_required(lambda: "in")(),
            lambda: real_flask_login.login_user(SimpleNamespace(is_active=True, get_id=lambda: "1")),
            lambda: real_flask_login.logout_user(),
            lambda: real_flask_login.confirm_login(),
        ):
            with pytest.raises(CorbadoSessionError, match=r"flask_login.install\(\)"):
                use()


def test_an_app_that_has_a_flask_login_of_its_own_keeps_it(sqlite_url: str) -> None:
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY="b7Qx2mNw9cRt4yKz8vLs", SQLALCHEMY_DATABASE_URI=sqlite_url)
    manager = real_flask_login.LoginManager(app)
    CorbadoSession(SQLAlchemy(app)).init_app(app)
    assert app.login_manager is manager  # type: ignore[attr-defined]


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_install_comes_too_late_once_flask_login_was_imported() -> None:
    late = run("import flask_login; from flask_corbado_session.flask_login import install; install()")
    assert "call flask_corbado_session.flask_login.install() before any import" in late.stderr


def test_install_puts_every_module_of_flask_login_in_place() -> None:
    program = """
from flask_corbado_session.flask_login import install
install()
install()
import flask_login, flask_corbado_session.flask_login as ours
assert flask_login is ours
from flask_login.utils import current_user, login_required, login_url, encode_cookie, expand_login_view
from flask_login.mixins import AnonymousUserMixin, UserMixin
from flask_login.signals import user_logged_in
from flask_login.config import COOKIE_NAME, EXEMPT_METHODS
from flask_login.login_manager import LoginManager
from flask_login.test_client import FlaskLoginClient
from flask_login.__about__ import __version__
assert flask_login.__version__ == __version__ == "0.6.3"
import flask_principal, flask_admin
"""
    done = run(program)
    assert done.returncode == 0, done.stderr


def test_every_name_of_flask_login_is_there() -> None:
    assert set(real_flask_login.__all__) <= set(flask_login.__all__)
    for module in ("config", "mixins", "signals", "utils"):
        theirs, ours = getattr(real_flask_login, module), getattr(flask_login, module)
        names = {name for name, value in vars(theirs).items() if not name.startswith("_") and _is_of(value, theirs)}
        assert {name for name in names if not hasattr(ours, name)} == set(), module


def _is_of(value: Any, module: Any) -> bool:
    """Whether a module defines this itself, and has not imported it from elsewhere."""
    return getattr(value, "__module__", module.__name__) == module.__name__ and not isinstance(value, type(sys))


def test_the_page_says_of_every_name_of_flask_login_what_it_does_here() -> None:
    page = (ROOT / "docs" / "flask-login.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    names = {*real_flask_login.__all__, *flask_login.__all__, *differences.CONFIG, "EXEMPT_METHODS", "LOGIN_DISABLED"}
    names |= {name for name in vars(real_flask_login.config) if name.isupper()}
    manager = real_flask_login.LoginManager()
    names |= {name for name in (*vars(manager), *vars(type(manager))) if not name.startswith("_")}
    assert names - rows == set()


def test_every_public_attribute_of_flask_logins_manager_is_there() -> None:
    theirs, ours = real_flask_login.LoginManager(), flask_login.LoginManager()
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert {name for name in names if not hasattr(ours, name)} == set()
    defaults = {name: value for name, value in vars(theirs).items() if isinstance(value, str)}
    del defaults["session_protection"]
    assert {name: getattr(ours, name) for name in defaults} == defaults
