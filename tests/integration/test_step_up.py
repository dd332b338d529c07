"""Step-up: who proved lately who they are, what anyone else is answered, and that no form is lost over it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask, Response, jsonify, redirect, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_corbado_session import CorbadoSession, confirm_login, current_session, fresh_login_required, session_started
from flask_corbado_session.testing import copy_jar, expire_short, signed_in
from flask_corbado_session.web.resume import COOKIE
from tests.support.apps import rows_of, state_of, statements
from tests.support.jars import LONG, SHORT
from tests.support.site import Site, cookie_of

PAGE = {"Accept": "text/html"}
RESUME = "/session/resume"


class StepUpSite(Site):
    """The tests' app with step-up views, and alice signed in by password."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **{"CORBADO_SESSION_REAUTH_VIEW": "/confirm", **config})
        add_views(self.app, self.sessions)
        self.alice = self.signed_in()

    def signed_in(self, user: Any = "alice", **how: Any) -> FlaskClient:
        """A browser this user signed in with just now, by password."""
        return super().signed_in(user, **{"amr": ["pwd"], **how})

    def confirm(self, client: FlaskClient | None = None, amr: str = "pwd", **query: str) -> TestResponse:
        """Prove it again."""
        return (client or self.alice).post("/confirm", data={"amr": amr}, query_string=query, headers=PAGE)


def add_views(app: Flask, sessions: CorbadoSession) -> None:
    @app.route("/pay", methods=["GET", "POST", "PUT"])
    @fresh_login_required(max_age=300)
    def pay() -> Response:
        return jsonify(form=request.form.to_dict(flat=False), args=request.args.to_dict(), user=current_session.user_id)

    @app.get("/vault")
    @fresh_login_required(max_age=600, amr=["pwd", "otp"])
    def vault() -> str:
        return "open"

    @app.get("/plain")
    @fresh_login_required
    async def plain() -> str:
        return "open"

    @app.post("/confirm")
    def confirm() -> Any:
        confirm_login(amr=request.form["amr"].split())
        return redirect(sessions.next_url(default="/"), 303)


@pytest.fixture
def site(sqlite_url: str) -> StepUpSite:
    return StepUpSite(sqlite_url)


def form_on(page: TestResponse) -> tuple[str, list[tuple[str, str]]]:
    """Where the one form of a page sends, and its fields."""
    (form,) = BeautifulSoup(page.text, "html5lib").select("main form")
    return str(form["action"]), [(str(each["name"]), str(each["value"])) for each in form.select("input")]


# ---- who is fresh


def test_a_recent_sign_in_is_let_in_without_a_statement(site: StepUpSite) -> None:
    site.alice.get("/protected")  # which asks what was ended; the clock stands still
    with statements(site.app) as seen:
        assert site.alice.post("/pay", data={"amount": "12"}).get_json()["form"] == {"amount": ["12"]}
    assert seen == []


@pytest.mark.parametrize(("age", "status"), [(0, 200), (299, 200), (300, 200), (302, 401), (-60, 200)])
def test_max_age_is_kept_to_the_second(site: StepUpSite, age: int, status: int) -> None:
    """``auth_time`` is whole seconds, rounded down: nobody is refused early, and a second late at most."""
    site.clock.move(seconds=age)
    assert site.alice.get("/pay").status_code == status


