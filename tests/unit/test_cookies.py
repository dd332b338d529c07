"""The one place that writes cookies and caching headers: to the letter, and only when there is something to say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, make_response, stream_with_context
from flask.testing import FlaskClient

from flask_corbado_session import current_session, current_user, login_required, login_user, logout_user
from flask_corbado_session.testing import MovingClock, expire_short, move_clock, signed_in
from tests.support.apps import make_app
from tests.support.jars import LONG

HOST = "Secure; HttpOnly; Path=/; SameSite=Lax"
YEAR = 400 * 86400


def cookies(response: Any) -> dict[str, tuple[str, str]]:
    """Name: (value, attributes)."""
    parts = [header.partition("=") for header in response.headers.getlist("Set-Cookie")]
    return {name: (rest.partition("; ")[0], rest.partition("; ")[2]) for name, _, rest in parts}


def attributes(response: Any) -> dict[str, str]:
    return {name: text for name, (_, text) in cookies(response).items()}


def sign_in(client: FlaskClient, **how: Any) -> Any:
    return client.post("/sign-in", json={"user": "alice", **how})


# ---- what is written


def test_the_cookies_are_host_bound_secure_and_closed_to_scripts(app: Flask, clock: MovingClock) -> None:
    assert attributes(sign_in(app.test_client())) == {
        "__Host-cbo_short_session": f"Max-Age=900; {HOST}",
        "__Host-cbo_long_session": f"Max-Age=2592000; {HOST}",
        "__Host-cbo_device": f"Max-Age={YEAR}; {HOST}",
    }


def test_a_cookie_domain_takes_the_prefix_that_allows_it(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    move_clock(app)
    shared = "Domain=example.com; Max-Age={}; Secure; HttpOnly; Path=/; SameSite=Lax"
    assert attributes(sign_in(app.test_client())) == {
        "__Secure-cbo_short_session": shared.format(900),
        "__Secure-cbo_long_session": shared.format(2592000),
        "__Secure-cbo_device": shared.format(YEAR),
    }


def test_over_http_the_names_are_plain_and_secure_is_gone(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_SECURE=False)
    move_clock(app)
    assert attributes(sign_in(app.test_client())) == {
        "cbo_short_session": "Max-Age=900; HttpOnly; Path=/; SameSite=Lax",
        "cbo_long_session": "Max-Age=2592000; HttpOnly; Path=/; SameSite=Lax",
        "cbo_device": f"Max-Age={YEAR}; HttpOnly; Path=/; SameSite=Lax",
    }


@pytest.mark.parametrize("samesite", ["Strict", "None"])
def test_samesite_is_as_configured(sqlite_url: str, samesite: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_SAMESITE=samesite)
    assert all(text.endswith(f"; SameSite={samesite}") for text in attributes(sign_in(app.test_client())).values())


def test_the_names_are_as_configured(sqlite_url: str) -> None:
    names = {"SHORT_COOKIE": "cbo_session_token", "LONG_COOKIE": "long", "DEVICE_COOKIE": "device"}
    app, _, _ = make_app(sqlite_url, **{f"CORBADO_SESSION_{key}": name for key, name in names.items()})
    assert list(cookies(sign_in(app.test_client()))) == list(names.values())
    assert signed_in(app, "bob").get("/protected").status_code == 200


def test_without_remember_they_go_with_the_browsers_session_and_so_does_every_refresh(
    app: Flask, clock: MovingClock
) -> None:
    client = app.test_client()
    written = attributes(sign_in(client, remember=False))
    assert (written["__Host-cbo_short_session"], written["__Host-cbo_long_session"]) == (HOST, HOST)
    for _ in range(2):
        clock.move(seconds=61)
        expire_short(client)
        assert set(attributes(client.get("/protected")).values()) == {HOST}


def test_a_refresh_writes_what_is_left_of_each_lifetime(app: Flask, clock: MovingClock) -> None:
    client = signed_in(app, "alice")
    clock.move(days=5)
    expire_short(client)
    assert attributes(client.get("/protected")) == {
        "__Host-cbo_short_session": f"Max-Age=900; {HOST}",
        "__Host-cbo_long_session": f"Max-Age={25 * 86400}; {HOST}",
    }


def test_a_sign_out_deletes_short_and_long_and_keeps_the_device(app: Flask) -> None:
    client = signed_in(app, "alice")
    gone = f"Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; {HOST}"
    written = cookies(client.post("/sign-out"))
    assert written == {"__Host-cbo_short_session": ("", gone), "__Host-cbo_long_session": ("", gone)}
    assert client.get_cookie("__Host-cbo_device") is not None


def test_a_cookie_is_deleted_where_it_was_set(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url, CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    assert all("Domain=example.com;" in text for text in attributes(app.test_client().post("/sign-out")).values())


def test_no_cookie_is_too_large_for_a_browser(app: Flask) -> None:
    response = sign_in(app.test_client(), claims={"text": "x" * 2400})
    sizes = [len(header) for header in response.headers.getlist("Set-Cookie")]
    assert response.status_code == 200
    assert 3500 < max(sizes) <= 4096


# ---- within one request


def test_a_sign_out_after_a_sign_in_wins(app: Flask) -> None:
    @app.post("/both")
    def both() -> str:
        login_user("alice")
        logout_user()
        return "out"

    client = app.test_client()
    written = cookies(client.post("/both"))
    assert {value for value, _ in written.values()} == {""}
    assert client.get("/protected").status_code == 401


def test_a_sign_in_after_a_sign_out_wins(app: Flask) -> None:
    @app.post("/swap")
    def swap() -> str:
        logout_user()
        login_user("bob")
        return str(current_user.id)

    client = signed_in(app, "alice")
    assert client.post("/swap").text == "bob"
    assert client.get("/protected").get_json()["user_id"] == "bob"


def test_a_sign_out_of_a_refreshed_session_writes_no_token(app: Flask, clock: MovingClock) -> None:
    """Flask-JWT-Extended's implicit refresh set new cookies on the answer to a sign-out."""

    @app.post("/leave")
    def leave() -> str:
        assert current_session.user_id == "alice"
        logout_user()
        return "out"

    client = signed_in(app, "alice")
    clock.move(minutes=16)
    assert {value for value, _ in cookies(client.post("/leave")).values()} == {""}
    assert client.get("/protected").status_code == 401


