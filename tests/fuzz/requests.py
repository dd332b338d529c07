"""Fuzz targets over HTTP, against an app with every route there is: no answer is a 500, and no header is forged."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Mapping
from secrets import randbelow
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_corbado_session import fresh_login_required
from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.web.resume import COOKIE, MARK
from tests.support.operators import operator_app
from tests.support.site import cookie_of

from .target import Target, fields

HOST = "localhost"
PAGE = {"HTTP_ACCEPT": "text/html", "HTTP_SEC_FETCH_MODE": "navigate"}
SHORT, LONG = "cbo_short_session", "cbo_long_session"
API_SECRET = "s" * 32


class Answer:
    """The status and headers of an answer that is no 500 and in which no header was forged."""

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = int(status.split()[0]), headers
        assert self.status < 500, f"a {self.status}"
        assert not any(set(name + value) & set("\r\n\0") for name, value in headers)

    def all(self, name: str) -> list[str]:
        """Each header of this name."""
        return [value for header, value in self.headers if header.lower() == name.lower()]


class App:
    """The app, and the cookies of two who are signed in; a quarter of an hour ago, so that step-up asks."""

    def __init__(self, folder: str) -> None:
        self.app = _app(f"sqlite:///{folder}/fuzz.sqlite")
        clock = move_clock(self.app)
        self.cookies = {user: _cookies(signed_in(self.app, user)) for user in ("alice", "operator")}
        clock.move(minutes=10)

    def ask(self, path: str, method: str = "GET", user: str = "", **environ: Any) -> Answer:
        """What comes of a request; ``environ`` is as a server would make it, header values byte for byte."""
        body = environ.pop("body", b"")
        builder = EnvironBuilder(path, method=method, input_stream=None, data=body, base_url=f"http://{HOST}")
        whole = builder.get_environ()
        cookie = "; ".join(filter(None, (self.cookies.get(user, ""), environ.pop("HTTP_COOKIE", ""))))
        whole |= {"HTTP_COOKIE": cookie, **environ}
        chunks, status, headers = run_wsgi_app(self.app, whole)
        for _ in chunks:
            pass
        return Answer(status, list(headers))


def _app(url: str) -> Flask:
    names = {"SHORT_COOKIE": SHORT, "LONG_COOKIE": LONG, "API_SECRET": API_SECRET, "PROJECT_ID": "pro-1"}
    views = {"LOGIN_VIEW": "/sign-in-page", "REAUTH_VIEW": "/confirm", "TRUSTED_ORIGINS": "https://trusted.example"}
    config: dict[str, Any] = {**names, **views, "CORS_ORIGINS": "https://spa.example"}
    app, _, _ = operator_app(url, None, **{f"CORBADO_SESSION_{name}": value for name, value in config.items()})
    app.add_url_rule("/fresh", "fresh", fresh_login_required(lambda: "fresh"), methods=["GET", "POST"])
    return app


def _cookies(client: FlaskClient) -> str:
    return "; ".join(f"{name}={cookie_of(client, name)}" for name in (SHORT, LONG))


@functools.cache
def the() -> App:
    """The one app of this process."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return App(folder)


# ---- targets


def cookie(data: bytes) -> bool:
    """The Cookie header: nobody can write one that is a session, and none is set or taken away."""
    answer = the().ask("/protected", HTTP_COOKIE=data.decode("latin-1"))
    assert (answer.status, answer.all("Set-Cookie")) == (401, [])
    return False


def cookie_beside(data: bytes) -> bool:
    """What stands beside good cookies does not take them away."""
    answer = the().ask("/protected", user="alice", HTTP_COOKIE=f"more={data.decode('latin-1')}")
    return answer.status == 200


def authorization(data: bytes) -> bool:
    """The Authorization header, of a page and of the operator API."""
    value = data.decode("latin-1")
    assert the().ask("/protected", HTTP_AUTHORIZATION=value).status == 401
    # from anywhere, since ten failures a minute are the limit of each address
    answer = the().ask("/v2/sessions", HTTP_AUTHORIZATION=value, REMOTE_ADDR=f"10.0.{randbelow(256)}.{randbelow(256)}")
    assert answer.status in (200, 401, 429)
    return answer.status == 200


def headers(data: bytes) -> bool:
    """Who sent it and where from: a person without a session is led to sign in here, and nowhere else."""
    names = ("REFERER", "HX_CURRENT_URL", "HX_REQUEST", "ACCEPT", "SEC_FETCH_MODE", "TURBO_FRAME", "ORIGIN")
    sent = {f"HTTP_{name}": value for name, value in zip(names, fields(data, len(names)), strict=True) if value}
    led = False
    for method in ("GET", "POST"):
        answer = the().ask("/protected", method, **sent)
        for url in answer.all("Location") + answer.all("HX-Redirect"):
            led = True
            assert urlsplit(urljoin(f"http://{HOST}/protected", url)).netloc == HOST
    return led


