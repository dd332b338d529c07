"""The table of DESIGN's "A request" over HTTP: outcome, statements and cookies of every row, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import LongTokenSigner, first_token
from tests.support.apps import SECRET_KEY, make_app, rows_of, statements
from tests.support.jars import DEVICE, LONG, SHORT
from tests.support.rules import database_down
from tests.support.site import Response, Site, cookie_of

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


class AlicesSite(Site):
    """The tests' app, and a browser alice is signed in with."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **config)
        self.alice = self.signed_in(amr=["pwd"])

    def a_minute_later(self, client: FlaskClient | None = None) -> Response:
        """The short session's cookie has run out and the next request is refreshed."""
        self.clock.move(seconds=61)
        client = client or self.alice
        expire_short(client)
        return self.ask(client)


@pytest.fixture
def site(database_url: str) -> AlicesSite:
    return AlicesSite(database_url)


@pytest.fixture
def on_sqlite(sqlite_url: str) -> AlicesSite:
    return AlicesSite(sqlite_url)


# ---- a short session


def test_a_valid_short_session_costs_nothing(site: AlicesSite) -> None:
    answer = site.ask(site.alice)
    assert answer.facts == (200, [], [])
    assert answer.is_private


def test_a_valid_short_session_is_served_by_bearer_and_by_cookie_alike(site: AlicesSite) -> None:
    token = cookie_of(site.alice, SHORT)
    answer = site.ask(site.app.test_client(), headers={"Authorization": f"Bearer {token}"})
    assert answer.facts == (200, [], [])
    assert answer.json["user_id"] == "alice"


def test_a_page_that_never_asks_costs_nothing_and_stays_cacheable(site: AlicesSite) -> None:
    answer = site.ask(site.alice, "/public")
    assert answer.facts == (200, [], [])
    assert "Vary" not in answer.response.headers
    assert "Cache-Control" not in answer.response.headers


def test_neither_is_anonymous(site: AlicesSite) -> None:
    answer = site.ask(site.app.test_client(), "/who")
    assert answer.facts == (200, [], [])
    assert answer.json == {"id": None, "user_id": None}
    assert answer.is_private
    assert site.ask(site.app.test_client()).facts == (401, [], [])


# ---- a refresh


def promote(site: AlicesSite) -> None:
    site.clock.move(seconds=61)


def hold(site: AlicesSite) -> None:
    site.clock.move(seconds=59)


def reissue(site: AlicesSite) -> None:
    site.clock.move(seconds=61)
    lost = copy_jar(site.alice)
    expire_short(lost)
    assert site.ask(lost).status == 200  # and its answer never arrives


def reopen(site: AlicesSite) -> None:
    reissue(site)
    site.clock.move(seconds=11)


@pytest.mark.parametrize(
    ("state", "statements", "cookies"),
    [
        (promote, ["UPDATE"], [SHORT, LONG]),
        (reopen, ["UPDATE"], [SHORT, LONG]),
        (hold, ["UPDATE", "SELECT"], [SHORT]),
        (reissue, ["UPDATE", "SELECT"], [SHORT, LONG]),
    ],
)
def test_a_living_long_session_serves_the_same_request(
    site: AlicesSite, state: Any, statements: list[str], cookies: list[str]
) -> None:
    before = cookie_of(site.alice, SHORT)
    state(site)
    expire_short(site.alice)
    answer = site.ask(site.alice)
    assert answer.facts == (200, statements, cookies)
    assert answer.json["user_id"] == "alice"
    assert answer.signals == ["session-refreshed"]
    assert answer.is_private
    assert cookie_of(site.alice, SHORT) != before
    assert site.ask(site.alice).facts == (200, [], [])


def test_an_expired_short_session_is_as_good_as_none(site: AlicesSite) -> None:
    site.clock.move(minutes=15)
    assert site.ask(site.alice).facts == (200, ["UPDATE"], [SHORT, LONG])


# ---- what is no session


def forged() -> str:
    return LongTokenSigner(["a key that is somebody else's"]).dump(first_token(new_id())[0])


def test_a_long_session_we_did_not_sign_is_none(site: AlicesSite) -> None:
    stranger = site.app.test_client(use_cookies=False)
    for value in [forged(), "", "garbage", "x" * 4000, "ü" * 175, '"; Domain=evil', "a=b"]:
        answer = site.ask(stranger, headers={"Cookie": f"{LONG}={value}"})
        assert answer.facts == (401, [], [])
        assert answer.signals == []
    assert site.ask(site.alice).status == 200


