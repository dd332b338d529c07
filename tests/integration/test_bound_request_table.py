"""What a bound session costs, and what comes of it: statements, cookies and signals of each kind of request, on every
database. Looking up which sessions have ended is not counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_corbado_session import session_refreshed
from tests.support.apps import rows_of
from tests.support.bound_client import BoundBrowser
from tests.support.bound_jar import DeviceKey
from tests.support.bound_site import REFRESH, REGISTER, BoundSite, is_fine, post_refresh, sign_in
from tests.support.bound_wire import Reply
from tests.support.jars import LONG, SHORT
from tests.support.rules import database_down, heard
from tests.support.site import look_up_ended

Facts = tuple[int, list[str], set[str], list[str]]
REFRESHED = ["session-refreshed"]


@pytest.fixture
def site(database_url: str) -> BoundSite:
    return BoundSite(database_url)


@pytest.fixture
def alice(site: BoundSite) -> BoundBrowser:
    browser = site.bound()
    site.clock.move(minutes=2)
    return browser


def cost(site: BoundSite, send: Callable[[], Reply]) -> Facts:
    """Status, statements, cookies that were set, and signals."""
    look_up_ended(site.app)
    with site.statements() as seen, heard(site.app) as signals:
        reply = send()
    return reply.status, seen.verbs, reply.cookie_names, [name for name, _ in signals]


def proof_of(browser: BoundBrowser) -> str:
    """Of a challenge that is new."""
    header = post_refresh(browser).header("Secure-Session-Challenge") or ""
    return browser.session.key.refresh_proof(header.split('"')[1])


def test_a_valid_short_session_costs_nothing(site: BoundSite, alice: BoundBrowser) -> None:
    assert cost(site, lambda: alice.request("/protected")) == (200, [], set(), [])


def test_a_request_without_a_proof_costs_nothing(site: BoundSite, alice: BoundBrowser) -> None:
    assert cost(site, lambda: post_refresh(alice)) == (403, [], set(), [])


def test_a_proof_costs_three_statements(site: BoundSite, alice: BoundBrowser) -> None:
    proof = proof_of(alice)
    facts = cost(site, lambda: post_refresh(alice, proof))
    assert facts == (200, ["SELECT", "UPDATE", "UPDATE"], {SHORT, LONG}, REFRESHED)


def test_a_proof_within_a_minute_of_the_last_costs_one_more_and_moves_no_row(site: BoundSite) -> None:
    browser = site.bound()
    site.clock.move(seconds=30)
    proof = proof_of(browser)
    facts = cost(site, lambda: post_refresh(browser, proof))
    assert facts == (200, ["SELECT", "UPDATE", "UPDATE", "SELECT"], {SHORT}, REFRESHED)


def test_a_proof_that_was_used_costs_two(site: BoundSite, alice: BoundBrowser) -> None:
    proof = proof_of(alice)
    post_refresh(alice, proof)
    assert cost(site, lambda: post_refresh(alice, proof)) == (403, ["SELECT", "UPDATE"], set(), [])


def test_a_wrong_key_costs_one(site: BoundSite, alice: BoundBrowser) -> None:
    assert cost(site, lambda: post_refresh(alice, DeviceKey().refresh_proof("x"))) == (403, ["SELECT"], set(), [])


def test_a_registration_costs_three(site: BoundSite) -> None:
    browser, challenge = offered(site)
    proof = DeviceKey().registration_proof(challenge)
    facts = cost(site, lambda: registered(browser, proof))
    assert (facts[0], facts[1], facts[2]) == (200, ["UPDATE", "UPDATE", "SELECT"], {SHORT, LONG})


def test_a_long_cookie_alone_moves_no_row(site: BoundSite, alice: BoundBrowser) -> None:
    before = site.row()
    alice.sessions.clear()
    site.clock.move(minutes=16)
    facts = cost(site, lambda: alice.request("/protected"))
    assert facts == (401, ["UPDATE", "SELECT"], set(), ["device-binding-failed"])
    assert site.row() == before


def test_a_link_of_another_site_moves_no_row_and_signals_nothing(site: BoundSite, alice: BoundBrowser) -> None:
    before = site.row()
    site.clock.move(minutes=16)
    headers = {"Cookie": alice.jar.header(), "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    facts = cost(site, lambda: alice.wire("GET", "/protected", headers, b""))
    assert facts == (200, ["UPDATE", "SELECT"], set(), [])
    assert site.row() == before


def test_a_session_that_has_ended_costs_nothing(site: BoundSite, alice: BoundBrowser) -> None:
    site.revoke()
    assert cost(site, lambda: post_refresh(alice)) == (200, [], set(), [])


def test_a_failed_binding_is_signalled_with_both_contexts(site: BoundSite, alice: BoundBrowser) -> None:
    thief = site.thief_of(alice)
    site.clock.move(minutes=16)
    with heard(site.app) as signals:
        assert thief.request("/protected").json["reason"] == "unproven"
    ((name, facts),) = signals
    assert (name, facts["user_id"], facts["session_id"]) == ("device-binding-failed", "alice", alice.session.id)
    assert (facts["context"].user_agent, facts["context"].ip) == ("Thief/6.6", "203.0.113.6")
    assert facts["previous"].user_agent == "Chromium/156"
    assert is_fine(site, alice)


# ---- what becomes of a registration whose answer is lost


def offered(site: BoundSite) -> tuple[BoundBrowser, str]:
    """A browser that signed in, registers nothing by itself, and was offered this challenge."""
    offers: list[str] = []
    browser = site.browser(can_bind=False)
    wire = browser.wire

    def watch(method: str, path: str, headers: Any, body: bytes) -> Reply:
        reply = wire(method, path, headers, body)
        offers.extend(reply.all("Secure-Session-Registration"))
        return reply

    browser.wire = watch
    sign_in(browser)
    return browser, offers[0].split('challenge="')[1].split('"')[0]


def registered(browser: BoundBrowser, proof: str) -> Reply:
    """The answer to a registration, which the browser never sees."""
    headers = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin", "Cookie": browser.jar.header()}
    return browser.wire("POST", REGISTER, headers | {"Secure-Session-Response": proof}, b"")


def test_a_lost_answer_to_a_registration_leaves_an_unbound_session(site: BoundSite) -> None:
    browser, challenge = offered(site)
    assert registered(browser, DeviceKey().registration_proof(challenge)).status == 200
    for _ in range(3):
        site.clock.move(minutes=16)
        assert browser.request("/protected").status == 200
    assert site.row()["binding_key"] is None


def test_a_copy_from_before_the_registration_is_found_as_reuse(site: BoundSite) -> None:
    """The same second: of these cookies nobody knows yet that they are to be bound."""
    browser, challenge = offered(site)
    thief = site.thief_of(browser)
    key = DeviceKey()
    browser.jar.take(registered(browser, key.registration_proof(challenge)).all("Set-Cookie"))
    site.clock.move(minutes=16)
    assert thief.request("/protected").status == 200
    site.clock.move(minutes=16)
    statuses = {browser.request("/protected").status, thief.request("/protected").status}
    assert (401 in statuses, site.end_reasons()) == (True, ["reuse"])


def test_a_copy_from_before_the_registration_is_worth_nothing_after_the_first_proof(site: BoundSite) -> None:
    thieves: list[BoundBrowser] = []
    browser = site.browser()
    wire = browser.wire

    def steal(method: str, path: str, headers: Any, body: bytes) -> Reply:
        if path == REGISTER:
            thieves.append(site.thief_of(browser))
        return wire(method, path, headers, body)

    browser.wire = steal
    sign_in(browser)
    site.clock.move(minutes=16)
    assert browser.request("/protected").status == 200
    (thief,) = thieves
    assert thief.request("/protected").status == 503  # it may be the owner's other tab, which lost a race
    site.clock.move(seconds=11)
    assert thief.request("/protected").status == 401


def test_a_copy_of_the_cookies_of_a_bound_session_unbinds_nothing(site: BoundSite) -> None:
    browser = site.bound()
    for minutes in (16, 16, 16):
        thief = site.thief_of(browser)
        site.clock.move(minutes=minutes)
        assert thief.request("/protected").status == 401
        assert thief.request("/protected").status == 401
        assert is_fine(site, browser)
    assert site.row()["binding_key"] is not None


def test_a_browser_that_can_not_bind_is_refreshed_as_ever(site: BoundSite) -> None:
    browser, _ = offered(site)
    site.clock.move(minutes=16)
    facts = cost(site, lambda: browser.request("/protected"))
    assert facts == (200, ["UPDATE"], {SHORT, LONG}, REFRESHED)


# ---- around it


def test_signing_in_again_makes_a_new_key_and_ends_the_old_session(site: BoundSite) -> None:
    browser = site.bound()
    sign_in(browser, "alice")
    assert len(browser.sessions) == 2
    site.clock.move(minutes=16)
    assert browser.request("/protected").status == 200
    assert browser.events == ["registered", "registered", "forgotten: 404", "refreshed"]
    assert site.live_rows() == 1


def test_signing_out_ends_it(site: BoundSite, alice: BoundBrowser) -> None:
    assert alice.request("/sign-out", "POST").status == 200
    assert alice.request("/protected").status == 401
    assert alice.events == ["registered", "forgotten: 404"]
    assert alice.request("/protected").status == 401
    assert alice.sent.count(f"POST {REFRESH}+proof 404") == 1


def test_a_confirmed_login_registers_anew(site: BoundSite, alice: BoundBrowser) -> None:
    old = alice.session.id
    site.clock.move(minutes=10)
    assert alice.request("/sensitive", "POST").json["code"] == "insufficient_user_authentication"
    assert alice.request("/confirm", "POST").status == 200
    assert alice.request("/sensitive", "POST", form={"a": "b"}).json == {"form": {"a": "b"}}
    assert [event for event in alice.events if event == "registered"] == ["registered"] * 2
    site.clock.move(minutes=16)
    assert alice.request("/protected").status == 200
    alice.jar.delete(SHORT)
    assert alice.request("/protected").json["session_id"] != old


def test_an_old_proof_is_asked_for_again(site: BoundSite, alice: BoundBrowser) -> None:
    reply = alice.request("/proven", "POST", form={"text": "kept"})
    assert (reply.status, reply.json) == (200, {"form": {"text": "kept"}, "bound": True})
    assert alice.sent[-3:] == ["POST /proven 307", f"POST {REFRESH}+proof 200", "POST /proven 200"]
    before = len(alice.sent)
    assert alice.request("/proven", "POST").status == 200
    assert alice.sent[before:] == ["POST /proven 200"]


def test_a_copy_can_not_be_made_to_prove(site: BoundSite, alice: BoundBrowser) -> None:
    thief = site.thief_of(alice)
    assert thief.request("/protected").status == 200
    assert thief.request("/proven", "POST").status == 401
    assert is_fine(site, alice)


def test_claims_that_must_change_now_change_by_a_proof(site: BoundSite, alice: BoundBrowser) -> None:
    with site.app.app_context():
        site.sessions.expire_short("alice")
    site.clock.move(seconds=2)
    assert alice.request("/protected").status == 200
    assert alice.sent[-3:] == ["GET /protected 307", f"POST {REFRESH}+proof 200", "GET /protected 200"]


def test_the_refresh_of_scripts_has_the_browser_prove(site: BoundSite, alice: BoundBrowser) -> None:
    reply = alice.request("/session/refresh", "POST")
    assert reply.status == 200
    assert alice.sent[-2:] == [f"POST {REFRESH}+proof 200", "POST /session/refresh 200"]
    before = len(alice.sent)
    assert alice.request("/session/refresh", "POST").status == 200
    assert alice.sent[before:] == ["POST /session/refresh 200"]


def test_a_disabled_user_is_told_to_forget(site: BoundSite, alice: BoundBrowser) -> None:
    site.sessions.user_loader(lambda user_id: None)
    site.clock.move(minutes=16)
    assert alice.request("/protected").status == 401
    assert alice.events == ["registered", "forgotten: ServerRequestedTermination"]
    assert site.end_reasons() == ["user_disabled"]


def test_a_user_loader_that_fails_signs_nobody_out(site: BoundSite, alice: BoundBrowser) -> None:
    def fail(user_id: str) -> None:
        raise RuntimeError("the directory is down")

    site.sessions.user_loader(fail)
    site.clock.move(minutes=16)
    assert alice.request("/protected").code == "device_proof_pending"
    site.sessions.user_loader(lambda user_id: user_id)
    assert alice.request("/protected").status == 200
    assert alice.events == ["registered", "kept: server_error", "refreshed"]


def test_an_error_of_whatever_listens_signs_nobody_out(site: BoundSite, alice: BoundBrowser) -> None:
    def fail(sender: object, **facts: Any) -> None:
        raise LookupError("a bug of the app's")

    site.clock.move(minutes=16)
    with session_refreshed.connected_to(fail, site.app):
        assert alice.request("/protected").code == "device_proof_pending"
    assert alice.request("/protected").status == 200
    assert alice.events == ["registered", "kept: server_error", "refreshed"]


def test_a_database_that_is_down_signs_nobody_out(sqlite_url: str) -> None:
    site = BoundSite(sqlite_url)
    alice = site.expired()
    with database_down(rows_of(site.app).database, sqlite_url):
        reply = post_refresh(alice, alice.session.key.refresh_proof(alice.session.challenge or ""))
        assert (reply.status, reply.code) == (503, "session_store_unavailable")
        assert reply.header("Retry-After") is not None
        assert alice.request("/protected").status == 503
    assert alice.request("/protected").status == 200
    assert alice.events == ["registered", "kept: server_error", "refreshed"]


def test_the_setting_turned_off_goes_on_unbound(database_url: str) -> None:
    site = BoundSite(database_url)
    browser = site.bound()
    off = BoundSite(database_url, CORBADO_SESSION_DEVICE_BINDING=False)
    off.clock.at = site.clock.at
    browser.wire = off.browser().wire
    for _ in range(2):
        off.clock.move(minutes=16)
        site.clock.at = off.clock.at
        assert browser.request("/protected").status == 200
    assert browser.events == ["registered", "forgotten: 404"]


def test_a_secret_key_that_is_rotated_costs_nobody_their_session(database_url: str) -> None:
    site = BoundSite(database_url)
    browser = site.bound()
    rotated = BoundSite(
        database_url,
        SECRET_KEY="another secret of forty characters, at least",
        SECRET_KEY_FALLBACKS=[site.app.secret_key],
    )
    for _ in range(3):
        site.clock.move(minutes=16)
        rotated.clock.at = site.clock.at
        browser.wire = rotated.browser().wire
        assert browser.request("/protected").status == 200
    assert browser.events == ["registered", *["refreshed"] * 3]
