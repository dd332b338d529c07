"""What a view says: who may come in, who has just signed in, who signs out."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Blueprint, Response, redirect, request
from flask.views import MethodView, View

from flask_corbado_session import current_session, current_user, login_required, login_user, logout_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import rows_of
from tests.support.site import Site, cookie_of

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}


# ---- the forms of login_required


@login_required
def bare() -> str:
    """The view's own words."""
    return str(current_session.user_id)


@login_required()
def called() -> str:
    return str(current_session.user_id)


@login_required(recheck=True)
def rechecked() -> str:
    return str(current_session.user_id)


@login_required
async def coroutine() -> str:
    return str(current_session.user_id)


@login_required(recheck=True)
async def rechecked_coroutine() -> str:
    return str(current_session.user_id)


class Page(View):
    decorators: ClassVar[list[Callable[..., Any]]] = [login_required]

    def dispatch_request(self) -> str:
        return str(current_session.user_id)


class Api(MethodView):
    @login_required
    def get(self) -> str:
        return str(current_session.user_id)

    @login_required(recheck=True)
    async def post(self) -> str:
        return str(current_session.user_id)


VIEWS = {
    "bare": bare,
    "called": called,
    "recheck": rechecked,
    "async": coroutine,
    "async recheck": rechecked_coroutine,
    "class": Page.as_view("class"),
    "method view": Api.as_view("method view"),
    "lambda": login_required(lambda: str(current_session.user_id)),
    "twice": login_required(login_required(bare)),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_protected_view_runs_for_a_signed_in_user_alone(site: Site, kind: str) -> None:
    site.app.add_url_rule("/view", "view", VIEWS[kind], methods=["GET"])
    assert site.signed_in().get("/view").text == "alice"
    answer = site.nobody().get("/view")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")


def test_each_method_of_a_class_is_protected_for_itself(site: Site) -> None:
    site.app.add_url_rule("/view", view_func=Api.as_view("view"))
    assert site.signed_in().post("/view").text == "alice"
    assert site.nobody().post("/view").status_code == 401


def test_a_protected_view_keeps_its_name_and_its_arguments(site: Site) -> None:
    @login_required
    def article(number: int, *, suffix: str = "") -> str:
        return f"{number}{suffix}"

    site.app.add_url_rule("/article/<int:number>", view_func=article, defaults={"suffix": "!"})
    assert (bare.__name__, bare.__doc__) == ("bare", "The view's own words.")
    assert site.signed_in().get("/article/5").text == "5!"


def test_a_whole_blueprint_is_protected_at_once(site: Site) -> None:
    blueprint = Blueprint("members", __name__)
    blueprint.before_request(login_required(lambda: None))
    blueprint.add_url_rule("/members", view_func=lambda: str(current_session.user_id))
    site.app.register_blueprint(blueprint)
    assert site.signed_in().get("/members").text == "alice"
    assert site.nobody().get("/members").status_code == 401
    assert site.nobody().get("/public").status_code == 200


def test_it_never_loads_the_user(site: Site) -> None:
    client = site.signed_in()
    site.sessions.user_loader(lambda user_id: pytest.fail("the user was loaded"))
    assert client.get("/protected").status_code == 200


# ---- what nobody is answered


def test_a_person_is_sent_to_sign_in_and_a_script_is_told(subtests: pytest.Subtests, sqlite_url: str) -> None:
    rows: list[tuple[Any, int]] = [
        (PAGE, 303),
        (NAVIGATE, 303),
        ({**NAVIGATE, "Accept": "application/json"}, 303),
        ({"Accept": "text/html;q=0"} | {"Sec-Fetch-Mode": "navigate"}, 303),
        (SCRIPT, 401),
        ({"Sec-Fetch-Mode": "same-origin", **PAGE}, 401),
        ({"Sec-Fetch-Mode": "no-cors", **PAGE}, 401),
        ({"Accept": "application/json"}, 401),
        ({"Accept": "*/*"}, 401),
        ({}, 401),
        ({"X-Requested-With": "XMLHttpRequest", "Accept": "*/*"}, 401),
    ]
    for headers, status in rows:
        with subtests.test(headers=headers, status=status):
            site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
            answer = site.nobody().get("/protected?a=b", headers=headers)
            assert answer.status_code == status
            if status == 303:
                assert answer.headers["Location"] == "/sign-in?next=%2Fprotected%3Fa%3Db"
            else:
                assert answer.mimetype == "application/problem+json"
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="session"'
                assert set(answer.get_json()) == {"type", "title", "status", "code", "detail"}


def test_without_a_login_view_a_person_gets_a_page(site: Site) -> None:
    answer = site.nobody().get("/protected", headers=PAGE)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "You are not signed in" in answer.text


def test_the_login_view_may_be_an_endpoint(sqlite_url: str) -> None:
    site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="auth.sign_in")
    blueprint = Blueprint("auth", __name__, url_prefix="/auth")
    blueprint.add_url_rule("/in", "sign_in", lambda: "the form")
    site.app.register_blueprint(blueprint)
    answer = site.nobody().get("/protected", headers=PAGE)
    assert answer.headers["Location"] == "/auth/in?next=/protected"
    assert site.nobody().get(answer.headers["Location"]).text == "the form"


