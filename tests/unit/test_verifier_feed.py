"""The feed of revocations over a real loopback issuer: what it ends, how soon, and what a broken one can't do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from flask_corbado_session import ShortSessionVerifier
from flask_corbado_session.model.clock import Clock, to_ms
from flask_corbado_session.model.errors import InvalidShortSession, StoreUnavailable
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.verification import ended as ended_module
from flask_corbado_session.verification.ended import LONGEST_WAIT
from flask_corbado_session.verification.verifier import read_feed
from tests.support.issuers import FEED, Answer, Issuer, body, claims_at, document, public, redirect, signed, status
from tests.support.key_files import NOON, a_jwk
from tests.support.stopwatch import Stopwatch

ISSUER = "https://auth.example.com"
KEY = a_jwk("EdDSA")
NOW = to_ms(NOON)
SESSION = "s" * 30
TOKEN = signed(claims_at(NOON, ISSUER, exp=int(NOON.timestamp()) + 3600), KEY)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        issuer.publish(public(KEY))
        yield issuer


def verifying(issuer: Issuer, clock: MovingClock, feed_url: str | None = None) -> ShortSessionVerifier:
    """A verifier that has its keys already."""
    feed_url = feed_url or issuer.feed_url
    verifier = ShortSessionVerifier(
        issuer=ISSUER, jwks_url=issuer.keys_url, revocations_url=feed_url, clock=Clock(clock)
    )
    assert verifier.keys.find(KEY["kid"])
    return verifier


class Feed:
    """What the issuer's feed says: the ids that ended, and when (in its own time)."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer, self.ended, self.not_before = issuer, dict[str, int](), dict[str, int]()
        self.now, self.page, self.asked = NOW, 10_000, list[int]()
        issuer.answers[FEED] = self.answer

    def answer(self, request: Any) -> None:
        since = int(request.path.partition("since=")[2])
        self.asked.append(since)
        listed = sorted((at, session_id) for session_id, at in self.ended.items() if at > since)
        ended, more = listed[: self.page], len(listed) > self.page
        not_before = {session_id: at for session_id, at in self.not_before.items() if at > since}
        until = ended[-1][0] if more else self.now
        told = {
            "ended": [session_id for _, session_id in ended],
            "not_before": not_before,
            "until": until,
            "more": more,
        }
        document(told)(request)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(NOON)


