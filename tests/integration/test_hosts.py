"""Apps with a SERVER_NAME, subdomains, several hosts, a prefix or a proxy before them; and ``next`` between them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask, jsonify, url_for
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_corbado_session import CorbadoSession, current_session, login_required
from flask_corbado_session.testing import copy_jar, expire_short, signed_in
from tests.support.apps import SECRET_KEY, make_app

PAGE = {"Accept": "text/html"}
APEX, SHOP = "https://example.com:8000", "https://shop.example.com:8000"


def make(url: str, *, operators: dict[str, Any] | None = None, config: dict[str, Any], **flask: Any) -> Flask:
    app = Flask(__name__, **flask)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=url)
    app.config.from_mapping(config)
    db = SQLAlchemy(app)
    sessions = CorbadoSession(db)
    sessions.init_app(app)
    app.register_blueprint(sessions.operator_blueprint(allow=bool), url_prefix="/ops", **(operators or {}))
    with app.app_context():
        db.create_all()
    where: dict[str, Any] = {}
    if flask.get("host_matching"):
        where = {"host": "<host>"}
    elif flask.get("subdomain_matching"):
        where = {"subdomain": "<host>"}
    app.add_url_rule("/me", "me", login_required(lambda host="": str(current_session.user_id)), **where)
    app.add_url_rule("/links", "links", lambda host="": jsonify(links()), **where)
    app.add_url_rule("/next", "next", lambda host="": sessions.next_url("/default"), **where)
    auth: dict[str, Any] = {"subdomain": "auth"} if "auth" in config else {}
    app.add_url_rule("/sign-in", "sign_in", lambda: "sign in", **auth)
    return app


def links() -> dict[str, str]:
    return {name: url_for(f"corbado_session.{name}") for name in ("devices", "logout")} | {
        "style": url_for("corbado_session.static", filename="corbado-session.css")
    }


def is_served(client: FlaskClient, path: str, base_url: str) -> bool:
    with client.get(path, base_url=base_url) as answer:
        return answer.status_code == 200


# ---- SERVER_NAME


def test_a_signed_in_client_was_nobody_where_a_server_name_is_set(sqlite_url: str) -> None:
    app = make(sqlite_url, config={"SERVER_NAME": "example.com:8000"})
    alice = signed_in(app, "alice")
    assert alice.get("/me").text == "alice"
    expire_short(alice)
    assert copy_jar(alice).get("/me").text == "alice"
    signed_in(app, "alice", client=alice)
    assert alice.get("/session/devices", headers={"Accept": "application/json"}).get_json()["history"] != []


def test_one_can_be_signed_in_on_the_host_that_a_test_names(sqlite_url: str) -> None:
    app, _, _ = make_app(sqlite_url)
    alice = signed_in(app, "alice", base_url=SHOP)
    assert alice.get("/protected", base_url=SHOP).status_code == 200
    assert alice.get("/protected", base_url=APEX).status_code == 401
    assert copy_jar(alice).get("/protected", base_url=SHOP).status_code == 200


# ---- subdomains


@pytest.fixture
def shared(sqlite_url: str) -> Flask:
    config = {"SERVER_NAME": "example.com:8000", "CORBADO_SESSION_COOKIE_DOMAIN": "example.com"}
    return make(sqlite_url, config=config, subdomain_matching=True)


def test_the_cookies_of_a_domain_go_to_its_subdomains(shared: Flask) -> None:
    alice = signed_in(shared, "alice")
    assert alice.get("/me", base_url=SHOP).text == "alice"


def test_the_routes_were_on_the_bare_domain_alone(shared: Flask) -> None:
    """Where the cookies of a subdomain's host do not go."""
    alice = signed_in(shared, "alice")
    for base_url in (APEX, SHOP, "https://a.b.example.com:8000"):
        assert alice.get("/session", base_url=base_url).get_json()["user_id"] == "alice"
        page = alice.get("/session/devices", base_url=base_url, headers=PAGE)
        assert 'href="/session/static/corbado-session.css"' in page.text
        assert is_served(alice, "/session/static/corbado-session.css", base_url)
        assert alice.get("/ops/sessions", base_url=base_url).status_code == 200
    assert alice.get("/links", base_url=SHOP).get_json() == {
        "devices": "/session/devices", "logout": "/session/logout", "style": "/session/static/corbado-session.css",
    }  # fmt: skip


