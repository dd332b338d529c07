"""What the extension hands out and keeps: forms, ended sessions, errors in scripts, sign-out by bearer, streams."""

from __future__ import annotations

import contextlib
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from flask import Response, stream_with_context
from flask.testing import FlaskClient
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from flask_corbado_session import (
    ANY_USER,
    CorbadoSessionError,
    SessionNotFound,
    StoreUnavailable,
    confirm_login,
    current_session,
    fresh_login_required,
    login_required,
    login_user,
)
from flask_corbado_session.testing import copy_jar, expire_short, signed_in
from flask_corbado_session.tokens.long import LongToken, LongTokenSigner
from flask_corbado_session.web.resume import COOKIE, MARK
from tests.support.apps import SECRET_KEY, rows_of
from tests.support.jars import LONG, SHORT, SessionRows
from tests.support.rules import database_down
from tests.support.site import Site, look_up_ended

PAGE = {"Accept": "text/html"}
RESUME = "/session/resume"


# ---- a form that waits for a step-up


class FormSite(Site):
    """Alice has sent a form six minutes after she signed in, and was asked to confirm."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, CORBADO_SESSION_REAUTH_VIEW="/confirm", **config)
        self.sent: list[str] = []

        @self.app.route("/pay", methods=["GET", "POST"])
        @fresh_login_required
        def pay() -> str:
            self.sent.append("pay")
            return "paid"

        @self.app.route("/other", methods=["GET", "POST"])
        @fresh_login_required
        def other() -> str:
            return "other"

        @self.app.post("/confirm")
        def confirm() -> str:
            confirm_login(amr=["pwd"])
            return "confirmed"

        self.alice = self.signed_in("alice")
        self.clock.move(minutes=6)
        answer = self.alice.post("/pay?to=bob", data={"amount": "12"}, headers=PAGE)
        assert (answer.status_code, self.waiting(self.alice)) == (303, [COOKIE, MARK])

    def waiting(self, client: FlaskClient) -> list[str]:
        """Which cookies of a form are in this browser."""
        places = ((COOKIE, RESUME), (MARK, "/"))
        return [name for name, path in places if client.get_cookie(name, path=path) is not None]

    def offered(self, client: FlaskClient) -> bool:
        """Whether the page shows the form."""
        return client.get(RESUME, headers=PAGE).status_code == 200


@pytest.fixture
def forms(sqlite_url: str) -> FormSite:
    return FormSite(sqlite_url)


def test_a_form_is_offered_until_it_was_sent_and_not_again(forms: FormSite) -> None:
    forms.alice.post("/confirm")
    assert [forms.offered(forms.alice) for _ in range(2)] == [True, True]
    answer = forms.alice.post("/pay?to=bob", data={"amount": "12"})
    assert (answer.text, forms.waiting(forms.alice)) == ("paid", [])
    assert forms.alice.get(RESUME).get_json()["code"] == "nothing_to_resume"
    assert forms.alice.post("/pay?to=bob").headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize(
    ("path", "method"), [("/other", "POST"), ("/pay?to=carol", "POST"), ("/pay?to=bob", "GET"), ("/protected", "POST")]
)
def test_a_form_goes_on_waiting_while_something_else_is_sent(forms: FormSite, path: str, method: str) -> None:
    forms.alice.post("/confirm")
    assert forms.alice.open(path, method=method).status_code == 200
    assert forms.offered(forms.alice)


def test_a_form_that_has_to_be_confirmed_again_goes_on_waiting(forms: FormSite) -> None:
    forms.clock.move(minutes=1)
    assert forms.alice.post("/pay?to=bob", data={"amount": "13"}, headers=PAGE).status_code == 303
    forms.alice.post("/confirm")
    assert 'value="13"' in forms.alice.get(RESUME, headers=PAGE).text


@pytest.mark.parametrize("path", ["/session/logout", "/sign-out"])
def test_a_form_is_gone_after_a_sign_out(forms: FormSite, path: str) -> None:
    kept = forms.alice.get_cookie(COOKIE, path=RESUME)
    forms.alice.post(path)
    assert forms.waiting(forms.alice) == []
    client = signed_in(forms.app, "alice", client=forms.alice)
    assert not forms.offered(client)
    assert kept is not None
    client.set_cookie(COOKIE, kept.value, path=RESUME)
    assert not forms.offered(client)


def test_a_form_is_gone_after_another_persons_sign_in(forms: FormSite) -> None:
    forms.alice.post("/sign-in", json={"user": "bob"})
    assert forms.waiting(forms.alice) == []
    forms.alice.post("/sign-in", json={"user": "alice"})
    assert not forms.offered(forms.alice)


def test_a_form_is_gone_where_somebody_else_signs_in_after_the_cookies_were_lost(forms: FormSite) -> None:
    for name in (SHORT, LONG):
        forms.alice.delete_cookie(name)
    forms.alice.post("/sign-in", json={"user": "bob"})
    assert forms.waiting(forms.alice) == []


def test_a_form_stays_where_its_own_user_signs_in_again(forms: FormSite) -> None:
    forms.alice.post("/sign-in", json={"user": "alice"})
    assert forms.offered(forms.alice)


def test_a_sign_out_where_no_form_waits_clears_two_cookies_alone(forms: FormSite) -> None:
    answer = forms.ask(forms.signed_in("bob"), "/sign-out", "POST")
    assert list(answer.cookies) == [SHORT, LONG]


def test_the_forms_key_is_derived_from_the_secret_key_for_this_use_alone(forms: FormSite) -> None:
    cookie = forms.alice.get_cookie(COOKIE, path=RESUME)
    assert cookie is not None
    for material in (sha256(SECRET_KEY.encode()).digest(), SECRET_KEY.encode()):
        with pytest.raises(InvalidToken):
            Fernet(urlsafe_b64encode(material)).decrypt(cookie.value.encode())


# ---- ended sessions that are remembered


def test_a_wrong_secret_makes_nobody_missing(site: Site) -> None:
    """Whoever has SECRET_KEY and an id had its owner answered as ``missing`` for a minute."""
    client = site.signed_in()
    cookie, signer = client.get_cookie(LONG), LongTokenSigner([SECRET_KEY])
    assert cookie is not None
    token = signer.load(cookie.value)
    assert token is not None
    wrong = signer.dump(LongToken(token.session_id, b"x" * 16, token.generation, token.nonce, token.parent_hash))
    forged = site.nobody()
    forged.set_cookie(LONG, wrong)
    site.clock.move(minutes=16)
    assert [site.ask(forged).json["reason"] for _ in range(2)] == ["missing", "missing"]
    assert site.ask(forged).statements == []
    assert client.get("/protected").status_code == 200


def test_a_session_that_ended_here_costs_no_statement_whatever_the_secret(site: Site) -> None:
    client = site.signed_in()
    copy = copy_jar(client)
    client.post("/sign-out")
    expire_short(copy)
    answer = site.ask(copy)
    assert (answer.json["reason"], answer.statements) == ("signed_out", [])


# ---- outside a request, and nobody signed in


ASKING: dict[str, Callable[[Site], Any]] = {
    "devices": lambda site: site.sessions.devices(),
    "history": lambda site: site.sessions.history(),
    "rename": lambda site: site.sessions.rename_device("x" * 30, "name"),
    "revoke": lambda site: site.sessions.revoke("x" * 30),
    "revoke_device": lambda site: site.sessions.revoke_device("x" * 30),
    "revoke_others": lambda site: site.sessions.revoke_others(),
}
"""What needs a user, and is given none."""


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_where_nobody_is_signed_in_it_is_a_401_and_no_404(site: Site, ask: Callable[[Site], Any]) -> None:
    site.app.add_url_rule("/view", "view", lambda: str(ask(site)), methods=["POST"])
    answer = site.nobody().post("/view")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
    assert "WWW-Authenticate" in answer.headers
    client = site.signed_in()
    copy_jar(client).post("/sign-out")
    assert client.post("/view").status_code == 401


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_a_script_that_names_no_user_gets_a_plain_exception(site: Site, ask: Callable[[Site], Any]) -> None:
    with site.app.app_context(), pytest.raises(SessionNotFound, match="name the user with user_id") as caught:
        ask(site)
    assert not isinstance(caught.value, HTTPException)


SCRIPTS: dict[str, Callable[[Site], Any]] = {
    "revoke": lambda site: site.sessions.revoke("A" * 30, user_id=ANY_USER),
    "revoke_device": lambda site: site.sessions.revoke_device("A" * 30, user_id="alice"),
    "rename": lambda site: site.sessions.rename_device("A" * 30, "name", user_id=ANY_USER),
    "no id": lambda site: site.sessions.revoke("?", user_id="alice"),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_gets_a_plain_exception_for_what_is_not_there(site: Site, script: Callable[[Site], Any]) -> None:
    with site.app.app_context(), pytest.raises(SessionNotFound) as caught:
        script(site)
    assert not isinstance(caught.value, HTTPException)


DOWN: dict[str, Callable[[Site], Any]] = {
    "devices": lambda site: site.sessions.devices("alice"),
    "revoke": lambda site: site.sessions.revoke("A" * 30, user_id=ANY_USER),
    "revoke_user": lambda site: site.sessions.revoke_user("alice"),
    "expire_short": lambda site: site.sessions.expire_short("alice"),
}


@pytest.mark.parametrize("script", DOWN.values(), ids=DOWN)
def test_a_script_gets_a_plain_exception_while_the_database_is_down(site: Site, script: Callable[[Site], Any]) -> None:
    with database_down(rows_of(site.app).database, site.url), site.app.app_context():
        with pytest.raises(StoreUnavailable) as caught:
            script(site)
        assert not isinstance(caught.value, HTTPException)
        assert isinstance(caught.value, CorbadoSessionError)


def test_whose_sessions_they_are_is_a_user_id_and_nothing_else(subtests: pytest.Subtests, site: Site) -> None:
    """``revoke_user(user)`` ended those of the user "<User 1>", which is nobody, and said nothing."""
    number, uid = 42, uuid.UUID(int=7)
    for user in (number, uid, "alice"):
        site.signed_in(user)
        with site.app.app_context():
            assert len(site.sessions.devices(user)) == 1
            site.sessions.revoke_user(user)
            assert (site.sessions.devices(user), len(site.sessions.history(user))) == ([], 1)
    asks: list[Callable[[Any], Any]] = [site.sessions.devices, site.sessions.revoke_user, site.sessions.expire_short]
    for wrong in (b"alice", ["alice"], object(), True, "None"):
        for ask in asks:
            with subtests.test(wrong=wrong, ask=ask), site.app.app_context(), pytest.raises(TypeError):
                ask(wrong)


# ---- signing out by bearer


def bearer(client: FlaskClient) -> dict[str, str]:
    cookie = client.get_cookie(SHORT)
    assert cookie is not None
    return {"Authorization": f"Bearer {cookie.value}"}


@pytest.mark.parametrize("path", ["/session/logout", "/sign-out", "/leave"])
def test_a_bearer_signs_out_its_own_session_alone_and_touches_no_cookie(site: Site, path: str) -> None:
    """A page that signed out with a token of bob's in alice's browser signed alice out too."""

    @site.app.post("/leave")
    def leave() -> str:
        site.sessions.revoke(current_session.session_id or "")
        return "left"

    alice, bob = site.signed_in("alice"), site.signed_in("bob")
    answer = alice.post(path, headers=bearer(bob))
    assert answer.status_code in (200, 204)
    assert (answer.headers.getlist("Set-Cookie"), answer.headers.get("Clear-Site-Data")) == ([], None)
    assert answer.headers["Cache-Control"] == "no-store"
    assert alice.get("/protected").get_json()["user_id"] == "alice"
    assert bob.get("/protected").status_code == 401
    assert len(site.end_reasons("bob")) == 1


def test_a_bearer_that_ends_its_user_touches_no_cookie_either(site: Site) -> None:
    @site.app.post("/all")
    def end_all() -> str:
        site.sessions.revoke_user("bob")
        return "ended"

    alice, bob = site.signed_in("alice"), site.signed_in("bob")
    assert alice.post("/all", headers=bearer(bob)).headers.getlist("Set-Cookie") == []
    assert alice.get("/protected").status_code == 200


def test_ending_all_of_ones_own_sessions_is_signing_out_though_nothing_was_asked_before(site: Site) -> None:
    @site.app.post("/all")
    def end_all() -> str:
        site.sessions.revoke_user("alice")
        return str(bool(current_session))

    answer = site.ask(site.signed_in(), "/all", "POST")
    assert (answer.response.text, list(answer.cookies)) == ("False", [SHORT, LONG])


def test_a_bearer_that_cannot_be_signed_out_is_told_to_try_again(site: Site) -> None:
    alice, bob = site.signed_in("alice"), site.signed_in("bob")
    look_up_ended(site.app)
    with database_down(rows_of(site.app).database, site.url):
        answer = alice.post("/session/logout", headers=bearer(bob))
    assert (answer.status_code, answer.get_json()["code"]) == (503, "session_store_unavailable")
    assert answer.headers.getlist("Set-Cookie") == []


# ---- sign-out and the browser's cache


@pytest.mark.parametrize(("settings", "header"), [({}, '"cache"'), ({"CORBADO_SESSION_CLEAR_CACHE": False}, None)])
def test_clearing_the_cache_at_sign_out_can_be_switched_off(
    sqlite_url: str, settings: dict[str, Any], header: str | None
) -> None:
    """It takes seconds in a browser that has kept ten thousand files."""
    site = Site(sqlite_url, **settings)
    answer = site.signed_in().post("/session/logout")
    assert answer.headers.get("Clear-Site-Data") == header
    assert len(answer.headers.getlist("Set-Cookie")) == 2


# ---- once the answer has begun to leave


def test_signing_in_once_the_answer_has_begun_is_an_error_and_writes_no_row(site: Site) -> None:
    errors: list[str] = []

    @site.app.post("/stream")
    def stream() -> Response:
        def body() -> Iterator[str]:
            acts: list[Callable[[], Any]] = [lambda: login_user("alice"), confirm_login, site.sessions.refresh_claims]
            for act in acts:
                try:
                    act()
                except RuntimeError as error:
                    errors.append(str(error))
            yield "done"

        return Response(stream_with_context(body()))

    answer = site.nobody().post("/stream")
    assert (answer.text, answer.headers.getlist("Set-Cookie")) == ("done", [])
    assert len(errors) == 3
    with SessionRows(site.url) as rows:
        assert rows.all() == {}


def test_confirming_once_the_answer_has_begun_is_an_error_and_ends_nothing(site: Site) -> None:
    @site.app.post("/stream")
    def stream() -> Response:
        assert current_session
        return Response(stream_with_context(str(confirm_login(amr=["pwd"])) for _ in range(1)))

    client = site.signed_in()
    with pytest.raises(RuntimeError, match="the response has begun to leave"):
        client.post("/stream")
    assert (site.end_reasons(), client.get("/protected").status_code) == ([], 200)


def test_asking_too_late_is_told_each_time(site: Site) -> None:
    told = []

    @site.app.get("/stream")
    def stream() -> Response:
        def body() -> Iterator[str]:
            for _ in range(3):
                try:
                    told.append(current_session.user_id)
                except RuntimeError as error:
                    told.append(str(error))
            yield "done"

        return Response(stream_with_context(body()))

    site.signed_in().get("/stream")
    assert len(told) == 3
    assert all("before you return the response" in str(text) for text in told)


# ---- the decorators


class Preflighted(MethodView):
    decorators = [login_required]  # noqa: RUF012 - as Flask's documentation writes it

    def get(self) -> str:
        return str(current_session.user_id)

    def options(self) -> tuple[str, int, dict[str, str]]:
        return "", 204, {"Allow": "GET, OPTIONS", "Access-Control-Allow-Origin": "https://spa.example.com"}


def test_options_pass_a_method_view_that_asks_for_a_login(site: Site) -> None:
    """A preflight brings no cookies, so that it was a 401 for everyone."""
    view = Preflighted.as_view("view")
    site.app.add_url_rule("/view", view_func=view, methods=["GET", "OPTIONS"], provide_automatic_options=False)
    answer = site.nobody().options("/view")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, OPTIONS")
    assert "Vary" not in answer.headers
    assert site.nobody().get("/view").status_code == 401
    assert site.signed_in().get("/view").text == "alice"


@pytest.mark.parametrize("guard", [login_required, login_required(recheck=True), fresh_login_required(max_age=1)])
def test_options_pass_every_guard(site: Site, guard: Any) -> None:
    site.app.add_url_rule("/view", "view", guard(lambda: "free"), methods=["GET", "OPTIONS"])
    assert site.nobody().options("/view").text == "free"
    assert site.nobody().get("/view").status_code == 401


@pytest.mark.parametrize("answer", ["", {}, [], (), 0, False], ids=repr)
def test_a_handler_that_answers_an_empty_text_or_object_lets_nobody_in(site: Site, answer: Any) -> None:
    ran: list[bool] = []
    site.sessions.unauthorized_handler(lambda: answer)

    @site.app.get("/view")
    @login_required
    def view() -> str:
        ran.append(True)
        return "in"

    with contextlib.suppress(TypeError):  # what Flask says to an answer that is none
        assert "in" not in site.nobody().get("/view").text
    assert ran == []


def test_the_page_of_the_link_is_kept_by_no_cache(site: Site) -> None:
    notices: list[Any] = []
    site.sessions.notifier(notices.append)
    site.nobody().post("/sign-in", json={"user": "alice"})
    path = notices[0].report_path
    for answer in (site.nobody().get(path), site.nobody().post(path)):
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert site.nobody().post(path).status_code == 410
