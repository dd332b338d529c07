"""Sign-ins that last less than the rest, and sign-ins at which nobody proved who they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_corbado_session import confirm_login, current_session, fresh_login_required, login_user
from flask_corbado_session.testing import MovingClock, expire_short, signed_in
from tests.support.site import Site


@pytest.mark.parametrize("refreshed_after", [timedelta(minutes=20), timedelta(minutes=50)])
def test_a_shorter_lifetime_is_kept_through_refreshes(
    app: Flask, clock: MovingClock, refreshed_after: timedelta
) -> None:
    app.add_url_rule("/short", "short", lambda: str(login_user("alice", lifetime=timedelta(hours=1))))
    browser = app.test_client()
    browser.get("/short")
    clock.move(refreshed_after)
    expire_short(browser)
    answer = browser.get("/who")
    assert answer.json is not None
    assert answer.json["user_id"] == "alice"
    assert longest_age(answer) <= timedelta(hours=1) - refreshed_after + timedelta(seconds=1)
    clock.move(timedelta(hours=1))
    expire_short(browser)
    assert browser.get("/protected").status_code == 401


def test_no_lifetime_is_longer_than_the_setting(app: Flask) -> None:
    app.add_url_rule("/long", "long", lambda: str(login_user("alice", lifetime=timedelta(days=4000))))
    assert longest_age(app.test_client().get("/long", headers={"User-Agent": "x"})) == timedelta(days=30)


def longest_age(answer: TestResponse) -> timedelta:
    """Of the session's cookies; the device's lasts longer."""
    cookies = [cookie for cookie in answer.headers.getlist("Set-Cookie") if "device" not in cookie]
    return timedelta(seconds=max(int(age) for age in re.findall(r"Max-Age=(\d+)", "; ".join(cookies))))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
def test_a_lifetime_of_nothing_is_an_error(app: Flask, lifetime: timedelta) -> None:
    with app.test_request_context(), pytest.raises(ValueError, match="longer than nothing"):
        login_user("alice", lifetime=lifetime)


def test_step_up_asks_at_once_where_nobody_proved_who_they_are(site: Site) -> None:
    site.app.add_url_rule("/fresh", "fresh", fresh_login_required(lambda: "fresh"))
    site.app.add_url_rule("/confirm", "confirm", lambda: str(confirm_login() and bool(current_session.auth_time)))
    browser = signed_in(site.app, "alice", fresh=False)
    assert browser.get("/fresh").status_code == 401
    expire_short(browser)
    assert browser.get("/fresh").status_code == 401
    assert browser.get("/confirm").text == "True"
    assert browser.get("/fresh").text == "fresh"
