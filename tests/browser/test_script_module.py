"""corbado-session.js in a real browser against a real server, both clocks moved together unless the test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.script_browser import (
    AUTH,
    Browser,
    captive_portal,
    code_of,
    locked,
    remaining,
    show,
    slow_refreshes,
    wait_until_refreshed,
    wait_until_told,
)

# ---- who is signed in


def test_the_module_is_served_as_javascript(browser_of_nobody: Browser) -> None:
    page = browser_of_nobody.tab()
    answer = page.request.get(f"{browser_of_nobody.site.origin()}/session/static/corbado-session.js")
    assert answer.headers["content-type"].split(";")[0] == "text/javascript"


def test_starting_tells_who_is_signed_in_and_makes_no_new_short_session(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    current = page.evaluate("session.current")
    assert (current["user_id"], current["claims"]["sub"], current["expires_at"][-1]) == ("alice", "alice", "Z")
    assert page.evaluate("told") == ["alice"]
    assert browser_of_alice.refreshes() == 0


def test_nobody_is_null_and_said_to_be(browser_of_nobody: Browser) -> None:
    page = browser_of_nobody.begun()
    assert page.evaluate("[session.current, session.remaining, told]") == [None, 0, [None]]


def test_a_sign_in_by_script_is_found_by_a_refresh_and_told_to_the_other_tabs(browser_of_nobody: Browser) -> None:
    page, other = browser_of_nobody.begun(), browser_of_nobody.begun()
    browser_of_nobody.sign_in("bob")
    assert page.evaluate("session.refresh()")["user_id"] == "bob"
    wait_until_told(other, None, "bob")


def test_another_user_who_signs_in_elsewhere_takes_over_every_tab(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.sign_in("bob")
    browser_of_alice.begun()
    wait_until_told(page, "alice", "bob")


# ---- refreshing


def test_a_refresh_comes_under_a_minute_before_the_end(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.pass_time(838)
    assert 60 <= remaining(page) <= 63
    assert browser_of_alice.refreshes() == 0
    browser_of_alice.pass_time(20)
    wait_until_refreshed(page)
    assert browser_of_alice.refreshes() == 1


def test_three_tabs_refresh_once_and_all_know(browser_of_alice: Browser) -> None:
    tabs = [browser_of_alice.begun() for _ in range(3)]
    browser_of_alice.pass_time(870)
    wait_until_refreshed(*tabs)
    assert browser_of_alice.refreshes() == 1


def test_three_tabs_that_ask_at_once_are_served_by_one_refresh(browser_of_alice: Browser) -> None:
    tabs = [browser_of_alice.begun() for _ in range(3)]
    browser_of_alice.pass_time(300)
    with slow_refreshes(browser_of_alice):
        for tab in tabs:
            tab.evaluate("globalThis.asked = Promise.all([session.refresh(), session.refresh()]); 0")
        ends = [each["expires_at"] for tab in tabs for each in tab.evaluate("asked")]
    assert (browser_of_alice.refreshes(), len(set(ends))) == (1, 1)


def test_a_tab_that_waits_for_its_turn_waits_no_longer_than_for_the_result(browser_of_alice: Browser) -> None:
    page, other, holder = browser_of_alice.begun(), browser_of_alice.begun(), browser_of_alice.tab()
    url = f"{browser_of_alice.site.origin(AUTH)}/session"
    holder.evaluate("url => { navigator.locks.request(`corbado-session ${url}`, () => new Promise(() => {})); }", url)
    page.evaluate("globalThis.asked = session.refresh(), undefined")
    page.wait_for_function("navigator.locks.query().then(({ pending }) => pending.length === 1)")
    other.evaluate("session.signOut()")
    late = "new Promise((done) => setTimeout(done, 5000, 'it waits still'))"
    assert page.evaluate(f"Promise.race([asked, {late}])") is None


def test_a_machine_that_slept_for_a_night_wakes_up_signed_in(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.pass_time(9 * 3600)
    wait_until_refreshed(page)
    assert None not in page.evaluate("told")


def test_a_hidden_page_lets_the_short_session_lapse_until_it_is_seen_again(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    show(page, False)
    browser_of_alice.pass_time(1000)
    page.evaluate("fetch('/page')")
    assert (browser_of_alice.refreshes(), page.evaluate("session.current.user_id")) == (0, "alice")
    show(page, True)
    wait_until_refreshed(page)


def test_coming_back_to_a_page_after_a_while_finds_the_session_revoked(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.tab()
    for each in (page, other):
        page.context.new_cdp_session(each).send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    browser_of_alice.server("/revoke", "alice")
    browser_of_alice.pass_time(120)
    assert page.evaluate("session.current.user_id") == "alice"
    page.bring_to_front()
    wait_until_told(page, "alice", None)


def test_a_page_out_of_the_back_forward_cache_asks_what_it_has_missed(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.server("/revoke", "alice")
    page.evaluate(
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    )  # Playwright switches it off
    page.wait_for_function("told.at(-1) === null")


# ---- trouble


def test_offline_signs_nobody_out_and_online_refreshes_at_once(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    with page.expect_console_message(lambda message: message.text.startswith("corbado-session: ")):
        browser_of_alice.context.set_offline(True)
        browser_of_alice.pass_time(1000)
    for _ in range(4):  # by then the next try of its own would come after more than the test's patience
        assert code_of(page, "session.refresh()") == "SessionUnavailable network"
    assert page.evaluate("[session.current.user_id, told]") == ["alice", ["alice"]]
    browser_of_alice.context.set_offline(False)
    wait_until_refreshed(page)


def test_a_page_begun_offline_finds_out_later(browser_of_alice: Browser) -> None:
    page = browser_of_alice.tab()
    browser_of_alice.context.set_offline(True)
    with page.expect_console_message(lambda message: message.text.startswith("corbado-session: ")):
        page.evaluate("globalThis.begun = begin(); 0")
    browser_of_alice.context.set_offline(False)
    assert page.evaluate("begun")["user_id"] == "alice"


def test_a_server_that_cannot_say_is_asked_again_until_it_can(browser_of_alice: Browser, script_database: Path) -> None:
    page = browser_of_alice.begun()
    with locked(script_database):
        browser_of_alice.pass_time(1000)
        assert code_of(page, "session.refresh()") == "SessionUnavailable session_store_unavailable"
    assert page.evaluate("[session.current.user_id, told]") == ["alice", ["alice"]]
    wait_until_refreshed(page)  # by itself, after what Retry-After asked for


def test_an_answer_that_is_no_session_signs_nobody_out(browser_of_alice: Browser) -> None:
    page = browser_of_alice.tab()
    with page.expect_console_message(lambda message: "unreadable" in message.text):
        page.evaluate("globalThis.begun = begin({ url: '/page' }); 0")  # as a captive portal's sign-in page
    assert code_of(page, "session.refresh()") == "SessionUnavailable http_404"
    assert page.evaluate("told") == []


@pytest.mark.slow
def test_a_session_host_that_hangs_holds_the_other_tabs_up_for_ten_seconds_only(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    with slow_refreshes(browser_of_alice, 12), page.expect_request("**/session/refresh"):
        page.evaluate("globalThis.asked = session.refresh().catch(({ code }) => code); 0")
        page.wait_for_timeout(500)  # the server has begun to hang
    assert other.evaluate("session.refresh()")["user_id"] == "alice"
    assert page.evaluate("asked") == "network"


def test_a_browser_whose_clock_is_years_behind_counts_right(browser_of_alice: Browser) -> None:
    browser_of_alice.context.clock.set_system_time(datetime(2001, 1, 1, tzinfo=UTC))
    assert 895 <= remaining(browser_of_alice.begun()) <= 900


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-1)], ids=str)
def test_a_clock_that_jumps_back_delays_no_refresh(browser_of_alice: Browser, jump: timedelta) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.clock.set_system_time(datetime.now(UTC) + jump)
    assert 890 <= remaining(page) <= 900
    browser_of_alice.pass_time(870)
    wait_until_refreshed(page)


def test_a_clock_that_jumps_ahead_costs_one_refresh_and_signs_nobody_out(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.clock.set_system_time(datetime.now(UTC) + timedelta(days=400))
    browser_of_alice.pass_time(40)  # the next look at the clock
    wait_until_refreshed(page)
    browser_of_alice.pass_time(120)
    assert 770 <= remaining(page) <= 780
    assert (browser_of_alice.refreshes(), page.evaluate("told")) == (1, ["alice", "alice"])


def test_without_locks_and_channels_each_tab_looks_after_itself(browser_of_alice: Browser) -> None:
    browser_of_alice.context.add_init_script("delete Navigator.prototype.locks; delete globalThis.BroadcastChannel")
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    browser_of_alice.pass_time(870)
    wait_until_refreshed(page, other)
    page.evaluate("session.signOut()")
    assert other.evaluate("session.refresh()") is None
    assert other.evaluate("told") == ["alice", "alice", None]


# ---- signing out


def test_signing_out_reaches_every_tab(browser_of_alice: Browser) -> None:
    page, other, third = (browser_of_alice.begun() for _ in range(3))
    page.evaluate("session.signOut()")
    for tab in (page, other, third):
        wait_until_told(tab, "alice", None)
    assert other.evaluate("fetch('/api/who').then(({ status }) => status)") == 401


def test_an_answer_that_was_under_way_signs_nobody_in_again(browser_of_alice: Browser) -> None:
    page, other = browser_of_alice.begun(), browser_of_alice.begun()
    with slow_refreshes(browser_of_alice):
        with other.expect_request("**/session/refresh"):
            other.evaluate("globalThis.asked = session.refresh(); 0")
        page.evaluate("session.signOut()")
        assert other.evaluate("asked") is None
    for tab in (page, other):
        tab.wait_for_function("told.at(-1) === null")
    assert page.evaluate("session.refresh()") is None


def test_signing_out_offline_fails_and_says_so(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    browser_of_alice.context.set_offline(True)
    assert code_of(page, "session.signOut()") == "SessionUnavailable network"
    assert page.evaluate("session.current.user_id") == "alice"


def test_signing_out_behind_a_captive_portal_fails_and_says_so(browser_of_alice: Browser) -> None:
    """It answers everything with a redirect to its own page, which says nothing about the session."""
    page = browser_of_alice.begun()
    with captive_portal(browser_of_alice):
        assert code_of(page, "session.signOut()") == "SessionUnavailable network"
    assert page.evaluate("[session.current.user_id, told]") == ["alice", ["alice"]]


def test_a_sign_out_the_database_did_not_hear_of_is_said_to_be_incomplete(
    browser_of_alice: Browser, script_database: Path
) -> None:
    page = browser_of_alice.begun()
    with locked(script_database):
        assert code_of(page, "session.signOut()") == "SessionUnavailable logout_incomplete"
    assert page.evaluate("told") == ["alice", None]


def test_a_stopped_session_asks_nothing_any_more(browser_of_alice: Browser) -> None:
    page = browser_of_alice.begun()
    page.evaluate("session.stop()")
    browser_of_alice.pass_time(1000)
    page.evaluate("dispatchEvent(new Event('focus')), fetch('/page')")
    assert browser_of_alice.refreshes() == 0