def missing(site: AlicesSite) -> None:
    token = LongTokenSigner([SECRET_KEY]).dump(first_token(new_id())[0])
    site.alice.set_cookie(LONG, token)


def idle(site: AlicesSite) -> None:
    site.clock.move(days=7)


def expired(site: AlicesSite) -> None:
    for _ in range(4):
        site.clock.move(days=6)
        expire_short(site.alice)
        site.ask(site.alice)
    site.clock.move(days=6)


def revoked(site: AlicesSite) -> None:
    """By another process: this one does not know the token yet."""
    other, _, sessions = make_app(site.url)
    move_clock(other, site.clock.at)
    with other.app_context():
        sessions.revoke_user("alice", "revoked")


@pytest.mark.parametrize("end", [missing, idle, expired, revoked])
def test_an_ended_long_session_says_why_and_takes_no_cookie_away(site: AlicesSite, end: Any) -> None:
    end(site)
    expire_short(site.alice)
    answer = site.ask(site.alice)
    assert answer.facts == (401, ["UPDATE", "SELECT"], [])
    assert answer.json["code"] == "unauthenticated"
    assert answer.json["reason"] == end.__name__
    assert answer.is_private
    assert cookie_of(site.alice, LONG)
    site.clock.move(seconds=59)
    assert site.ask(site.alice).facts == (401, [], [])
    site.clock.move(seconds=2)
    assert site.ask(site.alice).facts == (401, ["UPDATE", "SELECT"], [])


def test_a_spent_long_token_ends_the_family(site: AlicesSite) -> None:
    thief = copy_jar(site.alice)
    site.a_minute_later()
    site.a_minute_later()
    site.clock.move(seconds=61)
    expire_short(thief)
    answer = site.ask(thief)
    assert answer.facts == (401, ["UPDATE", "SELECT", "UPDATE"], [])
    assert answer.json["reason"] == "reuse"
    assert answer.signals == ["session-reuse-detected"]
    assert site.ask(site.alice).facts == (401, [], [])


def test_a_thief_who_came_first_is_out_as_soon_as_the_owner_comes(site: AlicesSite) -> None:
    thief = copy_jar(site.alice)
    site.a_minute_later(thief)
    site.a_minute_later(thief)
    site.clock.move(seconds=61)
    expire_short(site.alice)
    assert site.ask(site.alice).json["reason"] == "reuse"
    assert site.ask(thief).status == 401


# ---- a foreign origin


@pytest.mark.parametrize("short", ["valid", "expired"])
def test_a_foreign_page_is_refused_before_anything_is_read(site: AlicesSite, short: str) -> None:
    if short == "expired":
        site.clock.move(minutes=20)
    before = cookie_of(site.alice, LONG)
    for path in ["/protected", "/who", "/sign-in", "/sign-out", "/session/revoke-others"]:
        answer = site.ask(site.alice, path, "POST", headers=FOREIGN, data={"user": "mallory"})
        assert answer.facts == (403, [], [])
        assert answer.json["code"] == "csrf_rejected"
        assert answer.signals == []
    assert cookie_of(site.alice, LONG) == before
    assert site.ask(site.alice).json["user_id"] == "alice"


def test_a_foreign_page_may_post_to_a_view_that_never_asks(site: AlicesSite) -> None:
    assert site.ask(site.alice, "/public", "POST", headers=FOREIGN).facts == (200, [], [])


# ---- bearer


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_that_does_not_hold_is_refused_and_the_cookies_ignored(site: AlicesSite, scheme: str) -> None:
    site.clock.move(minutes=20)
    expired_token = cookie_of(site.alice, SHORT)
    answer = site.ask(site.alice, headers={"Authorization": f"{scheme} {expired_token}"})
    assert answer.facts == (401, [], [])
    assert answer.json["reason"] == "expired"
    assert answer.response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert site.ask(site.alice).facts == (200, ["UPDATE"], [SHORT, LONG])


def test_a_bearer_token_refreshes_nothing_even_on_the_refresh_route(site: AlicesSite) -> None:
    headers = {"Authorization": f"Bearer {cookie_of(site.alice, SHORT)}"}
    assert site.ask(site.alice, "/session/refresh", "POST", headers=headers).facts == (401, [], [])


