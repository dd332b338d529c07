"""What people use instead, behind the same view: each signs alice in and serves her a page that needs a signed-in user.

Every request carries the extension's cookies too, so that all of them, the bare one included, parse the same header.
This module runs in ``.bench``, where the peers are installed.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy

from .cases import SECRET, Requests, our_cookies

_BODY = "hello"
_LONG_SECRET = SECRET.ljust(32, "!")
"""PyJWT warns of shorter ones at each token, which would be counted."""
_TOKEN_LIFETIME = timedelta(hours=1)


def _app(database_url: str, **config: Any) -> tuple[Flask, SQLAlchemy]:
    app, db = Flask(__name__), SQLAlchemy()
    app.config.update(SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=database_url, **config)
    db.init_app(app)
    return app, db


def _requests(app: Flask, database_url: str) -> Requests:
    """The protected view with the cookies of a sign-in, and the extension's."""
    response = app.test_client().post("/sign-in")
    cookies = [header.split(";")[0] for header in response.headers.getlist("Set-Cookie")]
    if response.status_code != 200 or not cookies:
        raise RuntimeError(f"the sign-in of a peer returned {response.status}")
    header = "; ".join([our_cookies(database_url), *cookies])
    return Requests(app, lambda: header, "/protected")


def _with_flask_login(app: Flask, user: Any, load: Callable[[str], Any]) -> None:
    from flask_login import LoginManager, login_required, login_user

    manager = LoginManager(app)
    manager.user_loader(load)
    app.add_url_rule("/protected", "protected", login_required(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", lambda: str(login_user(user())), methods=["POST"])


def flask_login(database_url: str) -> Requests:
    """Flask-Login as its users write it: the user is a row, loaded at each request."""
    from flask_login import UserMixin

    app, db = _app(database_url)

    class User(UserMixin, db.Model):  # type: ignore[name-defined, misc]
        __tablename__ = "bench_login_user"
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80))

    _make(app, db, User(id=1, name="alice"))
    _with_flask_login(app, lambda: db.session.get(User, 1), lambda user_id: db.session.get(User, int(user_id)))
    return _requests(app, database_url)


def flask_login_without_database(database_url: str) -> Requests:
    """Flask-Login whose users are in memory: what it costs by itself. It can't revoke anything."""
    app, _ = _app(database_url)
    _with_flask_login(app, _in_memory, lambda user_id: _in_memory())
    return _requests(app, database_url)


def flask_session_files(database_url: str) -> Requests:
    """Flask-Session on files, and Flask-Login whose users are in memory."""
    from cachelib.file import FileSystemCache

    return _flask_session(database_url, SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(tempfile.mkdtemp()))


def flask_session_redis(database_url: str, redis_url: str) -> Requests:
    """Flask-Session on Redis, and Flask-Login whose users are in memory."""
    from redis import Redis  # type: ignore[import-not-found, unused-ignore]  # installed in .bench alone

    return _flask_session(database_url, SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(redis_url))


def _flask_session(database_url: str, **config: Any) -> Requests:
    from flask_session import Session

    app, _ = _app(database_url, **config)
    Session(app)
    _with_flask_login(app, _in_memory, lambda user_id: _in_memory())
    return _requests(app, database_url)


def _in_memory() -> Any:
    from flask_login import UserMixin

    user = UserMixin()
    user.id = "alice"
    return user