def origin_headers(data: bytes) -> bool:
    """A form of whichever page, with good cookies."""
    origin, fetch_site, host = fields(data, 3)
    sent = {"HTTP_ORIGIN": origin, "HTTP_SEC_FETCH_SITE": fetch_site, "HTTP_HOST": host or HOST}
    answer = the().ask("/protected", "POST", "alice", **{name: value for name, value in sent.items() if value})
    assert answer.status in (200, 400, 403)
    return answer.status == 200


def since(data: bytes) -> bool:
    """The ``since`` of the revocation feed, which is open to everybody."""
    return the().ask("/session/revocations", QUERY_STRING=data.decode("latin-1")).status == 200


def link(data: bytes) -> bool:
    """The path of a mail's link: nobody can write one that works."""
    path = f"/session/disown/{data.decode('latin-1')}"
    assert the().ask("/", PATH_INFO=path).status in (308, 404, 410)
    return False


def form_that_waits(data: bytes) -> bool:
    """A form that step-up interrupts: what waits can be read, or nothing waits."""
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(data))}
    answer = the().ask("/fresh", "POST", "alice", body=data, **PAGE, **form)
    assert answer.status in (303, 400, 413)
    kept = [header.partition(";")[0] for header in answer.all("Set-Cookie")]
    if not kept:
        return False
    assert all(len(each) < 4000 for each in kept)
    assert the().ask("/session/resume", user="alice", HTTP_COOKIE="; ".join(kept), **PAGE).status == 200
    return True


def waiting_cookie(data: bytes) -> bool:
    """The cookies of a form that waits: nobody can write them."""
    form, mark = fields(data, 2)
    answer = the().ask("/session/resume", user="alice", HTTP_COOKIE=f"{COOKIE}={form}; {MARK}={mark}")
    assert answer.status == 404
    return False


def device_name(data: bytes) -> bool:
    """A body, its type on the first line, of a request that names a device."""
    content_type, _, body = data.partition(b"\n")
    sent: Mapping[str, str] = {"CONTENT_TYPE": content_type.decode("latin-1"), "CONTENT_LENGTH": str(len(body))}
    answer = the().ask(f"/session/devices/{'a' * 30}/name", "POST", "alice", body=body, **sent)
    assert answer.status in (400, 404, 413, 415)
    return answer.status == 404  # it was read, and there is no such device


def operator_pages(data: bytes) -> bool:
    """The query of the lists of the operator pages."""
    query = data.decode("latin-1")
    answers = [the().ask(f"/operator/{page}", user="operator", QUERY_STRING=query) for page in ("sessions", "users")]
    assert all(answer.status in (200, 400) for answer in answers)
    return any(answer.status == 200 for answer in answers)


def operator_api(data: bytes) -> bool:
    """The query of the operator API, on the database."""
    basic = b64encode(f"pro-1:{API_SECRET}".encode()).decode()
    sent = {"QUERY_STRING": data.decode("latin-1"), "HTTP_AUTHORIZATION": f"Basic {basic}"}
    answer = the().ask("/v2/sessions", **sent)
    assert answer.status in (200, 400)
    return answer.status == 200


_BEARER = b"Basic " + b64encode(f"pro-1:{API_SECRET}".encode())

TARGETS = [
    Target("cookie", cookie, (b"cbo_short_session=a.b.c; cbo_long_session=x", b"a=b; =c; ;", b'cbo_device="\\303"')),
    Target("cookie_beside", cookie_beside, (b"1", b'"', b"; cbo_other=", b"\xff\xfe")),
    Target("authorization", authorization, (_BEARER, b"Bearer a.b.c", b"Bearer", b"Digest x=", b"Basic \xff")),
    Target(
        "headers",
        headers,
        (b"http://localhost/a\n\n\ntext/html\nnavigate", b"\nhttp://localhost/b?c\ntrue\n*/*", b"//["),
    ),
    Target("origin_headers", origin_headers, (b"http://localhost\nsame-origin\nlocalhost", b"null\n\n[", b"\n\n\xff")),
    Target("since", since, (b"since=0", b"since=99999999999999999999", b"since=%F0%9F", b"since=-1")),
    Target("link", link, (b"WyJhIiwiYiIsMV0.abc", b"%ff", b".eJw", b"a/../b")),
    Target("form_that_waits", form_that_waits, (b"name=A&name=B", b"a=%F0%9F&b", b"&&&=", b"\xff=\xfe")),
    Target("waiting_cookie", waiting_cookie, (b"gAAAAABm\ngAAAAABm", b"\n", b"\xff\n=")),
    Target(
        "device_name",
        device_name,
        (b'application/json\n{"name": "Phone"}', b"application/x-www-form-urlencoded\nname=A", b"application/json\n[["),
    ),
    Target("operator_pages", operator_pages, (b"q=user%3Aalice", b"q=before:2026-01-01&page=x", b"sort=1&page=%00")),
    Target("operator_api", operator_api, (b"sort=created:asc&filter[]=status:eq:active", b"page=9&filter[]=ID:gt:%00")),
]
