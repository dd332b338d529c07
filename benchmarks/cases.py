"""The measured requests: the same view bare, public, protected and refreshed.

Each request goes through the whole WSGI application in this process, with the same Cookie header. The bare app parses
that header too, because Flask reads its own session cookie from it.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from flask import Flask, abort
from flask_sqlalchemy import SQLAlchemy
from jwt.algorithms import ECAlgorithm

from flask_corbado_session import CorbadoSession, generate_keys, login_required, login_user
from flask_corbado_session.binding.challenges import Challenges
from flask_corbado_session.tokens.long import LongTokenSigner

Case = Callable[[], None]
SECRET = "benchmarks only: 0f6d1c9e5a"
_BODY = "hello"


def bare(database_url: str) -> Requests:
    """The view in an app without the session extension, but with Flask-SQLAlchemy, like the other apps."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=database_url)
    SQLAlchemy().init_app(app)
    app.add_url_rule("/", "view", lambda: _BODY)
    cookies = _signed_in(database_url)[1]
    return Requests(app, lambda: cookies)


def public(database_url: str) -> Requests:
    """The view in an app with the extension, requested by a signed-in user. The view does not read the session."""
    app, cookies, _ = _signed_in(database_url)
    return Requests(app, lambda: cookies, "/public")


def protected(database_url: str) -> Requests:
    """The view behind ``login_required``, with a short session that this process has verified before."""
    app, cookies, _ = _signed_in(database_url)
    return Requests(app, lambda: cookies, "/protected", "200")


def protected_by(database_url: str, read_clock: Callable[[], datetime]) -> tuple[Flask, Requests]:
    """The protected view of an app with this clock, so that it polls for ended sessions as time goes by."""
    app, cookies, _ = _signed_in(database_url)
    app.extensions["corbado_session"].clock.read = read_clock
    return app, Requests(app, lambda: cookies, "/protected", "200")


def refreshed(database_url: str) -> Requests:
    """The view behind ``login_required``, without a short session: one statement and two new cookies."""
    app, cookies, clock = _signed_in(database_url)
    jar = dict(pair.split("=", 1) for pair in cookies.split("; "))
    short = next(name for name in jar if "short" in name)

    def cookie_header() -> str:
        clock[0] += timedelta(minutes=2)  # more than a minute, so that the long token rotates
        return "; ".join(f"{name}={value}" for name, value in jar.items() if name != short)

    return Requests(app, cookie_header, "/protected", "200", jar)


def bound_protected(database_url: str) -> Requests:
    """The protected view in a session that is bound to a key."""
    app, jar, _, _ = _bound(database_url)
    return Requests(app, lambda: _header(jar), "/protected")


def bound_refreshed(database_url: str) -> Requests:
    """What a browser sends before a page when its short session has ended: a proof, for two new cookies.

    The proofs are signed before anything is measured, as a browser would.
    """
    app, jar, clock, key = _bound(database_url)
    session_id = _session_id(jar)
    challenges, step = Challenges([SECRET], "refresh", timedelta(hours=1)), timedelta(minutes=2)
    proofs = [_proof(key, challenges.make(session_id, clock[0] + step * number)) for number in range(1, 600)]
    short, unsent = next(name for name in jar if "short" in name), iter(proofs)

    def cookie_header() -> str:
        clock[0] += step
        requests.headers = {"HTTP_SEC_SECURE_SESSION_ID": session_id, "HTTP_SECURE_SESSION_RESPONSE": next(unsent)}
        return _header({name: value for name, value in jar.items() if name != short})

    requests = Requests(app, cookie_header, "/session/bound/refresh", "200", jar, method="POST")
    return requests


def _bound(database_url: str) -> tuple[Flask, dict[str, str], list[datetime], EllipticCurvePrivateKey]:
    app, cookies, clock = _signed_in(database_url, CORBADO_SESSION_DEVICE_BINDING=True)
    key, jar = generate_private_key(SECP256R1()), dict(pair.split("=", 1) for pair in cookies.split("; "))
    session_id = _session_id(jar)
    challenge = app.extensions["corbado_session"].parts.bound.registration_challenge(session_id)
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    register = Requests(app, lambda: cookies, "/session/bound/register", "200", jar, method="POST")
    register.headers = {"HTTP_SECURE_SESSION_RESPONSE": _proof(key, challenge, jwk=public)}
    register()
    return app, jar, clock, key


def _session_id(jar: dict[str, str]) -> str:
    token = LongTokenSigner([SECRET]).load(next(value for name, value in jar.items() if "long" in name))
    assert token is not None
    return token.session_id


def _proof(key: EllipticCurvePrivateKey, challenge: str, **header: Any) -> str:
    return jwt.encode({"jti": challenge}, key, "ES256", headers={"typ": "dbsc+jwt", **header})


def _header(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def our_cookies(database_url: str) -> str:
    """The Cookie header of somebody signed in with the extension."""
    return _signed_in(database_url)[1]


def _signed_in(database_url: str, **config: Any) -> tuple[Flask, str, list[datetime]]:
    db = SQLAlchemy()
    sessions = CorbadoSession(db)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=SECRET,
        SQLALCHEMY_DATABASE_URI=database_url,
        CORBADO_SESSION_LONG_LIFETIME=timedelta(days=3650),
        CORBADO_SESSION_MAX_SESSIONS_PER_USER=10_000,  # or every measured sign-in would be one too many, and end one
        **config,
    )
    db.init_app(app)
    sessions.init_app(app)
    app.add_url_rule("/public", "public", lambda: _BODY)
    app.add_url_rule("/protected", "protected", login_required(lambda: _BODY))
    app.add_url_rule("/sign-in", "sign_in", lambda: str(login_user("alice", amr=["pwd"])), methods=["POST"])
    with app.app_context():
        db.create_all()
    clock = [datetime.now(UTC)]
    app.extensions["corbado_session"].clock.read = lambda: clock[0]
    response = app.test_client().post("/sign-in")
    cookies = "; ".join(header.split(";")[0] for header in response.headers.getlist("Set-Cookie"))
    return app, cookies, clock