def flask_jwt_extended(database_url: str, blocklist: bool = False) -> Requests:
    """Flask-JWT-Extended with its token in a cookie; with a blocklist it can revoke, by a look into a table."""
    from flask_jwt_extended import JWTManager, create_access_token, jwt_required, set_access_cookies

    app, db = _app(
        database_url,
        JWT_SECRET_KEY=_LONG_SECRET,
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=_TOKEN_LIFETIME,
    )
    manager = JWTManager(app)
    if blocklist:

        class Revoked(db.Model):  # type: ignore[name-defined, misc]
            __tablename__ = "bench_blocklist"
            jti = db.Column(db.String(36), primary_key=True)

        _make(app, db, Revoked(jti="another"))
        manager.token_in_blocklist_loader(lambda header, claims: db.session.get(Revoked, claims["jti"]) is not None)

    def sign_in() -> Any:
        response = app.make_response("True")
        set_access_cookies(response, create_access_token("alice"))
        return response

    app.add_url_rule("/protected", "protected", jwt_required()(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    return _requests(app, database_url)


def flask_security(database_url: str) -> Requests:
    """Flask-Security on its SQLAlchemy datastore."""
    from flask_security import Security, SQLAlchemyUserDatastore, auth_required, hash_password, login_user
    from flask_security.models import fsqla_v3  # untyped

    models: Any = fsqla_v3

    app, db = _app(
        database_url, SECURITY_PASSWORD_SALT=SECRET, SECURITY_SEND_REGISTER_EMAIL=False, SECURITY_PASSWORD_HASH="argon2"
    )
    models.FsModels.set_db_info(db, user_table_name="bench_security_user", role_table_name="bench_security_role")

    class Role(db.Model, models.FsRoleMixin):  # type: ignore[name-defined, misc]
        __tablename__ = "bench_security_role"

    class User(db.Model, models.FsUserMixin):  # type: ignore[name-defined, misc]
        __tablename__ = "bench_security_user"

    datastore: Any = SQLAlchemyUserDatastore(db, User, Role)
    Security(app, datastore, register_blueprint=False)
    with app.app_context():
        db.drop_all()
        db.create_all()
        datastore.create_user(email="alice@example.com", password=hash_password("correct horse"))
        db.session.commit()

    def sign_in() -> str:
        signed_in = login_user(datastore.find_user(email="alice@example.com"))
        datastore.commit()
        return str(signed_in)

    app.add_url_rule("/protected", "protected", auth_required("session")(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    return _requests(app, database_url)


def pyjwt(database_url: str, cached: bool = False) -> Requests:
    """The decorator people write around PyJWT, with HS256; with a cache the claims are kept until they expire."""
    import jwt

    app, _ = _app(database_url)
    known: dict[str, dict[str, Any]] = {}

    def read(token: str) -> dict[str, Any]:
        claims = known.get(token)
        if claims is None or claims["exp"] <= time():
            claims = jwt.decode(token, _LONG_SECRET, algorithms=["HS256"])
            if cached:
                known[token] = claims
        return claims

    def required(view: Callable[[], str]) -> Callable[[], str]:
        @functools.wraps(view)
        def guarded() -> str:
            try:
                read(request.cookies.get("token", ""))
            except jwt.InvalidTokenError:
                abort(401)
            return view()

        return guarded

    def sign_in() -> Any:
        response = app.make_response("True")
        claims = {"sub": "alice", "exp": datetime.now(UTC) + _TOKEN_LIFETIME}
        response.set_cookie("token", jwt.encode(claims, _LONG_SECRET, algorithm="HS256"), httponly=True)
        return response

    app.add_url_rule("/protected", "protected", required(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    return _requests(app, database_url)


def _make(app: Flask, db: SQLAlchemy, *rows: Any) -> None:
    with app.app_context():
        db.drop_all()
        db.create_all()
        db.session.add_all(rows)
        db.session.commit()


PEERS: dict[str, Callable[..., Requests]] = {
    "Flask-Login": flask_login,
    "Flask-Login, no database": flask_login_without_database,
    "Flask-JWT-Extended": flask_jwt_extended,
    "Flask-JWT-Extended, blocklist": functools.partial(flask_jwt_extended, blocklist=True),
    "Flask-Session on files": flask_session_files,
    "Flask-Session on Redis": flask_session_redis,
    "Flask-Security": flask_security,
    "PyJWT by hand": pyjwt,
    "PyJWT by hand, cached": functools.partial(pyjwt, cached=True),
}