def test_the_operator_pages_stay_on_the_subdomain_that_the_app_gives_them(sqlite_url: str) -> None:
    app = make(
        sqlite_url,
        operators={"subdomain": "admin"},
        config={"SERVER_NAME": "example.com:8000", "CORBADO_SESSION_COOKIE_DOMAIN": "example.com"},
        subdomain_matching=True,
    )
    alice = signed_in(app, "alice")
    answers = [alice.get("/ops/", base_url=url).status_code for url in ("https://admin.example.com:8000", SHOP)]
    assert answers == [200, 404]


def test_outside_a_request_a_link_is_to_the_server_name(shared: Flask) -> None:
    with shared.app_context():
        assert url_for("corbado_session.devices") == "http://example.com:8000/session/devices"


def test_on_a_host_of_another_domain_they_are_not_served(shared: Flask) -> None:
    with pytest.warns(UserWarning, match="doesn't match configured server name"):
        answer = shared.test_client().get("/session", base_url="https://evil.example")
    assert answer.status_code == 404


# ---- host matching


@pytest.fixture
def hosts(sqlite_url: str) -> Flask:
    return make(sqlite_url, config={}, host_matching=True, static_host="static.example.com")


def test_the_routes_were_on_no_host_at_all(hosts: Flask) -> None:
    alice = signed_in(hosts, "alice", base_url=SHOP)
    assert alice.get("/me", base_url=SHOP).text == "alice"
    assert alice.get("/session", base_url=SHOP).get_json()["user_id"] == "alice"
    assert alice.get("/session", base_url=APEX).status_code == 401
    assert alice.get("/ops/users", base_url=SHOP).status_code == 200
    style = alice.get("/links", base_url=SHOP).get_json()["style"]
    assert style == "/session/static/corbado-session.css"
    assert is_served(alice, style, SHOP)
    assert alice.post("/session/logout", base_url=SHOP).status_code == 204


def test_outside_a_request_a_link_can_be_built_there_too(hosts: Flask) -> None:
    hosts.config["SERVER_NAME"] = "shop.example.com"
    with hosts.app_context():
        assert url_for("corbado_session.devices") == "http://shop.example.com/session/devices"


# ---- next


def follow(client: FlaskClient, next_: str, base_url: str = SHOP) -> str:
    return client.get("/next", query_string={"next": next_}, base_url=base_url).text


def test_next_as_a_url_of_this_very_origin_was_refused(subtests: pytest.Subtests, sqlite_url: str) -> None:
    client = make(sqlite_url, config={}).test_client()
    rows = [
        ("https://shop.example.com:8000/cart?a=b#c", "/cart?a=b#c"),
        ("http://shop.example.com:8000/cart", "/cart"),  # a proxy may have ended TLS
        ("HTTPS://Shop.Example.com:8000/Cart", "/Cart"),
        ("https://shop.example.com:8000", "/default"),
        ("https://shop.example.com:8000//evil.example", "/default"),
        ("https://shop.example.com:8000/\\evil.example", "/default"),
        ("https://shop.example.com:8000\\@evil.example/", "/default"),
        ("https://shop.example.com:8000@evil.example/", "/default"),
        ("https://evil.example@shop.example.com:8000/", "/default"),
        ("https://shop.example.com:8001/", "/default"),
        ("https://shop.example.com/", "/default"),
        ("https://shop.example.com.evil.example:8000/", "/default"),
        ("https://example.com:8000/", "/default"),
        ("ftp://shop.example.com:8000/", "/default"),
        ("https:shop.example.com:8000/", "/default"),
        ("https://shop.example.com:8000/a\nb", "/default"),
        ("https://[::1", "/default"),
        ("https://shop.example.com:x/", "/default"),
    ]
    for value, kept in rows:
        with subtests.test(value=value):
            assert follow(client, value) == kept


def test_next_to_another_host_of_the_cookies_domain(subtests: pytest.Subtests, shared: Flask) -> None:
    client = shared.test_client()
    rows = [
        ("https://auth.example.com:8000/a?b", True),
        ("https://example.com:8000/", True),
        ("https://a.b.example.com:8000/", True),
        ("https://auth.example.com/", False),  # another port may be anybody's
        ("http://auth.example.com:8000/", False),
        ("https://example.com.evil.example:8000/", False),
        ("https://evilexample.com:8000/", False),
        ("https://auth.example.com:8000@evil.example/", False),
        ("https://auth.example.com:8000//evil.example", False),
        ("//auth.example.com:8000/", False),
        ("https://auth.example.com:99999999/", False),
    ]
    for value, kept in rows:
        with subtests.test(value=value):
            assert follow(client, value) == (value if kept else "/default")


