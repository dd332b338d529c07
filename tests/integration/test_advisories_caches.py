"""Public failures around caches and cookies, each against our app in the way it happened.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from flask_corbado_session import current_session, current_user
from flask_corbado_session.testing import move_clock, signed_in
from tests.support.apps import make_app, rows_of, state_of, statements
from tests.support.caching_proxy import CachingProxy, serving
from tests.support.jars import DEVICE, LONG, SHORT, Jar, served
from tests.support.key_files import NOON, a_jwk, key_file
from tests.support.site import Site, cookie_of, look_up_ended


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in()


# ---- caches


def eager(app: Flask, *, asks_everywhere: bool = False) -> Flask:
    """The app with pages that call themselves public, and a guard that asks before each if told so."""

    @app.after_request
    def shared(response: Response) -> Response:
        response.headers["Cache-Control"] = "public, s-maxage=31536000"
        response.headers["CDN-Cache-Control"] = response.headers["Surrogate-Control"] = "max-age=31536000"
        return response

    if asks_everywhere:
        app.before_request(lambda: (bool(current_session), None)[1])
    return app


def test_cve_2023_30861_a_refreshed_session_cookie_is_not_cacheable(site: Site, alice: FlaskClient) -> None:
    """Flask: the permanent session was refreshed by answers that lacked ``Vary: Cookie``, and proxies kept them."""
    eager(site.app)
    site.clock.move(minutes=20)
    answer = site.ask(alice)
    assert (answer.facts, answer.is_private) == ((200, ["UPDATE"], [SHORT, LONG]), True)


def test_cve_2023_30861_the_proxy_in_front_gives_no_session_away(site: Site) -> None:
    eager(site.app)
    with serving(site.app) as origin, serving(CachingProxy(origin)) as port:
        owner, stranger = Jar(), Jar()
        owner.take(served(port, owner.sends("/sign-in", "POST", user="alice")))
        site.clock.move(minutes=20)
        assert set(owner.take(served(port, owner.sends())).cookies) == {SHORT, LONG}
        answer = served(port, stranger.sends())
        assert (answer.status, answer.cookies, answer.headers["X-Cache"]) == (401, {}, "miss")


@pytest.mark.parametrize(
    "look",
    [
        lambda: bool(current_session),
        lambda: "role" in current_session.claims,
        lambda: len(current_session.claims),
        lambda: current_session == None,  # noqa: E711
        lambda: bool(current_user),
        lambda: current_user.is_authenticated,
        lambda: repr(current_user),
    ],
    ids=["bool", "in", "len", "==", "bool user", "is_authenticated", "repr"],
)
def test_cve_2026_27205_every_look_at_the_session_varies_the_answer(site: Site, alice: FlaskClient, look: Any) -> None:
    """Flask < 3.1.3: ``in`` and ``len`` did not count as a look, so the page stayed cacheable."""
    site.app.add_url_rule("/look", view_func=lambda: str(look()))
    for client in (alice, site.nobody()):
        assert site.ask(client, "/look").is_private


def test_cve_2025_48947_a_guard_that_refreshes_everywhere_sets_no_cookie_that_a_cdn_keeps(sqlite_url: str) -> None:
    """nextjs-auth0, and authkit-nextjs (CVE-2025-64762): the middleware refreshed on pages that a CDN kept."""
    site = Site(sqlite_url)
    eager(site.app, asks_everywhere=True)
    with serving(site.app) as origin, serving(CachingProxy(origin)) as port:
        owner, stranger = Jar(), Jar()
        owner.take(served(port, owner.sends("/sign-in", "POST", user="alice")))
        for path in ("/public", "/session/static/corbado-session.js"):
            site.clock.move(minutes=20)
            served(port, owner.sends(path))
            assert served(port, stranger.sends(path)).cookies == {}
        answer = served(port, owner.sends("/public"))
        assert (answer.headers["Cache-Control"], "CDN-Cache-Control" in answer.headers) == ("no-store", False)


# ---- cookies


def test_cve_2023_23934_a_nameless_cookie_is_none_of_ours(site: Site, alice: FlaskClient) -> None:
    """Werkzeug: ``=__Host-name=value``, which a subdomain can set, was read as ``__Host-name``."""
    look_up_ended(site.app)
    with statements(site.app) as seen:
        for name in (SHORT, LONG):
            header = f"={name}={cookie_of(alice, name)}"
            answer = site.app.test_client(use_cookies=False).get("/protected", headers={"Cookie": header})
            assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, [])
    assert seen == []


def test_cve_2025_47278_the_newest_secret_key_signs_all_three_cookies(sqlite_url: str) -> None:
    """Flask 3.1.0 signed with the last of its fallbacks, so that a key that was to go never went."""
    new, old = "the newest secret key of these tests", "an old secret key of these tests"
    client = signed_in(make_app(sqlite_url, SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old, old + "er"])[0], "alice")
    for secret, status, devices in ((new, 200, 1), (old, 401, 2)):
        app, _, _ = make_app(sqlite_url, SECRET_KEY=secret)
        for name in (SHORT, LONG):
            stranger = app.test_client()
            stranger.set_cookie(name, cookie_of(client, name))
            assert stranger.get("/protected").status_code == status
        browser = app.test_client()
        browser.set_cookie(DEVICE, cookie_of(client, DEVICE))
        browser.post("/sign-in", data={"user": "alice"})
        assert len(rows_of(app).revocation.devices("alice", None)) == devices


def test_cve_2025_47278_so_does_the_newest_active_key_of_the_file(sqlite_url: str, tmp_path: Any) -> None:
    oldest, newest, coming = a_jwk("ES256"), a_jwk("ES256", 1, signs_from=NOON), a_jwk("ES256", 2, signs_from=2**33)
    for keys in ([oldest, newest, coming], [coming, newest, oldest]):
        file = key_file(tmp_path / "keys.json", *keys)
        app, _, _ = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(file))
        move_clock(app, NOON)
        assert state_of(app).keys.signing(NOON).kid == newest["kid"]