@pytest.mark.parametrize(("seconds", "sent"), [(5, True), (5.5, False), (600, False), (-1, False)])
def test_an_answer_that_leaves_late_must_not_write_over_a_newer_token(
    app: Flask, clock: MovingClock, seconds: float, sent: bool
) -> None:
    @app.get("/report")
    def report() -> str:
        assert current_session.user_id == "alice"
        clock.move(seconds=seconds)
        return "done"

    client = signed_in(app, "alice")
    clock.move(minutes=16)
    written = attributes(client.get("/report"))
    assert list(written) == ["__Host-cbo_short_session", "__Host-cbo_long_session"][: 2 if sent else 1]


def test_an_answer_that_leaves_after_its_short_session_ended_does_not_delete_it(app: Flask, clock: MovingClock) -> None:
    @app.get("/report")
    def report() -> str:
        assert current_session.user_id == "alice"
        clock.move(hours=2)
        return "done"

    client = signed_in(app, "alice")
    clock.move(minutes=16)
    assert attributes(client.get("/report")) == {"__Host-cbo_short_session": f"Max-Age=1; {HOST}"}


def test_a_view_that_fails_keeps_its_refresh(app: Flask, clock: MovingClock) -> None:
    app.testing = False

    @app.get("/broken")
    def broken() -> str:
        assert current_session.user_id == "alice"
        raise KeyError("broken")

    client = signed_in(app, "alice")
    clock.move(minutes=16)
    response = client.get("/broken")
    assert response.status_code == 500
    assert len(cookies(response)) == 2
    assert client.get("/protected").status_code == 200


# ---- caching


def caching(response: Any) -> tuple[list[str], list[str]]:
    return response.headers.getlist("Cache-Control"), response.headers.getlist("Vary")


PUBLIC = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Expires": "Fri, 01 Jan 2100 00:00:00 GMT",
    "Surrogate-Control": "max-age=3600",
    "CDN-Cache-Control": "max-age=3600",
    "Cloudflare-CDN-Cache-Control": "max-age=3600",
    "Vary": "Accept-Encoding, cookie",
}


def cacheable(text: str) -> Response:
    response = make_response(text)
    response.headers.update(PUBLIC)
    return response


@pytest.mark.parametrize(
    "ask", [lambda: bool(current_session), lambda: current_user.is_authenticated, lambda: current_session.user_id]
)
def test_no_store_wins_over_the_view(app: Flask, ask: Any) -> None:
    """CVE-2023-30861 and CVE-2026-27205: also when nothing but "is there one" was asked, and also by nobody."""

    @app.get("/cacheable")
    def view() -> Response:
        return cacheable(str(ask()))

    for client in (signed_in(app, "alice"), app.test_client()):
        response = client.get("/cacheable")
        assert caching(response) == (["no-store"], ["Accept-Encoding, Cookie"])
        assert not set(PUBLIC) - {"Cache-Control", "Vary"} & set(response.headers.keys())