def test_a_sign_in_page_on_another_subdomain_leads_back_to_this_one(sqlite_url: str) -> None:
    """It got a path, which is of its own host there."""
    config: dict[str, Any] = {
        "SERVER_NAME": "example.com:8000",
        "CORBADO_SESSION_COOKIE_DOMAIN": "example.com",
        "CORBADO_SESSION_LOGIN_VIEW": "sign_in",
        "auth": True,
    }
    app = make(sqlite_url, config=config, subdomain_matching=True)
    client = app.test_client()
    there = client.get("/me?a=b", base_url=SHOP, headers=PAGE).location
    assert unquote(there) == "https://auth.example.com:8000/sign-in?next=https://shop.example.com:8000/me?a=b"
    assert (
        follow(client, "https://shop.example.com:8000/me?a=b", "https://auth.example.com:8000")
        == "https://shop.example.com:8000/me?a=b"
    )


def test_where_the_hosts_share_no_cookies_the_way_back_is_left_out(sqlite_url: str) -> None:
    config = {"SERVER_NAME": "example.com:8000", "CORBADO_SESSION_LOGIN_VIEW": "sign_in", "auth": True}
    app = make(sqlite_url, config=config, subdomain_matching=True)
    answer = app.test_client().get("/me", base_url=SHOP, headers=PAGE)
    assert answer.location == "https://auth.example.com:8000/sign-in"


# ---- under a prefix, behind a proxy


def test_mounted_under_a_prefix_every_way_leads_back_there(sqlite_url: str) -> None:
    app = make(sqlite_url, config={"CORBADO_SESSION_LOGIN_VIEW": "sign_in"})
    mounted = DispatcherMiddleware(Flask("outer").wsgi_app, {"/shop": app.wsgi_app})
    client = Client(mounted, use_cookies=False)
    assert unquote(client.get("/shop/me?a=b", headers=PAGE).location) == "/shop/sign-in?next=/shop/me?a=b"
    assert client.get("/shop/next?next=http://localhost/shop/me").text == "/shop/me"
    assert client.get("/shop/links").get_json()["style"] == "/shop/session/static/corbado-session.css"
    alice = signed_in(app, "alice")
    jar = "; ".join(f"{name}={cookie.value}" for name in JAR if (cookie := alice.get_cookie(name)))
    page = client.get("/shop/session/devices", headers={**PAGE, "Cookie": jar}).text
    assert 'href="/shop/session/static/corbado-session.css"' in page
    assert 'action="/shop/session/' in page
    out = client.post("/shop/session/logout", headers={**PAGE, "Cookie": jar, "Origin": "http://localhost"})
    assert out.location == "/shop/"


def test_under_an_application_root_a_signed_in_client_works(sqlite_url: str) -> None:
    app = make(sqlite_url, config={"APPLICATION_ROOT": "/shop", "SERVER_NAME": "example.com"})
    alice = signed_in(app, "alice")
    assert alice.get("/me").text == "alice"
    assert alice.get("/links").get_json()["logout"] == "/shop/session/logout"
    assert alice.post("/session/logout", headers=PAGE).location == "/shop/"


JAR = ("__Host-cbo_short_session", "__Host-cbo_long_session", "__Host-cbo_device")


@pytest.mark.parametrize("around", [True, False])
def test_behind_a_proxy_the_origin_prefix_and_host_are_those_it_tells_of(sqlite_url: str, around: bool) -> None:
    """ProxyFix may wrap the app before ``init_app`` does, or after."""
    app = Flask(__name__)
    app.config.from_mapping(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=sqlite_url)
    app.config["CORBADO_SESSION_LOGIN_VIEW"] = "sign_in"
    sessions = CorbadoSession(SQLAlchemy(app))
    if around:
        sessions.init_app(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    if not around:
        sessions.init_app(app)
    app.add_url_rule("/me", "me", login_required(lambda: "me"))
    app.add_url_rule("/sign-in", "sign_in", lambda: "sign in")
    app.add_url_rule("/next", "next", lambda: sessions.next_url("/default"))
    forwarded = {
        "X-Forwarded-Host": "app.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/shop"
    }  # fmt: skip
    client = app.test_client()
    assert client.get("/me", headers={**PAGE, **forwarded}).location == "/shop/sign-in?next=/shop/me"
    for value, kept in (("https://app.example.com/a", "/a"), ("https://localhost/a", "/default")):
        assert client.get("/next", query_string={"next": value}, headers=forwarded).text == kept