@pytest.fixture
def feed(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """The feed, waited for however busy this machine is."""
    waits(monkeypatch, 5)
    return Feed(issuer)


def waits(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have requests wait this long for the feed, instead of a quarter of a second."""
    monkeypatch.setattr(ended_module, "LONGEST_WAIT", seconds)


Verdict = Callable[[], str]


@pytest.fixture
def verdict(issuer: Issuer, feed: Feed, clock: MovingClock) -> Verdict:
    """What becomes of a good token of the session now."""
    verifier = verifying(issuer, clock)

    def verdict() -> str:
        try:
            return verifier.verify(TOKEN).user_id
        except InvalidShortSession as error:
            return error.code

    return verdict


def test_what_the_feed_names_is_out_with_the_next_poll(verdict: Verdict, feed: Feed, clock: MovingClock) -> None:
    assert verdict() == "alice"
    feed.ended[SESSION] = NOW + 10
    clock.move(milliseconds=999)
    assert verdict() == "alice"
    assert len(feed.asked) == 1
    clock.move(milliseconds=1)
    assert verdict() == "revoked"
    assert len(feed.asked) == 2


def test_what_had_ended_before_the_service_started_is_out_at_once(verdict: Verdict, feed: Feed) -> None:
    feed.ended[SESSION] = NOW - 600_000
    assert verdict() == "revoked"
    assert feed.asked == [0]


def test_a_revoked_session_of_an_issuer_with_hour_long_short_sessions_stays_out_for_the_whole_hour(
    verdict: Verdict, feed: Feed, clock: MovingClock
) -> None:
    """The feed names what ended lately; the verifier has to keep it for as long as a token of it may be around."""
    feed.ended[SESSION] = NOW + 10
    clock.move(seconds=1)
    assert verdict() == "revoked"
    feed.ended.clear()
    for _ in range(59):
        clock.move(minutes=1)
        feed.now += 60_000
        assert verdict() == "revoked"
    clock.move(seconds=58)
    assert verdict() == "revoked"
    clock.move(seconds=1)
    assert verdict() == "expired"


def test_another_sessions_end_is_nothing_to_it(verdict: Verdict, feed: Feed) -> None:
    feed.ended |= {"t" * 30: NOW, "": NOW, SESSION[:-1]: NOW}
    assert verdict() == "alice"


def test_a_token_made_before_its_claims_changed_is_to_be_refreshed(
    verdict: Verdict, feed: Feed, clock: MovingClock
) -> None:
    assert verdict() == "alice"
    feed.not_before[SESSION] = NOW + 500
    clock.move(seconds=1)
    assert verdict() == "expired"


def test_each_poll_asks_for_what_came_since_in_the_issuers_time(
    verdict: Verdict, feed: Feed, clock: MovingClock
) -> None:
    verdict()
    feed.now += 1000
    clock.move(seconds=1)
    verdict()
    assert feed.asked == [0, NOW - 60_000]


@pytest.mark.parametrize("skew", [timedelta(minutes=-5), timedelta(minutes=5), timedelta(minutes=14)])
def test_a_clock_that_differs_from_the_issuers_loses_no_revocation(
    verdict: Verdict, feed: Feed, clock: MovingClock, skew: timedelta
) -> None:
    """It was asked for what came since the service's own time: a minute ahead, and nothing was ever revoked."""
    clock.move(max(skew, timedelta(seconds=-30)))
    feed.now -= skew // timedelta(milliseconds=1)
    verdict()
    feed.ended[SESSION] = feed.now + 10
    feed.now += 1000
    clock.move(seconds=1)
    assert verdict() == "revoked"


def test_an_issuer_whose_clock_was_ahead_is_heard_when_it_is_right_again(
    verdict: Verdict, feed: Feed, clock: MovingClock
) -> None:
    feed.now += 3_600_000
    verdict()
    feed.now = NOW + 1000
    clock.move(seconds=1)
    verdict()
    feed.ended[SESSION] = NOW + 1500
    clock.move(seconds=1)
    assert verdict() == "revoked"


def test_a_feed_of_many_pages_is_read_to_its_end(verdict: Verdict, feed: Feed) -> None:
    feed.page = 2
    feed.ended = {f"session-{number}": NOW - 1000 + number for number in range(9)} | {SESSION: NOW - 1}
    assert verdict() == "revoked"
    assert len(feed.asked) == 5


def test_a_feed_that_says_more_for_ever_is_asked_once(verdict: Verdict, issuer: Issuer) -> None:
    issuer.answers[FEED] = document({"ended": [SESSION], "until": 0, "more": True})
    asked = issuer.count(FEED)
    assert verdict() == "revoked"
    assert issuer.count(FEED) == asked + 1


def test_a_query_in_the_feeds_url_stays(issuer: Issuer, feed: Feed, clock: MovingClock) -> None:
    verifying(issuer, clock, issuer.feed_url + "?tenant=1").verify(TOKEN)
    assert issuer.asked[-1] == f"{FEED}?tenant=1&since=0"


# ---- a feed that fails

FAILURES: dict[str, Answer] = {
    "500": status(500),
    "404": status(404),
    "HTML": body(b"<!doctype html>", kind="text/html"),
    "empty": body(b""),
    "10 MB": body(b" " * 10_000_000),
    "a redirect elsewhere": redirect("http://localhost:1/feed"),
    "a list": document([SESSION]),
    "ids of an object": document({"ended": {SESSION: 1}, "until": 1}),
    "no until": document({"ended": []}),
    "until of a text": document({"ended": [], "until": "1"}),
    "until of a float": document({"ended": [], "until": 1.5}),
    "until true": document({"ended": [], "until": True}),
    "ids of numbers": document({"ended": [1], "until": 1}),
    "not_before of a list": document({"ended": [], "not_before": [SESSION], "until": 1}),
    "not_before at a text": document({"ended": [], "not_before": {SESSION: "1"}, "until": 1}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_while_the_feed_fails_the_last_set_serves_and_the_log_says_so(
    verdict: Verdict, feed: Feed, issuer: Issuer, clock: MovingClock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    feed.ended["t" * 30] = NOW
    assert verdict() == "alice"
    assert caplog.records == []
    feed.ended[SESSION], issuer.answers[FEED] = NOW, FAILURES[name]
    clock.move(seconds=1)
    assert verdict() == verdict() == "alice"
    (record,) = caplog.records
    assert (record.levelno, "the last known set serves" in record.message) == (logging.WARNING, True)
    issuer.answers[FEED] = feed.answer
    clock.move(seconds=1)
    assert verdict() == "revoked"


def test_what_was_revoked_stays_so_while_the_feed_fails(
    verdict: Verdict, feed: Feed, issuer: Issuer, clock: MovingClock
) -> None:
    feed.ended[SESSION] = NOW
    assert verdict() == "revoked"
    issuer.answers[FEED] = status(500)
    for _ in range(3):
        clock.move(seconds=1)
        assert verdict() == "revoked"


def test_what_fails_at_first_is_asked_again_a_second_later(
    verdict: Verdict, feed: Feed, issuer: Issuer, clock: MovingClock
) -> None:
    feed.ended[SESSION], issuer.answers[FEED] = NOW, status(503)
    assert verdict() == "alice"
    issuer.answers[FEED] = feed.answer
    clock.move(seconds=1)
    assert verdict() == "revoked"


@pytest.mark.parametrize("seconds", [0.3, 5])
def test_nobody_waits_longer_than_a_quarter_of_a_second_for_a_slow_feed(
    issuer: Issuer, clock: MovingClock, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    assert LONGEST_WAIT == 0.25
    issuer.answers[FEED] = issuer.after(seconds, document({"ended": [], "until": NOW}))
    verifier = verifying(issuer, clock)
    since = Stopwatch()
    assert verifier.verify(TOKEN).user_id == "alice"
    assert since.seconds < 1.5
    assert "still being fetched" in caplog.text
    since = Stopwatch()
    assert verifier.verify(TOKEN).user_id == "alice"
    assert since.seconds < 0.1


def test_an_answer_that_nobody_waited_for_counts_as_soon_as_it_is_there(
    verdict: Verdict, feed: Feed, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(monkeypatch, 0.05)
    feed.ended[SESSION], issuer.answers[FEED] = NOW, issuer.after(0.3, feed.answer)
    assert verdict() == "alice"
    deadline = time.monotonic() + 3
    while verdict() != "revoked":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_late_answers_none_is_lost(
    verdict: Verdict, feed: Feed, issuer: Issuer, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one was taken for all until now, and the other overwritten before anybody had asked for it."""
    waits(monkeypatch, 0.05)
    issuer.answers[FEED] = issuer.after(0.2, feed.answer)
    verdict()
    time.sleep(0.4)
    feed.ended[SESSION], feed.now = NOW + 1000, NOW + 300_000
    clock.move(minutes=5)
    verdict()
    time.sleep(0.4)
    issuer.answers[FEED] = feed.answer
    clock.move(seconds=1)
    assert verdict() == "revoked"


def test_the_feed_is_fetched_once_at_a_time(issuer: Issuer, clock: MovingClock) -> None:
    issuer.answers[FEED] = issuer.after(1, document({"ended": [], "until": NOW}))
    verifier, asked = verifying(issuer, clock), issuer.count(FEED)
    for _ in range(3):
        clock.move(seconds=1)
        verifier.verify(TOKEN)
    assert issuer.count(FEED) == asked + 1


@pytest.mark.parametrize("document", [None, 5, "x", {}, {"ended": None, "until": 1}, {"ended": [None], "until": 1}])
def test_what_is_no_feed_is_said_so(document: Any) -> None:
    with pytest.raises(StoreUnavailable, match="expected the feed"):
        read_feed(document)