def test_no_store_wins_over_after_request(app: Flask) -> None:
    @app.after_request
    def cache_it(response: Response) -> Response:
        response.headers.update(PUBLIC)
        return response

    assert caching(signed_in(app, "alice").get("/protected")) == (["no-store"], ["Accept-Encoding, Cookie"])


def test_a_page_that_was_touched_by_after_request_alone_is_private_too(app: Flask) -> None:
    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-User"] = str(current_session.user_id)
        return response

    response = signed_in(app, "alice").get("/public")
    assert response.headers["X-User"] == "alice"
    assert caching(response) == (["no-store"], ["Cookie"])


def test_a_page_that_never_asks_keeps_what_it_says(app: Flask) -> None:
    app.add_url_rule("/cacheable", view_func=lambda: cacheable("anybody"))
    response = signed_in(app, "alice").get("/cacheable")
    assert {name: response.headers[name] for name in PUBLIC} == PUBLIC
    assert cookies(response) == {}


def test_a_vary_of_everything_stays(app: Flask) -> None:
    @app.get("/star")
    def view() -> Response:
        response = make_response(str(current_user.id))
        response.headers["Vary"] = "*"
        return response

    assert caching(signed_in(app, "alice").get("/star")) == (["no-store"], ["*, Cookie"])


# ---- once the answer has begun to leave


@pytest.mark.parametrize("age", [1, 16])
@pytest.mark.parametrize("ask", [lambda: current_session.user_id, lambda: current_user.id, login_required(str)])
def test_a_streamed_body_that_asks_too_late_is_told_so_and_refreshes_nothing(
    app: Flask, clock: MovingClock, age: int, ask: Callable[[], object]
) -> None:
    """It read an identity, and nothing kept a cache from giving the answer to somebody else."""

    @app.get("/stream")
    def stream() -> Response:
        return Response(stream_with_context(str(ask()) for _ in range(2)))

    client = signed_in(app, "alice")
    clock.move(minutes=age)
    before = client.get_cookie(LONG)
    with pytest.raises(RuntimeError, match="before you return the response"):
        client.get("/stream")
    assert client.get_cookie(LONG) == before
    clock.move(minutes=16)
    refreshed = client.get("/protected")
    assert refreshed.status_code == 200
    assert len(cookies(refreshed)) == 2


def test_a_streamed_body_goes_on_with_what_the_view_asked_for(app: Flask, clock: MovingClock) -> None:
    @app.get("/stream")
    def stream() -> Response:
        assert current_session.user_id == "alice"
        return Response(stream_with_context(str(current_session.user_id) for _ in range(2)))

    client = signed_in(app, "alice")
    clock.move(minutes=16)
    response = client.get("/stream")
    assert response.text == "alicealice"
    assert len(cookies(response)) == 2
    assert caching(response) == (["no-store"], ["Cookie"])


# ---- plain http


@pytest.mark.parametrize(
    ("base_url", "told"),
    [
        ("http://app.example.com", True),
        ("http://192.0.2.1:8000", True),
        ("http://localhost", False),
        ("http://localhost:8000", False),
        ("http://auth.demo.localhost:8000", False),
        ("http://127.0.0.1:5000", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:5000", False),
        ("http://[::1]", False),
        ("https://app.example.com", False),
    ],
)
def test_secure_cookies_over_plain_http_are_told_of_once(
    app: Flask, base_url: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flask_corbado_session"):
        for _ in range(2):
            app.test_client().post("/sign-in", data={"user": "alice"}, base_url=base_url)
    said = [record.message for record in caplog.records]
    assert len(said) == told
    assert not said or ("ProxyFix" in said[0] and "CORBADO_SESSION_COOKIE_SECURE = False" in said[0])


def test_a_long_session_that_ends_soon_is_no_longer_than_that(app: Flask, clock: MovingClock) -> None:
    client = signed_in(app, "alice")
    for _ in range(4):
        clock.move(days=6)
        expire_short(client)
        client.get("/protected")
    clock.move(timedelta(days=6) - timedelta(minutes=5))
    assert attributes(client.get("/protected")) == {
        "__Host-cbo_short_session": f"Max-Age=300; {HOST}",
        "__Host-cbo_long_session": f"Max-Age=300; {HOST}",
    }


def test_sign_out_has_the_browser_forget_the_pages_it_keeps_for_going_back(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    alice = signed_in(app, "alice")
    assert "Clear-Site-Data" not in alice.get("/protected").headers
    assert alice.post("/sign-out").headers["Clear-Site-Data"] == '"cache"'