def test_a_refresh_makes_no_sign_in_younger(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    expire_short(site.alice)
    assert site.alice.get("/protected").status_code == 200
    assert site.alice.get("/pay").status_code == 401


@pytest.mark.parametrize(
    ("amr", "status"), [(["otp", "pwd"], 200), (["pwd", "otp", "mfa"], 200), (["pwd"], 401), (["otp"], 401), ([], 401)]
)
def test_every_wanted_method_must_have_been_used(site: StepUpSite, amr: list[str], status: int) -> None:
    assert site.signed_in("bob", amr=amr).get("/vault").status_code == status


def test_without_parentheses_and_async_it_wants_five_minutes(site: StepUpSite) -> None:
    assert site.alice.get("/plain").text == "open"
    site.clock.move(minutes=6)
    assert site.alice.get("/plain").status_code == 401


# ---- what anyone else is answered


def test_a_script_is_answered_by_rfc_9470(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    answer = site.alice.post("/pay", json={})
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert answer.get_json()["code"] == "insufficient_user_authentication"
    assert (answer.get_json()["max_age"], answer.get_json()["amr"]) == (300, [])
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication", error_description="')
    assert challenge.endswith('max_age="300"')
    assert "Set-Cookie" not in answer.headers


def test_the_answer_names_the_methods_that_are_wanted(site: StepUpSite) -> None:
    answer = site.alice.get("/vault")
    assert answer.get_json()["amr"] == ["otp", "pwd"]
    assert "by otp, pwd" in answer.headers["WWW-Authenticate"]


def test_a_bearer_is_answered_by_rfc_9470_even_where_pages_are_accepted(site: StepUpSite) -> None:
    token = cookie_of(site.alice)
    headers = {"Authorization": f"Bearer {token}", **PAGE}
    bearer = site.app.test_client(use_cookies=False)
    assert bearer.post("/pay", data={"amount": "1"}, headers=headers).status_code == 200
    site.clock.move(minutes=6)
    answer = bearer.post("/pay", data={"amount": "1"}, headers={**headers, "Accept": "application/json"})
    assert answer.get_json()["code"] == "insufficient_user_authentication"
    for_page = bearer.post("/pay", data={"amount": "1"}, headers=headers)
    assert (for_page.status_code, "Location" in for_page.headers) == (401, False)
    assert "Set-Cookie" not in for_page.headers


def test_a_page_leads_to_where_one_confirms_and_back(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    answer = site.alice.get("/pay?to=bob", headers=PAGE)
    assert (answer.status_code, answer.location) == (303, "/confirm?next=%2Fpay%3Fto%3Dbob")
    back = site.confirm(next="/pay?to=bob")
    assert back.location == "/pay?to=bob"
    assert site.alice.get(back.location, headers=PAGE).status_code == 200


def test_without_a_view_of_its_own_the_sign_in_page_asks(sqlite_url: str) -> None:
    site = StepUpSite(sqlite_url, CORBADO_SESSION_REAUTH_VIEW=None, CORBADO_SESSION_LOGIN_VIEW="/enter")
    site.clock.move(minutes=6)
    assert site.alice.get("/pay", headers=PAGE).location == "/enter?next=%2Fpay"


def test_without_any_such_view_a_page_says_what_is_wanted(sqlite_url: str) -> None:
    site = StepUpSite(sqlite_url, CORBADO_SESSION_REAUTH_VIEW=None)
    site.clock.move(minutes=6)
    answer = site.alice.get("/pay", headers=PAGE)
    assert answer.status_code == 401
    assert "Please confirm that it is you" in answer.text


def test_nobody_is_asked_to_sign_in_not_to_confirm(site: StepUpSite) -> None:
    answer = site.app.test_client().post("/pay", data={})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")


def test_a_foreign_page_is_turned_away_before_anything_is_kept(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    answer = site.alice.post("/pay", data={"amount": "9"}, headers={**PAGE, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


# ---- confirming


def test_a_confirmed_login_is_a_new_session_in_the_place_of_the_old_one(database_url: str) -> None:
    site = StepUpSite(database_url)
    site.alice = site.signed_in("alice", claims={"team": "blue"}, remember=False)
    before, old = site.alice.get("/session").get_json(), copy_jar(site.alice)
    site.clock.move(minutes=6)
    answer = site.confirm(amr="pwd otp")
    after = site.alice.get("/session").get_json()
    assert after["session_id"] != before["session_id"]
    assert (after["amr"], after["claims"]["team"]) == (["pwd", "otp"], "blue")
    assert after["auth_time"] > before["auth_time"]
    assert all("Expires" not in header for header in answer.headers.getlist("Set-Cookie")[:2])
    with site.app.app_context():
        ended = next(each for each in site.sessions.history("alice") if each.session_id == before["session_id"])
        (device,) = [
            d for d in site.sessions.devices("alice") if after["session_id"] in {s.session_id for s in d.sessions}
        ]
    assert (ended.end_reason, ended.device_id) == ("superseded", device.id)
    assert old.get("/protected").status_code == 401


@pytest.mark.parametrize("remember", [True, False])
def test_remember_me_stays_as_it_was(site: StepUpSite, remember: bool) -> None:
    client = site.signed_in("bob", remember=remember)
    cookies = site.confirm(client).headers.getlist("Set-Cookie")
    lasting = [
        bool(re.search("Max-Age|Expires", cookie)) for cookie in cookies if not cookie.startswith("__Host-cbo_d")
    ]
    assert lasting == [remember, remember]


def test_a_confirmed_login_is_no_new_device(site: StepUpSite) -> None:
    told: list[Any] = []
    site.sessions.notifier(told.append)
    site.confirm()
    assert told == []


def test_the_old_long_token_is_no_theft_of_the_new_session(site: StepUpSite) -> None:
    old = copy_jar(site.alice)
    site.confirm()
    expire_short(old)
    assert old.get("/protected").get_json()["reason"] == "superseded"
    assert site.alice.get("/protected").status_code == 200


def test_confirming_with_an_expired_short_session_refreshes_and_replaces_it(site: StepUpSite) -> None:
    site.clock.move(minutes=20)
    expire_short(site.alice)
    assert site.confirm().status_code == 303
    assert site.alice.get("/pay").status_code == 200


@pytest.mark.parametrize("login_view", [None, "/enter"])
def test_nobody_cannot_confirm(sqlite_url: str, login_view: str | None) -> None:
    site = StepUpSite(sqlite_url, CORBADO_SESSION_LOGIN_VIEW=login_view)
    answer = site.confirm(site.app.test_client())
    assert answer.status_code == (401 if login_view is None else 303)
    assert "Set-Cookie" not in answer.headers


def test_a_foreign_page_cannot_confirm(site: StepUpSite) -> None:
    answer = site.alice.post("/confirm", data={"amr": "pwd"}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")


def test_a_bad_method_changes_nothing(site: StepUpSite) -> None:
    site.app.testing = False
    answer = site.alice.post("/confirm", data={"amr": "x" * 300})
    assert answer.status_code == 500  # a mistake of the app's, which names its methods itself
    assert site.alice.get("/protected").status_code == 200


def test_a_confirmed_login_is_signalled_as_a_start(site: StepUpSite) -> None:
    heard: list[Any] = []

    def hear(sender: object, **facts: object) -> None:
        heard.append(facts["user_id"])

    with session_started.connected_to(hear, sender=site.app):
        site.confirm()
    assert heard == ["alice"]


# ---- no form is lost


FIELDS = {"amount": "12,50 €", "to": ["bob", "carol"], "note": 'a "quoted" & <b>bold</b> line\nand another'}


@pytest.fixture
def interrupted(site: StepUpSite) -> StepUpSite:
    """Alice sent a form six minutes after she signed in."""
    site.clock.move(minutes=6)
    answer = site.alice.post("/pay?from=savings", data=FIELDS, headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"/confirm?next={RESUME.replace('/', '%2F')}")
    return site


def test_an_interrupted_form_is_sent_again_as_it_was(interrupted: StepUpSite) -> None:
    assert interrupted.confirm(next=RESUME).location == RESUME
    action, fields = form_on(interrupted.alice.get(RESUME, headers=PAGE))
    assert (action, fields[0]) == ("/pay?from=savings", ("amount", "12,50 €"))
    sent = interrupted.alice.post(action, data={name: [v for n, v in fields if n == name] for name, _ in fields})
    assert sent.get_json()["form"] == {
        name: [value] if isinstance(value, str) else value for name, value in FIELDS.items()
    }
    assert sent.get_json()["args"] == {"from": "savings"}


def test_what_was_typed_is_readable_nowhere(interrupted: StepUpSite) -> None:
    cookie = interrupted.alice.get_cookie(COOKIE, path=RESUME)
    assert cookie is not None
    hidden = not any(each in cookie.value for each in ("12,50", "bob", "quoted"))
    assert (hidden, cookie.path, cookie.http_only, cookie.secure, cookie.same_site) == (True, RESUME, True, True, "Lax")


def test_the_page_is_shown_to_the_same_user_alone(interrupted: StepUpSite) -> None:
    signed_in(interrupted.app, "bob", amr=["pwd"], client=interrupted.alice)
    answer = interrupted.alice.get(RESUME)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "nothing_to_resume")


def test_nobody_sees_the_form(interrupted: StepUpSite) -> None:
    for name in (SHORT, LONG):
        interrupted.alice.delete_cookie(name)
    assert interrupted.alice.get(RESUME).status_code == 401


@pytest.mark.parametrize(("age", "status"), [(600, 200), (601, 404)])
def test_a_form_waits_ten_minutes(interrupted: StepUpSite, age: int, status: int) -> None:
    interrupted.clock.move(seconds=age)
    assert interrupted.alice.get(RESUME).status_code == status


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-4], lambda v: v.swapcase(), lambda v: "x", lambda v: "", lambda v: "é"]
)
def test_a_cookie_that_was_tampered_with_is_none(interrupted: StepUpSite, spoil: Any) -> None:
    cookie = interrupted.alice.get_cookie(COOKIE, path=RESUME)
    assert cookie is not None
    interrupted.alice.set_cookie(COOKIE, spoil(cookie.value), path=RESUME)
    assert interrupted.alice.get(RESUME).status_code == 404


def test_a_form_outlives_a_change_of_the_secret_key(interrupted: StepUpSite) -> None:
    extensions, state = interrupted.app.extensions, state_of(interrupted.app)
    new_key = "another key, as good as the first"
    extensions["corbado_session"] = replace(state, secret_keys=[new_key, *state.secret_keys])
    assert interrupted.alice.get(RESUME).status_code == 200
    extensions["corbado_session"] = replace(state, secret_keys=[new_key])
    assert interrupted.alice.get(RESUME).status_code == 404


def test_of_two_interrupted_forms_the_later_one_waits(interrupted: StepUpSite) -> None:
    interrupted.alice.post("/pay", data={"amount": "99"}, headers=PAGE)
    assert form_on(interrupted.alice.get(RESUME, headers=PAGE)) == ("/pay", [("amount", "99")])


def referred(path: str) -> dict[str, str]:
    return {**PAGE, "Referer": f"http://localhost{path}"}


@pytest.mark.parametrize(
    ("sent"),
    [
        {"data": {"note": "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))}},
        {"data": {"receipt": (BytesIO(b"%PDF"), "receipt.pdf")}},
        {"data": {"amount": "1"}, "content_type": "multipart/form-data"},
        {"data": "<xml/>", "content_type": "text/xml"},
        {"data": {"amount": "1"}, "method": "PUT"},
    ],
    ids=["oversize", "upload", "multipart", "another type", "another method"],
)
def test_what_cannot_wait_leads_back_to_its_own_page(site: StepUpSite, sent: dict[str, Any]) -> None:
    site.clock.move(minutes=6)
    answer = site.alice.open("/pay", **{"method": "POST", **sent}, headers=referred("/form?step=2"))
    assert (answer.status_code, answer.location) == (303, "/confirm?next=%2Fform%3Fstep%3D2")
    assert "Set-Cookie" not in answer.headers


def test_a_form_from_nowhere_that_cannot_wait_leads_to_the_start(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    for headers in (PAGE, {**PAGE, "Referer": "https://evil.example/form"}):
        answer = site.alice.post("/pay", data={"receipt": (BytesIO(b"%PDF"), "r.pdf")}, headers=headers)
        assert answer.location == "/confirm"


def test_without_routes_a_form_leads_back_to_its_own_page(sqlite_url: str) -> None:
    site = StepUpSite(sqlite_url, CORBADO_SESSION_URL_PREFIX=None)
    site.clock.move(minutes=6)
    assert site.alice.post("/pay", data={"a": "1"}, headers=referred("/form")).location == "/confirm?next=%2Fform"


def test_an_app_under_a_prefix_finds_its_form_again(site: StepUpSite) -> None:
    site.clock.move(minutes=6)
    under = {"SCRIPT_NAME": "/shop"}
    answer = site.alice.post("/pay", data={"a": "1"}, headers=PAGE, environ_overrides=under)
    assert answer.location == "/confirm?next=%2Fshop%2Fsession%2Fresume"
    assert "Path=/shop/session/resume" in answer.headers["Set-Cookie"]


# ---- ending others from the devices page


def other_session(site: StepUpSite) -> str:
    site.signed_in("alice")
    with site.app.app_context():
        current = site.alice.get("/session").get_json()["session_id"]
        found = [s.session_id for device in site.sessions.devices("alice") for s in device.sessions]
    return next(each for each in found if each != current)


@pytest.mark.parametrize("path", ["/session/{id}/revoke", "/session/devices/{device}/revoke", "/session/revoke-others"])
def test_ending_others_asks_for_a_sign_in_within_a_quarter(site: StepUpSite, path: str) -> None:
    session_id = other_session(site)
    with site.app.app_context():
        found = rows_of(site.app).revocation.session(session_id)
    assert found is not None
    path = path.format(id=session_id, device=found.device_id)
    site.clock.move(timedelta(minutes=15, seconds=2))
    expire_short(site.alice)
    assert site.alice.post(path).get_json()["code"] == "insufficient_user_authentication"
    assert site.alice.post(path, headers=PAGE).location == "/confirm"
    site.confirm()
    assert site.alice.post(path).status_code == 204
    with site.app.app_context():
        assert [len(device.sessions) for device in site.sessions.devices("alice")] == [1]


def test_an_interrupted_button_of_the_devices_page_waits_too(site: StepUpSite) -> None:
    """Its form has no fields at all."""
    path = f"/session/{other_session(site)}/revoke"
    site.clock.move(minutes=16)
    expire_short(site.alice)
    form = {"content_type": "application/x-www-form-urlencoded", "headers": PAGE}
    assert site.alice.post(path, data="", **form).location == "/confirm?next=%2Fsession%2Fresume"
    site.confirm()
    assert form_on(site.alice.get(RESUME, headers=PAGE)) == (path, [])


def test_signing_out_and_renaming_never_ask(site: StepUpSite) -> None:
    me = site.alice.get("/session").get_json()["session_id"]
    device = site.alice.get("/session/devices", headers={"Accept": "application/json"}).get_json()["devices"][0]["id"]
    site.clock.move(minutes=20)
    expire_short(site.alice)
    assert site.alice.post(f"/session/devices/{device}/name", data={"name": "Mine"}).status_code == 204
    assert site.alice.post(f"/session/{me}/revoke").status_code == 204
    assert site.alice.get("/session").status_code == 401