@pytest.mark.parametrize("view", ["/sign-in", "/sign-in?lang=de"])
@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {}), ("POST", {}), ("POST", {"Referer": "http://localhost/form"})]
)
def test_the_login_view_may_be_a_path_with_a_query_of_its_own(
    sqlite_url: str, view: str, method: str, headers: dict[str, str]
) -> None:
    site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW=view)
    answer = site.nobody().open("/protected", method=method, headers={**PAGE, **headers})
    location = urlsplit(answer.headers["Location"])
    asked = {"next": ["/protected"] if method == "GET" else ["/form"]} if method == "GET" or headers else {}
    assert location.path == "/sign-in"
    assert parse_qs(location.query) == asked | ({"lang": ["de"]} if "?" in view else {})
    assert not answer.headers["Location"].endswith("?")


def test_the_way_back_is_the_path_that_was_asked_for(subtests: pytest.Subtests, sqlite_url: str) -> None:
    rows: list[tuple[str, str]] = [
        ("/protected", "/protected"),
        ("/protected?a=b&c=d", "/protected?a=b&c=d"),
        ("/protected?next=//evil.example", "/protected?next=//evil.example"),
        ("/protected?q=what?", "/protected?q=what?"),
        ("/file/a%20b", "/file/a%20b"),
        ("/file/a%3Fb", "/file/a%3Fb"),
        ("/file/a%23b?c=d%20e", "/file/a%23b?c=d%20e"),
        ("/file/%C3%BC", "/file/%C3%BC"),
        ("/file/%5Cevil.example", "/file/%5Cevil.example"),
    ]
    for path, way_back in rows:
        with subtests.test(path=path, way_back=way_back):
            site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
            site.app.add_url_rule("/file/<path:name>", view_func=login_required(lambda name: name))
            answer = site.nobody().get(path, headers=PAGE)
            assert parse_qs(urlsplit(answer.headers["Location"]).query) == {"next": [way_back]}
            client = site.nobody()
            signed = client.post("/sign-in", data={"user": "alice", "next": way_back})
            assert signed.get_json() == {"next": way_back}


def test_a_form_is_sent_back_to_the_page_it_was_on(subtests: pytest.Subtests, sqlite_url: str) -> None:
    rows: list[tuple[str | None, list[str]]] = [
        ("http://localhost/form?a=b", ["/form?a=b"]),
        ("http://localhost:80/form", ["/form"]),
        ("https://localhost/form", ["/form"]),
        ("http://localhost", ["/"]),
        ("http://localhost//evil.example", []),
        ("http://localhost/\\evil.example", []),
        ("http://evil.example/form", []),
        ("http://localhost.evil.example/form", []),
        ("http://localhost@evil.example/form", []),
        ("http://localhost:8000/form", []),
        ("javascript:alert(1)", []),
        ("about:client", []),
        ("//localhost/form", []),
        ("http://[::1", []),
        ("", []),
        (None, []),
    ]
    for referer, way_back in rows:
        with subtests.test(referer=referer, way_back=way_back):
            site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in")
            headers = PAGE if referer is None else {**PAGE, "Referer": referer}
            answer = site.nobody().post("/protected", headers=headers)
            assert parse_qs(urlsplit(answer.headers["Location"]).query).get("next", []) == way_back


def test_a_login_view_knows_where_the_app_is_mounted(sqlite_url: str) -> None:
    site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="public")
    answer = site.nobody().get("/protected", headers=PAGE, base_url="http://localhost/below")
    assert answer.headers["Location"] == "/below/public?next=/below/protected"


# ---- the app's own answer


def test_the_apps_handler_answers_instead(site: Site) -> None:
    @site.sessions.unauthorized_handler
    def handler() -> tuple[str, int]:
        return f"no entry to {request.path}", 418

    for headers in (PAGE, SCRIPT):
        answer = site.nobody().get("/protected", headers=headers)
        assert (answer.status_code, answer.text) == (418, "no entry to /protected")
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_handler_may_be_a_coroutine(site: Site) -> None:
    @site.sessions.unauthorized_handler
    async def handler() -> Response:
        return redirect("/public")  # type: ignore[return-value]

    assert site.nobody().get("/protected").headers["Location"] == "/public"


