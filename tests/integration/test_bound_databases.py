"""Device binding on each database: what the row holds, what a lost answer costs, and how the setting is turned off."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import create_engine, text

from tests.support.apps import make_app
from tests.support.bound_client import BoundBrowser
from tests.support.bound_site import REFRESH, REGISTER, BoundSite, is_fine, post_refresh, sign_in
from tests.support.bound_wire import Reply, app_wire
from tests.support.jars import SHORT
from tests.support.rules import heard


@pytest.fixture
def bound_site(database_url: str) -> BoundSite:
    return BoundSite(database_url)


def losing(site: BoundSite, path: str) -> BoundBrowser:
    """A browser that never gets the answer to this path, though the server does what it asks."""
    wire = app_wire(site.app)

    def lossy(method: str, asked: str, headers: dict[str, str], body: bytes) -> Reply:
        reply = wire(method, asked, headers, body)
        if asked == path:
            raise OSError("lost")
        return reply

    return site.browser(lossy)  # type: ignore[arg-type]


def test_a_session_is_bound_and_renewed_for_a_week(bound_site: BoundSite) -> None:
    alice = bound_site.bound()
    for _ in range(14):
        bound_site.clock.move(hours=12)
        assert alice.request("/protected").status == 200
    assert alice.refreshes() == 14
    assert bound_site.live_rows() == 1
    assert bound_site.row()["end_reason"] is None


def test_a_long_cookie_alone_changes_nothing_in_the_row(bound_site: BoundSite) -> None:
    alice = bound_site.expired()
    before = bound_site.row()
    thief = bound_site.thief_of(alice)
    for _ in range(3):
        assert thief.request("/protected").status == 401
        bound_site.clock.move(minutes=2)
    assert bound_site.row() == before
    assert is_fine(bound_site, alice)


def test_an_old_copy_alone_does_not_end_the_owners_session(bound_site: BoundSite) -> None:
    alice = bound_site.bound()
    thief = bound_site.thief_of(alice)
    for _ in range(3):
        bound_site.clock.move(minutes=16)
        assert alice.request("/protected").status == 200
    bound_site.clock.move(minutes=1)
    assert thief.request("/protected").status == 401
    assert bound_site.row()["end_reason"] is None
    assert is_fine(bound_site, alice)


def test_a_registration_whose_answer_was_lost_leaves_the_session_unbound(bound_site: BoundSite) -> None:
    alice = sign_in(losing(bound_site, REGISTER))
    assert alice.events == ["not registered: no answer"]
    assert bound_site.row()["binding_key"] is not None
    for _ in range(4):
        bound_site.clock.move(minutes=16)
        assert alice.request("/protected").status == 200
    assert bound_site.row()["binding_key"] is None


@pytest.mark.parametrize("seconds", [0, 5, 30, 90])
def test_a_lost_registration_costs_nothing_however_soon_a_refresh_comes(bound_site: BoundSite, seconds: int) -> None:
    alice = sign_in(losing(bound_site, REGISTER))
    bound_site.clock.move(seconds=seconds)
    for _ in range(3):
        alice.jar.delete(SHORT)
        assert alice.request("/protected").status == 200
        bound_site.clock.move(seconds=seconds)
    bound_site.clock.move(hours=3)
    assert alice.request("/protected").status == 200


def test_cookies_from_before_the_registration_are_of_no_use_after_the_first_proof(bound_site: BoundSite) -> None:
    before = sign_in(bound_site.browser(can_bind=False))
    copy = before.copied()
    alice = bound_site.browser()
    alice.jar = before.jar.copy()
    sign_in(alice)  # supersedes the unbound one
    assert alice.events == ["registered"]
    bound_site.clock.move(minutes=16)
    assert copy.request("/protected").status == 401
    assert is_fine(bound_site, alice)


def test_whoever_copied_between_sign_in_and_registration_is_found_out(bound_site: BoundSite) -> None:
    copies: list[BoundBrowser] = []
    wire = app_wire(bound_site.app)

    def copying(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == REGISTER:
            copies.append(alice.copied())
        return wire(method, path, headers, body)

    alice = bound_site.browser(copying)  # type: ignore[arg-type]
    sign_in(alice)
    bound_site.clock.move(minutes=16)
    assert copies[0].request("/protected").status == 200  # a copy of an unbound session, as far as anyone can tell
    bound_site.clock.move(minutes=16)
    assert alice.request("/protected").status == 200
    bound_site.clock.move(minutes=16)
    assert copies[0].request("/protected").status == 401
    assert bound_site.row()["end_reason"] == "reuse"


def test_a_proof_is_good_once_from_eight_threads(bound_site: BoundSite) -> None:
    alice = bound_site.expired()
    proof = alice.session.key.refresh_proof(alice.session.challenge or "")
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(post_refresh(alice, proof).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [403] * 7


def test_of_two_challenges_that_are_out_either_may_be_answered_first(bound_site: BoundSite) -> None:
    alice = bound_site.expired()
    challenges = []
    for _ in range(3):
        bound_site.clock.move(seconds=1)
        header = post_refresh(alice).header("Secure-Session-Challenge") or ""
        challenges.append(header.split('"')[1])
    sign = alice.session.key.refresh_proof
    assert [post_refresh(alice, sign(challenges[at])).status for at in (2, 1, 1, 2, 0)] == [200, 200, 403, 403, 403]
    assert is_fine(bound_site, alice)


def test_turned_off_nobody_is_signed_out_and_the_key_is_forgotten(database_url: str) -> None:
    site = BoundSite(database_url)
    alice = site.expired()
    off = BoundSite(database_url, CORBADO_SESSION_DEVICE_BINDING=False, SECRET_KEY=site.app.config["SECRET_KEY"])
    off.clock.move(minutes=16)
    alice.wire, alice._now = app_wire(off.app), lambda: off.clock().timestamp()
    assert alice.request("/protected").status == 200
    assert alice.sessions == {}
    assert off.row()["binding_key"] is None
    # and on again: the session goes on unbound
    site.clock.move(minutes=16)
    alice.wire, alice._now = app_wire(site.app), lambda: site.clock().timestamp()
    assert alice.request("/protected").status == 200


def test_a_session_without_its_key_is_signalled_once_a_minute(bound_site: BoundSite) -> None:
    alice = bound_site.expired()
    thief = bound_site.thief_of(alice)
    with heard(bound_site.app) as said:
        for _ in range(3):
            thief.request("/protected")
        bound_site.clock.move(seconds=61)
        thief.request("/protected", headers={"Secure-Session-Skipped": "unreachable"})
    failures = [facts for name, facts in said if name == "device-binding-failed"]
    assert [facts["skipped"] for facts in failures] == [None, "unreachable"]
    assert {facts["user_id"] for facts in failures} == {"alice"}
    assert failures[0]["context"].user_agent == "Thief/6.6"
    assert failures[0]["previous"].user_agent == "Chromium/156"
    assert set(failures[0]) == {"user_id", "session_id", "context", "previous", "skipped"}


def test_the_devices_page_shows_a_lock_on_bound_sessions_alone(bound_site: BoundSite) -> None:
    sign_in(bound_site.browser(can_bind=False))
    alice = bound_site.bound()
    page = alice.visit("/session/devices").body.decode()
    assert page.count("Locked to this browser") == 1
    devices = alice.request("/session/devices", headers={"Accept": "application/json"}).json["devices"]
    assert sorted(session["bound"] for device in devices for session in device["sessions"]) == [False, True]


def test_rows_of_before_the_setting_are_refreshed_as_ever(database_url: str) -> None:
    app, _, _ = make_app(database_url)
    old = sign_in(BoundBrowser(app_wire(app)))
    on = BoundSite(database_url, SECRET_KEY=app.config["SECRET_KEY"])
    on.clock.move(minutes=16)
    old.wire, old._now = app_wire(on.app), lambda: on.clock().timestamp()
    assert old.request("/protected").status == 200
    assert old.request("/session").json["user_id"] == "alice"


def test_a_row_without_the_key_it_was_bound_to_goes_on_unbound(bound_site: BoundSite) -> None:
    """A failover lost the registration."""
    alice = bound_site.expired()
    engine = create_engine(bound_site.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE corbado_session SET binding_key = NULL"))
    engine.dispose()
    assert alice.request("/protected").status == 200
    assert alice.events[-1] == "forgotten: ServerRequestedTermination"
    assert alice.sent[-2:] == [f"POST {REFRESH}+proof 200", "GET /protected 200"]


def test_a_clock_that_is_half_an_hour_ahead_costs_one_more_request(database_url: str) -> None:
    ahead = BoundSite(database_url)
    ahead.clock.move(minutes=30)
    here = BoundSite(database_url, SECRET_KEY=ahead.app.config["SECRET_KEY"])
    alice = ahead.bound()
    alice.wire, alice._now = app_wire(here.app), lambda: here.clock().timestamp()
    alice.jar.delete(SHORT)
    assert alice.request("/protected").status == 200
    for _ in range(3):  # its own challenges are older than the one answered last
        alice.session.challenge = None
        alice.jar.delete(SHORT)
        assert alice.request("/protected").status == 200
    assert "forgotten" not in " ".join(alice.events)


def test_a_browser_that_lost_its_key_costs_one_sign_in_and_no_other_session(bound_site: BoundSite) -> None:
    phone, alice = bound_site.bound(user_agent="Phone/1"), bound_site.bound()
    alice.sessions.clear()
    bound_site.clock.move(minutes=16)
    with heard(bound_site.app) as said:
        assert alice.request("/protected").json["reason"] == "unproven"
        sign_in(alice)
        for _ in range(3):
            bound_site.clock.move(minutes=16)
            assert alice.request("/protected").status == 200
    assert [name for name, _ in said].count("session-started") == 1
    assert is_fine(bound_site, phone)
    assert bound_site.live_rows() == 2  # the one whose key was lost was superseded


def test_a_request_that_lost_its_new_cookie_to_another_tab_is_not_signed_out(bound_site: BoundSite) -> None:
    """Another tab's 307 takes the short cookie away, and arrives after the refresh that gave this one its own."""
    alice = bound_site.expired()
    assert alice.request("/protected").status == 200
    overtaken = bound_site.thief_of(alice)  # held back once already: it goes out without a cookie, and proves no more
    overtaken.jar.delete(SHORT)
    with heard(bound_site.app) as said:
        reply = overtaken.request("/protected")
        assert (reply.status, reply.code, reply.json["reason"]) == (503, "device_proof_pending", "overtaken")
        headers = {"Cookie": overtaken.jar.header(), "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}
        page = overtaken.wire("GET", "/protected", headers, b"")
        assert (page.status, page.header("Refresh")) == (200, "0; url=/protected")
        assert said == []
    bound_site.clock.move(seconds=11)
    assert overtaken.request("/protected").status == 401