# ---- sign-in


def test_a_sign_in_on_a_new_device(site: AlicesSite) -> None:
    stranger = site.app.test_client()
    answer = site.ask(stranger, "/sign-in", "POST", data={"user": "bob"})
    assert answer.facts == (200, ["SELECT", "INSERT", "INSERT", "SELECT"], [SHORT, LONG, DEVICE])
    assert answer.signals == ["session-started", "device-added"]
    assert answer.is_private


def test_a_sign_in_on_a_device_known_before(site: AlicesSite) -> None:
    site.ask(site.alice, "/sign-out", "POST")
    answer = site.ask(site.alice, "/sign-in", "POST", data={"user": "alice"})
    assert answer.facts == (200, ["SELECT", "INSERT", "SELECT"], [SHORT, LONG, DEVICE])
    assert answer.signals == ["session-started"]


def test_a_sign_in_over_another_session_ends_that(site: AlicesSite) -> None:
    old = copy_jar(site.alice)
    answer = site.ask(site.alice, "/sign-in", "POST", data={"user": "alice"})
    transaction = ["BEGIN", "INSERT", "UPDATE", "COMMIT"]
    assert answer.facts == (200, ["SELECT", *transaction, "SELECT"], [SHORT, LONG, DEVICE])
    assert answer.signals == ["session-ended", "session-started"]
    expire_short(old)
    assert site.ask(old).json["reason"] == "superseded"


def test_a_sign_in_beyond_the_cap_ends_the_surplus(database_url: str) -> None:
    site = AlicesSite(database_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=1)
    site.clock.move(seconds=1)
    answer = site.ask(site.app.test_client(), "/sign-in", "POST", data={"user": "alice"})
    assert answer.facts == (200, ["SELECT", "INSERT", "INSERT", "SELECT", "UPDATE"], [SHORT, LONG, DEVICE])
    expire_short(site.alice)
    assert site.ask(site.alice).json["reason"] == "limit"


# ---- sign-out and revocation


def test_a_sign_out_is_one_update_and_clears_short_and_long(site: AlicesSite) -> None:
    kept = copy_jar(site.alice)
    answer = site.ask(site.alice, "/sign-out", "POST")
    assert answer.facts == (200, ["UPDATE"], [SHORT, LONG])
    assert answer.signals == ["session-ended"]
    assert all("Max-Age=0;" in cookie for cookie in answer.cookies.values())
    assert site.ask(kept).facts == (401, [], [])


@pytest.mark.parametrize("left", [SHORT, LONG])
def test_a_sign_out_works_with_either_cookie(site: AlicesSite, left: str) -> None:
    kept = copy_jar(site.alice)
    for name in {SHORT, LONG} - {left}:
        site.alice.delete_cookie(name)
    assert site.ask(site.alice, "/sign-out", "POST").facts == (200, ["UPDATE"], [SHORT, LONG])
    assert site.ask(kept).status == 401


def test_a_sign_out_by_nobody_costs_nothing(site: AlicesSite) -> None:
    assert site.ask(site.app.test_client(), "/sign-out", "POST").facts == (200, [], [SHORT, LONG])


def elsewhere(site: AlicesSite) -> tuple[FlaskClient, str, str]:
    """Alice's other browser, its session's id and its device's."""
    phone = signed_in(site.app, "alice", user_agent="Phone")
    session = next(each for each in rows_of(site.app).revocation.devices("alice", None) if each.user_agent == "Phone")
    return phone, session.sessions[0].session_id, session.id


@pytest.mark.parametrize(
    "route", ["/session/{session}/revoke", "/session/devices/{device}/revoke", "/session/revoke-others"]
)
def test_to_revoke_elsewhere_is_one_update_and_changes_no_cookie(site: AlicesSite, route: str) -> None:
    phone, session_id, device_id = elsewhere(site)
    answer = site.ask(site.alice, route.format(session=session_id, device=device_id), "POST")
    assert answer.facts == (204, ["UPDATE"], [])
    assert answer.signals == ["session-revoked"]
    assert site.ask(site.alice).status == 200
    assert site.ask(phone).facts == (401, ["UPDATE", "SELECT"], [])
    assert site.ask(phone).facts == (401, [], [])