@pytest.mark.parametrize("view", [bare, coroutine])
def test_a_handler_that_forgot_its_return_lets_nobody_in(site: Site, view: Any) -> None:
    site.sessions.unauthorized_handler(lambda: None)
    site.app.add_url_rule("/view", "view", view)
    assert site.nobody().get("/view").status_code == 401


def test_a_bearer_is_answered_by_the_rules_of_bearers(site: Site) -> None:
    site.sessions.unauthorized_handler(lambda: "hello")
    answer = site.nobody().get("/protected", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_token")


def test_an_app_may_catch_the_401_like_any_other(site: Site) -> None:
    site.app.register_error_handler(401, lambda error: (f"caught {error.error_code}", 401))
    assert site.nobody().get("/protected").text == "caught unauthenticated"


# ---- who signs in


@dataclass
class WithId:
    id: Any


class WithGetId:
    id = "not this one"

    def get_id(self) -> str:
        return "alice"


UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


USERS: list[tuple[Any, str]] = [
    ("alice", "alice"),
    (42, "42"),
    (0, "0"),
    (-1, "-1"),
    (10**30, str(10**30)),
    (UUID, str(UUID)),
    (WithId("alice"), "alice"),
    (WithId(42), "42"),
    (WithId(UUID), str(UUID)),
    (WithGetId(), "alice"),
    ("ü" * 255, "ü" * 255),
    ("' OR 1=1 --", "' OR 1=1 --"),
    (" alice ", " alice "),
    ("Alice", "Alice"),
    ("🦊\n\t", "🦊\n\t"),
    ("a/b?c#d;e,f", "a/b?c#d;e,f"),
    ("null", "null"),
]


def test_a_user_id_is_always_a_text(database_url: str) -> None:
    site = Site(database_url)
    for user, user_id in USERS:
        answer = signed_in(site.app, user).get("/who").get_json()
        assert answer == {"user_id": user_id, "id": user_id}
        assert rows_of(site.app).revocation.devices(user_id, None)[0].user_id == user_id


def test_what_has_no_id_cannot_sign_in(subtests: pytest.Subtests, site: Site) -> None:
    rows: list[Any] = [None, True, False, b"alice", 1.5, object(), [], {}, WithId(None), WithId(True)]
    for user in rows:
        with subtests.test(user=user), pytest.raises(TypeError, match="has no user id: give it an `id`"):
            signed_in(site.app, user)


def test_what_fits_no_column_cannot_sign_in(subtests: pytest.Subtests, site: Site) -> None:
    rows: list[Any] = ["", "x" * 256, "a\0b", WithId(""), WithId("x" * 256), "\ud800"]
    for user in rows:
        error = pytest.raises(ValueError, match="a user id must be 1 to 255 characters long")
        with subtests.test(user=user), error:
            signed_in(site.app, user)


def test_claims_that_cannot_be_signed_start_nothing(subtests: pytest.Subtests, site: Site) -> None:
    rows: list[Any] = [{"sub": "bob"}, {"sid": "x"}, {"a": "x" * 4000}, {"a": object()}, {"a": float("nan")}]
    for claims in rows:
        with subtests.test(claims=claims):
            with pytest.raises((ValueError, TypeError)):
                signed_in(site.app, "alice", claims=claims)
            assert rows_of(site.app).revocation.devices("alice", None) == []


@pytest.mark.parametrize("act", [lambda: login_user("alice"), logout_user])
def test_a_cookie_needs_a_request(site: Site, act: Any) -> None:
    with site.app.app_context(), pytest.raises(RuntimeError, match="call it in a view"):
        act()


def test_a_sign_in_is_seen_in_the_same_request(site: Site) -> None:
    @site.app.post("/in")
    def view() -> str:
        assert not current_session
        assert login_user("alice", claims={"plan": "pro"}, amr=["pwd"]) is True
        return f"{current_user.id} {current_session.claims} {current_session.amr}"

    assert site.nobody().post("/in").text == "alice {'plan': 'pro'} ('pwd',)"


def test_a_sign_out_is_seen_in_the_same_request(site: Site) -> None:
    @site.app.post("/out")
    def view() -> str:
        before = str(current_user.id)
        assert logout_user() is True
        return f"{before} {current_user.id} {bool(current_session)}"

    assert site.signed_in().post("/out").text == "alice None False"


def test_no_session_a_browser_brings_along_is_adopted(site: Site) -> None:
    """Session fixation: what somebody planted before the sign-in is worth nothing after it."""
    mallory = signed_in(site.app, "mallory")
    planted = cookie_of(mallory, "__Host-cbo_long_session")
    victim = site.nobody()
    victim.set_cookie("__Host-cbo_long_session", planted)
    victim.post("/sign-in", data={"user": "alice"})
    assert mallory.get("/protected").status_code == 401
    assert victim.get("/protected").get_json()["user_id"] == "alice"
