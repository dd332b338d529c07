"""Clients that are no browsers drop Secure cookies over plain http, on loopback too: the log says so, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.apps import make_app

LOG = "flask_corbado_session"
BROWSER = {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """The server's own lines are not what is looked at."""


@pytest.fixture
def origin(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == LOG]


def test_python_requests_signed_in_and_was_nobody_without_a_word(origin: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, LOG), requests.Session() as client:
        for _ in range(2):
            assert client.post(f"{origin}/sign-in", data={"user": "alice"}, timeout=10).status_code == 200
        assert client.get(f"{origin}/protected", timeout=10).status_code == 401
    (message,) = said(caplog)
    assert "python-requests" in message
    assert "CORBADO_SESSION_COOKIE_SECURE = False" in message


def test_with_the_setting_it_names_python_requests_stays_signed_in(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_SECURE=False)
    server = make_server("127.0.0.1", 0, app, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with caplog.at_level(logging.WARNING, LOG), requests.Session() as client:
            client.post(f"http://127.0.0.1:{server.port}/sign-in", data={"user": "alice"}, timeout=10)
            assert client.get(f"http://127.0.0.1:{server.port}/protected", timeout=10).status_code == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"User-Agent": "curl/8.5.0"}, 1),
        ({"User-Agent": "python-httpx/0.28"}, 1),
        ({"User-Agent": "Mozilla/5.0 (an older browser)"}, 0),
        (BROWSER, 0),
        ({"User-Agent": "Anything", "Sec-Fetch-Mode": "navigate"}, 0),
        ({}, 0),  # Werkzeug's test client, which sends them
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_only_a_client_that_is_no_browser_is_told_of(
    app: Flask, headers: dict[str, str], told: int, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app.debug = debug
    with caplog.at_level(logging.WARNING, LOG):
        for url in ("http://localhost:5000", "http://127.0.0.1"):
            app.test_client().post("/sign-in", data={"user": "alice"}, headers=headers, base_url=url)
        app.test_client().post("/sign-in", data={"user": "alice"}, headers=headers, base_url="https://localhost")
    assert len(said(caplog)) == told


def test_each_of_the_two_causes_is_told_of(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"User-Agent": "curl/8.5.0"}
    with caplog.at_level(logging.WARNING, LOG):
        for url in ("http://localhost:5000", "http://app.example.com") * 2:
            app.test_client().post("/sign-in", data={"user": "alice"}, headers=headers, base_url=url)
    assert [("curl" in message, "ProxyFix" in message) for message in said(caplog)] == [(True, False), (False, True)]