@pytest.mark.parametrize("route", ["/session/{session}/revoke", "/session/devices/{device}/revoke"])
def test_to_revoke_this_one_is_to_sign_out(site: AlicesSite, route: str) -> None:
    device = rows_of(site.app).revocation.devices("alice", None)[0]
    path = route.format(session=device.sessions[0].session_id, device=device.id)
    assert site.ask(site.alice, path, "POST").facts == (204, ["UPDATE"], [SHORT, LONG])
    assert site.ask(site.alice).facts == (401, [], [])


def test_all_of_a_users_sessions_are_one_update(site: AlicesSite) -> None:
    phone, _, _ = elsewhere(site)
    with site.app.app_context(), statements(site.app) as seen:
        site.sessions.revoke_user("alice")
    assert seen.verbs == ["UPDATE"]
    assert [site.ask(each).status for each in (site.alice, phone)] == [401, 401]


def test_a_recheck_reads_the_row(site: AlicesSite) -> None:
    assert site.ask(site.alice, "/recheck").facts == (200, ["SELECT"], [])
    revoked(site)
    assert site.ask(site.alice, "/protected").facts == (200, [], [])
    answer = site.ask(site.alice, "/recheck")
    assert answer.facts == (401, ["SELECT"], [])


# ---- with the database down


UNAVAILABLE = ("session_store_unavailable", "2")


def refused(answer: Response) -> tuple[str, str | None]:
    return answer.json["code"], answer.response.headers.get("Retry-After")


def test_a_valid_short_session_outlives_the_database(on_sqlite: AlicesSite) -> None:
    with database_down(rows_of(on_sqlite.app).database, on_sqlite.url):
        assert on_sqlite.ask(on_sqlite.alice).facts == (200, [], [])


def test_a_refresh_waits_for_the_database_with_the_same_jar(on_sqlite: AlicesSite) -> None:
    on_sqlite.clock.move(minutes=20)
    before = cookie_of(on_sqlite.alice, LONG)
    with database_down(rows_of(on_sqlite.app).database, on_sqlite.url):
        answer = on_sqlite.ask(on_sqlite.alice)
        assert answer.facts == (503, [], [])
        assert refused(answer) == UNAVAILABLE
        assert answer.is_private
    assert cookie_of(on_sqlite.alice, LONG) == before
    assert on_sqlite.ask(on_sqlite.alice).facts == (200, ["UPDATE"], [SHORT, LONG])


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/sign-in", "POST"),
        ("/recheck", "GET"),
        ("/session/devices", "GET"),
        ("/session/refresh", "POST"),
        ("/session/revoke-others", "POST"),
        (f"/session/{'a' * 30}/revoke", "POST"),
        (f"/session/devices/{'a' * 30}/revoke", "POST"),
        (f"/session/devices/{'a' * 30}/name", "POST"),
    ],
)
def test_what_needs_the_database_is_refused_and_changes_nothing(on_sqlite: AlicesSite, path: str, method: str) -> None:
    before = cookie_of(on_sqlite.alice, LONG)
    with database_down(rows_of(on_sqlite.app).database, on_sqlite.url):
        answer = on_sqlite.ask(on_sqlite.alice, path, method, data={"user": "bob"})
        assert answer.facts == (503, [], [])
        assert refused(answer) == UNAVAILABLE
    assert cookie_of(on_sqlite.alice, LONG) == before
    assert on_sqlite.ask(on_sqlite.alice).json["user_id"] == "alice"


def test_a_sign_out_clears_its_cookies_all_the_same_and_says_what_is_left(on_sqlite: AlicesSite) -> None:
    with database_down(rows_of(on_sqlite.app).database, on_sqlite.url):
        answer = on_sqlite.ask(on_sqlite.alice, "/session/logout", "POST")
    assert answer.facts == (503, [], [SHORT, LONG])
    assert refused(answer) == ("logout_incomplete", "2")
    assert all("Max-Age=0;" in cookie for cookie in answer.cookies.values())
    assert on_sqlite.ask(on_sqlite.alice).facts == (401, [], [])


def test_a_sign_out_says_so_on_the_page_too(on_sqlite: AlicesSite) -> None:
    with database_down(rows_of(on_sqlite.app).database, on_sqlite.url):
        answer = on_sqlite.ask(on_sqlite.alice, "/sign-out", "POST", headers={"Sec-Fetch-Mode": "navigate"})
    assert answer.status == 503
    assert answer.response.mimetype == "text/html"
    assert "a copy of it would still work" in answer.response.text