class Requests:
    """One app, and the request that is measured; ``jar`` is given what a refresh writes."""

    def __init__(
        self,
        app: Flask,
        cookies: Callable[[], str],
        path: str = "/",
        status: str = "200",
        jar: dict[str, str] | None = None,
        method: str = "GET",
    ) -> None:
        self.app, self.cookies, self.path = app, cookies, path
        self._status, self._jar = status, jar
        self.headers: dict[str, str] = {}
        """More of the environ, for the next request."""
        self._fixed = {**_ENVIRON, "PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.errors": io.StringIO()}

    def __call__(self) -> None:
        cookies = self.cookies()
        environ = {**self._fixed, **self.headers, "HTTP_COOKIE": cookies, "wsgi.input": io.BytesIO()}
        b"".join(self.app(environ, self._start_response))  # type: ignore[arg-type]

    def _start_response(self, line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        if not line.startswith(self._status):
            raise RuntimeError(f"a measured request returned {line}")
        if self._jar is not None:
            written = [value.split(";")[0].split("=", 1) for name, value in headers if name == "Set-Cookie"]
            if len(written) != 2:
                raise RuntimeError("a measured refresh did not write both cookies")
            self._jar.update((name, value) for name, value in written)


_ENVIRON = {
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.url_scheme": "https",  # as Secure cookies need it
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


def bare_401(database_url: str, cookies: str = "") -> Requests:
    """The bare app, answering 401 to cookies that are of our form and not ours."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=database_url)
    SQLAlchemy().init_app(app)
    app.add_url_rule("/", "view", lambda: abort(401))
    header = cookies or _garbage(database_url)[1]
    return Requests(app, lambda: header, status="401")


def garbage(database_url: str) -> Requests:
    """The protected view, for cookies that are of our form and that nobody signed."""
    app, cookies = _garbage(database_url)
    return Requests(app, lambda: cookies, "/protected", "401")


def bare_megabyte(database_url: str) -> Requests:
    """The bare 401 for the header of :func:`megabyte`."""
    return bare_401(database_url, _megabyte(_garbage(database_url)[1]))


def megabyte(database_url: str) -> Requests:
    """The protected view, for a megabyte of such cookies."""
    app, cookies = _garbage(database_url)
    header = _megabyte(cookies)
    return Requests(app, lambda: header, "/protected", "401")


def _garbage(database_url: str) -> tuple[Flask, str]:
    """Our cookies, each with another letter before its last eight."""
    app, cookies, _ = _signed_in(database_url)
    return app, "; ".join(f"{pair[:-9]}{'A' if pair[-9] != 'A' else 'B'}{pair[-8:]}" for pair in cookies.split("; "))


def _megabyte(cookies: str) -> str:
    return "; ".join([cookies] * (1_000_000 // len(cookies)))


def hold(database_url: str) -> Requests:
    """A refresh so soon after the one before that the long token stays: two statements, one new cookie."""
    app, cookies, _ = _signed_in(database_url)
    long = next(pair for pair in cookies.split("; ") if "long" in pair.partition("=")[0])
    return Requests(app, lambda: long, "/protected")


def sign_in(database_url: str, known: bool = False) -> Requests:
    """A sign-in, by a browser without cookies or by one with a device's."""
    app, cookies, _ = _signed_in(database_url)
    device = next(pair for pair in cookies.split("; ") if "device" in pair.partition("=")[0])
    return Requests(app, lambda: device if known else "", "/sign-in", method="POST")


def first_sight(database_url: str, algorithm: str) -> Requests:
    """The protected view, with a short session that this process has not verified before."""
    folder = tempfile.mkdtemp()
    config = {}
    if algorithm != "HS256":
        generate_keys(Path(folder) / "keys.json", cast(Any, algorithm))
        config = {"CORBADO_SESSION_KEYS_FILE": f"{folder}/keys.json"}
    app, cookies, _ = _signed_in(database_url, **config)
    verifier = app.extensions["corbado_session"].short_sessions._verifier

    def forget() -> str:
        verifier._seen[1].clear()
        return cookies

    return Requests(app, forget, "/protected")


CASES: dict[str, Callable[[str], Requests]] = {
    "bare": bare,
    "public": public,
    "protected": protected,
    "first HS256": partial(first_sight, algorithm="HS256"),
    "first RS256": partial(first_sight, algorithm="RS256"),
    "first ES256": partial(first_sight, algorithm="ES256"),
    "first EdDSA": partial(first_sight, algorithm="EdDSA"),
    "refreshed": refreshed,
    "hold": hold,
    "bound, protected": bound_protected,
    "bound, refreshed": bound_refreshed,
    "sign-in, new device": sign_in,
    "sign-in, known device": partial(sign_in, known=True),
    "bare 401": bare_401,
    "garbage": garbage,
    "bare megabyte": bare_megabyte,
    "megabyte": megabyte,
}
