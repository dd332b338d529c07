"""The thief's page: whose cookies are copied, what the copy is served, and who sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from demo_site import copies
from demo_site.copies import Copies
from flask_corbado_session.testing import MovingClock, move_clock
from tests.demo.conftest import PAGE, sign_in
from tests.demo.test_notices import notices_on, words

MINUTE = 61
ADA = {"email": "ada@example.com", "password": "a sound password"}


@pytest.fixture
def clock(app: Flask) -> MovingClock:
    return move_clock(app)


@pytest.fixture
def owner(app: Flask, clock: MovingClock) -> FlaskClient:
    """Signed in for a minute, so that the session's token may move on."""
    owner = sign_in(app.test_client())
    clock.move(seconds=MINUTE)
    return owner


@pytest.fixture
def handle(owner: FlaskClient) -> str:
    """Of the copy of the owner's cookies."""
    return copy(owner)


def copy(client: FlaskClient) -> str:
    answer = client.post("/thief/copy")
    assert answer.status_code == 200
    handle: str = answer.get_json()["handle"]
    return handle


def look(client: FlaskClient, handle: str) -> dict[str, Any]:
    """The owner asks for the page, and then what the thief gets."""
    client.get("/dashboard")
    answer = client.post("/thief/look", json={"handle": handle})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def end_short_session(client: FlaskClient, handle: str) -> None:
    assert client.post("/thief/end-short-session", json={"handle": handle}).status_code == 204
    assert client.get_cookie("cbo_short_session") is None


# ---- the story of a session without a key


def test_the_copy_is_served_what_its_owner_is(owner: FlaskClient, handle: str) -> None:
    thief = look(owner, handle)["thief"]
    assert thief.pop("until").endswith("Z")
    assert thief == {"status": 200, "page": "Dashboard", "email": "demo@example.com", "reason": None, "token": 1}


def test_each_gets_a_token_of_its_own_when_the_short_session_has_ended(owner: FlaskClient, handle: str) -> None:
    end_short_session(owner, handle)
    seen = look(owner, handle)
    assert (seen["you"], seen["thief"]["token"], seen["thief"]["status"]) == ({"token": 2}, 3, 200)


def test_the_second_time_it_is_found_out_and_the_person_told_from_where(
    owner: FlaskClient, handle: str, clock: MovingClock
) -> None:
    end_short_session(owner, handle)
    assert look(owner, handle)["thief"]["status"] == 200
    clock.move(seconds=MINUTE)
    end_short_session(owner, handle)
    thief = look(owner, handle)["thief"]
    assert (thief["status"], thief["reason"]) == (401, "reuse")
    assert owner.get("/dashboard").get_json()["reason"] == "reuse"
    assert look(owner, handle)["thief"]["status"] == 401  # signed out as they are
    (notice,) = notices_on(sign_in(owner), "/thief")
    assert "A copy of one of your sessions was used" in words(notice)
    assert "Firefox on Windows at 203.0.113.66" in words(notice)
    assert "at 127.0.0.1" in words(notice)
    assert look(owner, handle)["thief"]["status"] == 401


def test_a_minute_too_early_nothing_is_decided(owner: FlaskClient, handle: str) -> None:
    for _ in range(3):
        end_short_session(owner, handle)
        assert look(owner, handle)["thief"]["status"] == 200
    assert owner.get("/dashboard").status_code == 200


def test_revoking_the_session_ends_the_copy(owner: FlaskClient, handle: str) -> None:
    owner.post("/sign-out")
    assert look(owner, handle)["thief"]["reason"] == "signed_out"


def test_below_a_path_the_copy_asks_there(owner: FlaskClient) -> None:
    mounted = "http://localhost/demo"
    handle = owner.post("/thief/copy", base_url=mounted).get_json()["handle"]
    assert owner.post("/thief/look", json={"handle": handle}, base_url=mounted).get_json()["thief"]["status"] == 200


# ---- whose it is


def test_a_stranger_copies_nothing(client: FlaskClient) -> None:
    assert client.get("/thief", headers=PAGE).location == "/sign-in?next=/thief"
    assert client.post("/thief/copy").status_code == 401


