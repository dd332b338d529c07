"""CVE-2023-30861 and its kin, through a real cache in front of a real server: nobody gets another one's page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie

import pytest
from flask import Flask, Response, request

from flask_corbado_session import current_session, current_user, login_required
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app
from tests.support.caching_proxy import CachingProxy, serving


@dataclass
class Browser:
    """Keeps cookies, and asks through the proxy."""

    port: int
    jar: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: str = "") -> tuple[str, str]:
        """The page, and whether the cache had it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, headers if self.jar else {"Content-Type": headers["Content-Type"]})
            answer = connection.getresponse()
            for header in answer.msg.get_all("Set-Cookie", []):
                for name, morsel in SimpleCookie(header).items():
                    self.jar[name] = morsel.value
            return answer.read().decode(), answer.headers["X-Cache"]
        finally:
            connection.close()

    def sign_in(self, user: str) -> Browser:
        self.ask("/sign-in", "POST", f"user={user}")
        return self


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app, _, _ = make_app(sqlite_url)

    def page(text: str) -> Response:
        response = Response(text)
        response.headers["Cache-Control"] = "public, max-age=31536000"
        return response

    @app.after_request
    def eager(response: Response) -> Response:
        response.cache_control.public = True
        response.cache_control.max_age = 31536000
        return response

    app.add_url_rule("/home", "home", lambda: page("the same for everybody"))
    app.add_url_rule("/hello", "hello", lambda: page(f"hello {current_user.id}"))
    app.add_url_rule("/bool", "bool", lambda: page("somebody" if current_session else "nobody"))
    app.add_url_rule("/mine", "mine", login_required(lambda: page(str(current_user.id))))
    app.add_url_rule("/careless", "careless", lambda: page(f"yours: {request.cookies.get('theme')}"))
    return app


@pytest.fixture
def clock(app: Flask) -> MovingClock:
    return move_clock(app)


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with serving(app) as origin, serving(CachingProxy(origin)) as proxy:
        yield proxy


def test_the_proxy_does_cache_and_would_give_away_what_is_not_guarded(port: int) -> None:
    """Or the tests below would prove nothing."""
    alice, bob = Browser(port, {"theme": "alice's"}), Browser(port, {"theme": "bob's"})
    assert alice.ask("/careless") == ("yours: alice's", "miss")
    assert bob.ask("/careless") == ("yours: alice's", "hit")


@pytest.mark.parametrize(("path", "pages"), [("/hello", ["hello alice", "hello bob"]), ("/mine", ["alice", "bob"])])
@pytest.mark.parametrize("refreshed", [False, True])
def test_two_users_never_get_each_others_page(
    port: int, clock: MovingClock, path: str, pages: list[str], refreshed: bool
) -> None:
    both = [Browser(port).sign_in(user) for user in ("alice", "bob")]
    for _ in range(2):
        if refreshed:
            clock.move(minutes=20)
        assert [browser.ask(path) for browser in both] == [(page, "miss") for page in pages]
    assert "alice" not in Browser(port).ask(path)[0]


def test_no_session_is_handed_on_by_the_cache(port: int, clock: MovingClock) -> None:
    """What a refresh sets is for the browser that asked, and not for the next one."""
    alice, stranger = Browser(port).sign_in("alice"), Browser(port)
    clock.move(minutes=20)
    for path in ("/hello", "/mine", "/bool"):
        alice.ask(path)
        stranger.ask(path)
    assert stranger.jar == {}
    assert stranger.ask("/hello") == ("hello None", "miss")


def test_even_whether_somebody_is_signed_in_is_not_told_to_the_next_one(port: int) -> None:
    assert Browser(port).ask("/bool") == ("nobody", "miss")
    assert Browser(port).sign_in("alice").ask("/bool") == ("somebody", "miss")
    assert Browser(port).ask("/bool") == ("nobody", "miss")


def test_a_page_that_never_asks_is_cached_and_carries_no_cookie(port: int, clock: MovingClock) -> None:
    alice = Browser(port).sign_in("alice")
    before = dict(alice.jar)
    clock.move(minutes=20)
    assert alice.ask("/home") == ("the same for everybody", "miss")
    assert Browser(port).ask("/home") == ("the same for everybody", "hit")
    assert alice.jar == before
