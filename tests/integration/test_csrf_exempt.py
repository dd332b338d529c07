"""What is spared the origin check: views, their classes and blueprints; and the POST of an identity provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

import jwt
import pytest
from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, jsonify, redirect, request, session, url_for
from flask.testing import FlaskClient
from flask.views import MethodView
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from flask_corbado_session import login_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import make_app
from tests.support.site import Site

CROSS_SITE = {"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
CLIENT_SECRET = "the secret that app and provider share"


def enter(**_: Any) -> str:
    login_user("alice")
    return "in"


class Class(MethodView):
    def post(self) -> str:
        return enter()


def status(app: Flask, path: str) -> int:
    return app.test_client().post(path, headers=CROSS_SITE).status_code


def test_only_a_view_could_be_exempt(site: Site) -> None:
    """Not a blueprint, which has a whole provider's views."""
    inner, outer, other = (Blueprint(name, __name__, url_prefix=f"/{name}") for name in ("inner", "outer", "other"))
    for blueprint in (inner, outer, other):
        blueprint.add_url_rule("/callback", "callback", enter, methods=["POST"])
    assert site.sessions.csrf_exempt(outer) is outer
    outer.register_blueprint(inner)
    for blueprint in (outer, other):
        site.app.register_blueprint(blueprint)
    assert [status(site.app, path) for path in ("/outer/callback", "/outer/inner/callback", "/other/callback")] == [
        200, 200, 403
    ]  # fmt: skip


def test_a_class_of_views_or_one_method_of_it_can_be(site: Site) -> None:
    @site.sessions.csrf_exempt
    class Exempt(Class):
        pass

    class OneMethod(Class):
        post = site.sessions.csrf_exempt(lambda _: enter())
        put = Class.post

    for path, kind in (("/plain", Class), ("/exempt", Exempt), ("/method", OneMethod)):
        site.app.add_url_rule(path, view_func=kind.as_view(path))
    assert [status(site.app, path) for path in ("/plain", "/exempt", "/method")] == [403, 200, 200]
    assert site.app.test_client().put("/method", headers=CROSS_SITE).status_code == 403


def test_the_class_above_one_that_is_exempt_is_not(site: Site) -> None:
    site.sessions.csrf_exempt(type("Exempt", (Class,), {}))
    site.app.add_url_rule("/plain", view_func=Class.as_view("plain"))
    assert status(site.app, "/plain") == 403


# ---- response_mode=form_post, with Authlib against a provider on loopback


@pytest.fixture
def provider() -> Iterator[str]:
    """An OpenID provider whose authorisation page is skipped: its code is the nonce."""
    idp = Flask("idp")

    @idp.post("/token")
    def token() -> Any:
        claims: dict[str, Any] = {
            "iss": "https://idp.example",
            "sub": "alice",
            "aud": "app",
            "nonce": request.form["code"],
        }
        claims |= {"iat": int(time.time()), "exp": int(time.time()) + 60}
        key = jwt.encode(claims, CLIENT_SECRET, "HS256")
        return jsonify(access_token="x", token_type="Bearer", expires_in=60, id_token=key)

    server = make_server("127.0.0.1", 0, idp)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def make_site(url: str, provider: str) -> Flask:
    app, _, sessions = make_app(url, SESSION_COOKIE_SAMESITE="None", SESSION_COOKIE_SECURE=True)
    oauth = OAuth(app)
    oauth.register(
        "idp",
        client_id="app",
        client_secret=CLIENT_SECRET,
        authorize_url="https://idp.example/authorize",
        access_token_url=f"{provider}/token",
        jwks={"keys": [{"kty": "oct", "k": jwt.utils.base64url_encode(CLIENT_SECRET.encode()).decode()}]},
        issuer="https://idp.example",
        client_kwargs={"scope": "openid"},
        authorize_params={"response_mode": "form_post"},
    )

    @app.get("/sign-in/idp")
    def start() -> Any:
        return oauth.idp.authorize_redirect(url_for("at_once", _external=True))

    @app.post("/at-once")
    @sessions.csrf_exempt
    def at_once() -> str:
        login_user(oauth.idp.authorize_access_token()["userinfo"]["sub"], amr=["fed"])
        return "in"

    @app.post("/guarded")
    def guarded() -> str:
        login_user(oauth.idp.authorize_access_token()["userinfo"]["sub"], amr=["fed"])
        return "in"

    @app.post("/one-redirect-later")
    def one_redirect_later() -> Response:
        session["proven"] = oauth.idp.authorize_access_token()["userinfo"]["sub"]
        return redirect("/finish", 303)

    @app.get("/finish")
    def finish() -> str:
        login_user(session.pop("proven"), amr=["fed"])
        return "in"

    return app


def returns_from_provider(browser: FlaskClient, path: str) -> Any:
    """What the browser posts for the provider's page: of the cookies, those alone that are SameSite=None."""
    started = browser.get("/sign-in/idp", base_url="https://localhost")
    query = dict(each.split("=", 1) for each in started.location.partition("?")[2].split("&"))
    assert query["response_mode"] == "form_post"
    kept = browser.get_cookie("session")
    assert kept is not None
    headers = {**CROSS_SITE, "Cookie": f"session={kept.value}"}
    form = {"state": query["state"], "code": query["nonce"]}
    app = browser.application
    return app.test_client(use_cookies=False).post(path, data=form, headers=headers, base_url="https://localhost")


def test_a_form_post_from_a_provider_signs_in_where_the_view_is_exempt(sqlite_url: str, provider: str) -> None:
    app = make_site(sqlite_url, provider)
    browser = app.test_client()
    assert returns_from_provider(browser, "/guarded").status_code == 403
    answer = returns_from_provider(browser, "/at-once")
    assert answer.status_code == 200
    assert sum("SameSite=Lax" in header for header in answer.headers.getlist("Set-Cookie")) == 3


def test_one_redirect_later_the_browser_shows_the_device_it_is(sqlite_url: str, provider: str) -> None:
    """Lax cookies do not come with the provider's POST, but with the GET that it is redirected to."""
    app = make_site(sqlite_url, provider)
    browser = signed_in(app, "alice")
    answer = returns_from_provider(browser, "/one-redirect-later")
    assert (answer.status_code, answer.location) == (303, "/finish")
    kept = next(header for header in answer.headers.getlist("Set-Cookie") if header.startswith("session="))
    browser.set_cookie("session", kept.partition("=")[2].partition(";")[0])
    assert browser.get("/finish", base_url="https://localhost").text == "in"
    with app.test_request_context():
        devices = app.extensions["corbado_session"].with_database().revocation.devices("alice", None)
    assert [len(device.sessions) for device in devices] == [1]