def test_nobody_reaches_the_copy_of_somebody_else(app: Flask, handle: str) -> None:
    other, stranger, same_user = app.test_client(), app.test_client(), sign_in(app.test_client())
    other.post("/sign-up", data=ADA)
    for client in (other, stranger, same_user):
        for path in ("/thief/look", "/thief/end-short-session"):
            assert client.post(path, json={"handle": handle}).status_code == 404


def test_no_page_of_another_origin_copies_or_looks(owner: FlaskClient, handle: str) -> None:
    for path in ("/thief/copy", "/thief/look", "/thief/end-short-session"):
        answer = owner.post(path, json={"handle": handle}, headers={"Sec-Fetch-Site": "cross-site"})
        assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")


@pytest.mark.usefixtures("handle")
@pytest.mark.parametrize(
    "sent", [b"", b"{", b"[]", b"7", b'{"handle": 1}', b'{"handle": ["a"]}', b'{"handle": "' + b"x" * 9999 + b'"}']
)
def test_what_is_no_handle_is_not_found(owner: FlaskClient, sent: bytes) -> None:
    for path in ("/thief/look", "/thief/end-short-session"):
        assert owner.post(path, data=sent, content_type="application/json").status_code == 404


# ---- no secret


def test_no_cookie_stands_in_an_answer_or_a_log(
    app: Flask, clock: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets, bodies = set[str](), list[str]()
    app.wsgi_app = _watched(app.wsgi_app, secrets, bodies)  # type: ignore[method-assign]
    owner = sign_in(app.test_client())
    clock.move(seconds=MINUTE)
    handle = copy(owner)
    bodies.append(owner.get("/thief").text)
    for _ in range(3):
        end_short_session(owner, handle)
        look(owner, handle)
        clock.move(seconds=MINUTE)
    assert len(secrets) > 6  # the thief's, too
    told = "".join(bodies) + caplog.text + repr(vars(app.extensions["demo_copies"]))
    assert handle in told
    assert sum(secret in told for secret in secrets) == 0


def _watched(wsgi_app: Callable[..., Any], secrets: set[str], bodies: list[str]) -> Callable[..., Iterable[bytes]]:
    """Every cookie that is set, and every answer: those to the thief's client pass here as well."""

    def watch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            lines = (value.partition(";")[0].partition("=")[2] for name, value in headers if name == "Set-Cookie")
            secrets.update(line for line in lines if line)
            return start_response(status, headers, *more)

        body = b"".join(wsgi_app(environ, start))
        bodies.append(body.decode(errors="replace"))
        return [body]

    return watch


# ---- bounds


def test_the_oldest_copy_goes_when_there_are_many(
    app: Flask, owner: FlaskClient, handle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "KEPT", 2)
    newer = [copy(owner) for _ in range(2)]
    assert len(app.extensions["demo_copies"]) == 2
    assert owner.post("/thief/look", json={"handle": handle}).status_code == 404
    assert [look(owner, each)["thief"]["status"] for each in newer] == [200, 200]


def test_a_copy_is_forgotten_after_a_while(app: Flask, owner: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "KEPT_FOR", 0.05)
    handle = copy(owner)
    kept: Copies = app.extensions["demo_copies"]
    deadline = time.monotonic() + 5
    while len(kept):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert owner.post("/thief/look", json={"handle": handle}).status_code == 404


def test_copying_is_limited(owner: FlaskClient) -> None:
    statuses = [owner.post("/thief/copy").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_many_threads_look_at_once(app: Flask, owner: FlaskClient, handle: str) -> None:
    cookies = [owner.get_cookie(name) for name in ("cbo_short_session", "cbo_long_session", "cbo_device")]
    header = "; ".join(f"{cookie.key}={cookie.value}" for cookie in cookies if cookie is not None)
    statuses: list[int] = []

    def ask() -> None:
        client = app.test_client(use_cookies=False)
        answer = client.post("/thief/look", json={"handle": handle}, headers={"Cookie": header})
        statuses.append(answer.get_json()["thief"]["status"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 8
