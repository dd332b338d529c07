"""The real app over HTTP against the oracle: an honest browser, a thief with a copied jar, and a clock that jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flask_corbado_session import ANY_USER, CorbadoSession, session_refreshed, session_reuse_detected
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, statements
from tests.support.jars import LONG, SHORT, Answer, Jar, Sent, SessionRows, as_row, asked, payload, processed
from tests.support.oracle import BURST_WINDOW, MIN_AGE, Kind, Row, kind, present, read
from tests.support.site import look_up_ended

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400_000
SHORT_LIFETIME, IDLE, CACHE_TTL = 900_000, 7 * DAY, 60_000
REQUEST_DELAY, ANSWER_DELAY = 15_000, BURST_WINDOW + 25_000
assert REQUEST_DELAY + ANSWER_DELAY <= MIN_AGE - BURST_WINDOW

JUMPS = [MIN_AGE + 1, BURST_WINDOW + 1, SHORT_LIFETIME, 1, BURST_WINDOW, MIN_AGE, 4_000, 15_000, 2 * MIN_AGE, 5 * DAY]
STATEMENTS = {"promote": 1, "reopen": 1, "rollback": 1, "hold": 2, "reissue": 2, "reuse": 3, "ended": 2, "dead": 0}
NUMBER = st.integers(0, 11)
SELDOM = st.sampled_from([False] * 7 + [True])


class World(NamedTuple):
    """The app and its database, the same for all runs of the machine."""

    app: Flask
    sessions: CorbadoSession
    rows: SessionRows
    clock: MovingClock
    ahead: int
    """Statements that a request with a valid short session may take to refresh it ahead of time."""


class OnItsWay(NamedTuple):
    """A request or an answer, whose it is, and when it left (true time)."""

    jar: Jar
    what: Any
    left: int


class Machine(RuleBasedStateMachine):
    """Each step does one thing to the app and compares everything that may have changed with the oracle."""

    world: ClassVar[World]

    @initialize()
    def start(self) -> None:
        app, _, rows, clock, _ = self.world
        rows.run("DELETE FROM corbado_session")
        clock.at = START
        self.elapsed = 0
        """Milliseconds of true time; the clock may go back, time does not."""
        self.owner, self.thief = Jar(), Jar()
        self.requests: list[OnItsWay] = []
        self.answers: list[OnItsWay] = []
        self.before: list[tuple[str, dict[str, Any]]] = []
        """Earlier rows, for a failover."""
        self.overwritten: list[tuple[int, dict[str, str]]] = []
        self.dead: dict[str, int] = {}
        self.nonces: set[bytes] = set()
        self.is_honest = True
        asked(app, Jar(), "/sign-in", "POST", user="bob")
        self.bobs = rows.all()
        self.signs_in()

    # ---- what is so at all times

    @property
    def now(self) -> int:
        return (self.world.clock.at - EPOCH) // timedelta(milliseconds=1)

    @invariant()
    def nobody_else_was_touched(self) -> None:
        rows = self.world.rows.all()
        assert {each["id"]: each for each in rows.values() if each["user_id"] == "bob"} == self.bobs
        for row in rows.values():
            assert row["expires_at"] == row["created_at"] + 30 * DAY

    # ---- the owner signs in and out, others end what they have

    @precondition(lambda self: LONG not in self.owner.cookies or self.held()["ended_at"] is not None)
    @rule()
    def sign_in(self) -> None:
        """A new session; the one presented ends as superseded."""
        self.signs_in()

    @precondition(lambda self: LONG in self.owner.cookies)
    @rule(now=SELDOM, how=st.sampled_from(["sign out", "revoke", "sign in again", "never came back", "month"]))
    def end(self, now: bool, how: str) -> None:
        if not now:
            return
        was = self.held()
        if how == "revoke":
            with self.world.app.app_context():
                self.world.sessions.revoke(was["id"], user_id=ANY_USER)
            self.now_ended(was, "operator")
        elif how == "sign out":
            answer = asked(self.world.app, self.owner, "/sign-out", "POST")
            assert answer.cookies == {SHORT: None, LONG: None}
            self.now_ended(was, "signed_out")
        elif how == "sign in again":
            self.signs_in()
            self.now_ended(was, "superseded")
        else:
            self.let_pass(IDLE if how == "never came back" else 31 * DAY)

    def held(self) -> dict[str, Any]:
        """The row of the owner's session."""
        return self.world.rows.all()[read(self.owner.cookies[LONG]).session_id]

    def signs_in(self) -> None:
        old = self.world.rows.all()
        asked(self.world.app, self.owner, "/sign-in", "POST", short=True, user="alice")
        rows = self.world.rows.all()
        (new,) = rows.keys() - old.keys()
        assert as_row(rows[new])._replace(token_hash=b"") == Row(0, b"", self.now, 0)
        for each in old:
            if old[each]["ended_at"] != rows[each]["ended_at"]:
                self.is_dead_for_a_while(each)
        self.overwritten.clear()

    def now_ended(self, was: dict[str, Any], reason: str) -> None:
        """The row ended now, if it had not before; nothing else in it changed."""
        is_new = was["ended_at"] is None
        end = {"ended_at": self.now, "end_reason": reason} if is_new else {}
        assert self.world.rows.all()[was["id"]] == was | end
        if is_new and reason != "operator":
            self.is_dead_for_a_while(was["id"])

    def is_dead_for_a_while(self, session_id: str) -> None:
        """Or longer, if that was found out before the clock was set back."""
        self.dead[session_id] = max(self.now + CACHE_TTL, self.dead.get(session_id, 0))

    # ---- requests and answers on their way

    @precondition(lambda self: LONG in self.owner.cookies and len(self.requests) < 4)
    @rule(short=SELDOM, times=st.integers(1, 3))
    def send(self, short: bool, times: int) -> None:
        self.requests += [OnItsWay(self.owner, self.owner.sends(short=short), self.elapsed)] * times

    @precondition(lambda self: self.requests)
    @rule(number=NUMBER)
    def process(self, number: int) -> None:
        jar, sent, _ = self.requests.pop(number % len(self.requests))
        answer = self.processed(sent)
        self.answers.append(OnItsWay(jar, answer, self.elapsed))

    @precondition(lambda self: self.answers)
    @rule(number=NUMBER)
    def deliver(self, number: int) -> None:
        jar, answer, _ = self.answers.pop(number % len(self.answers))
        if jar is self.owner:
            self.overwritten.append((self.elapsed, dict(jar.cookies)))
        jar.take(answer)

    @precondition(lambda self: LONG in self.owner.cookies)
    @rule(ms=st.sampled_from(JUMPS), short=SELDOM)
    def come_back(self, ms: int, short: bool) -> None:
        """After a while, and all of it at once, as it is nearly always."""
        self.let_pass(ms)
        self.owner.take(self.processed(self.owner.sends(short=short)))
        self.overwritten.clear()

    @precondition(lambda self: LONG in self.owner.cookies)
    @rule(ms=st.sampled_from(JUMPS))
    def lose_an_answer_and_come_back(self, ms: int) -> None:
        self.processed(self.owner.sends())
        self.let_pass(ms)

    @precondition(lambda self: self.overwritten)
    @rule(number=NUMBER)
    def roll_the_cookies_back(self, number: int) -> None:
        """The browser crashed before they reached the disk; long ago counts as a copied profile."""
        at, cookies = self.overwritten[number % len(self.overwritten)]
        self.is_honest &= not self.requests and not self.answers and self.elapsed == at
        self.owner.cookies = dict(cookies)
        self.overwritten.clear()

    # ---- the thief

    @precondition(lambda self: LONG in self.owner.cookies and self.stolen() != self.held()["id"])
    @rule()
    def steal(self) -> None:
        self.thief = self.owner.copy()

    @precondition(lambda self: LONG in self.thief.cookies)
    @rule(ms=st.sampled_from(JUMPS), short=SELDOM)
    def the_thief_comes_back(self, ms: int, short: bool) -> None:
        self.is_honest = False  # from now on
        self.let_pass(ms)
        self.thief.take(self.processed(self.thief.sends(short=short)))

    def stolen(self) -> str | None:
        """The session the thief has."""
        return read(self.thief.cookies[LONG]).session_id if LONG in self.thief.cookies else None

    # ---- time and the database

    @rule(ms=st.sampled_from(JUMPS))
    def time_passes(self, ms: int) -> None:
        self.let_pass(ms)

    def let_pass(self, ms: int) -> None:
        """What is on its way for longer than the protocol allows for is lost."""
        self.world.clock.move(milliseconds=ms)
        self.elapsed += ms
        self.requests = [each for each in self.requests if self.elapsed - each.left <= REQUEST_DELAY]
        self.answers = [each for each in self.answers if self.elapsed - each.left <= ANSWER_DELAY]

    @rule(ms=st.sampled_from(JUMPS[:-1]))
    def set_the_clock_back(self, ms: int) -> None:
        self.world.clock.move(milliseconds=-ms)

    @precondition(lambda self: self.before)
    @rule(lost=st.integers(1, 3))
    def fail_over(self, lost: int) -> None:
        """The last commits of a rotation are gone."""
        session_id, row = self.before[-min(lost, len(self.before))]
        self.before.clear()
        if self.world.rows.all()[session_id]["ended_at"] is None:
            self.is_honest &= not self.requests and not self.answers and not self.overwritten
            self.world.rows.put(session_id, **row)

    # ---- one request against the oracle

    def processed(self, sent: Sent) -> Answer:
        look_up_ended(self.world.app)  # now, so that its statement is not among those counted
        old, signals = self.world.rows.all(), Signals(self.world.app)
        with statements(self.world.app) as run, signals:
            answer = processed(self.world.app, sent)
        new = self.world.rows.all()
        shown = read(sent.cookies[LONG])
        was = old[shown.session_id]
        assert sum(old[each] != new[each] for each in old) <= 1
        if SHORT in sent.cookies and len(run) <= self.world.ahead and not answer.cookies and answer.status == 200:
            assert was["ended_at"] is None
            assert not run or kind(as_row(was), shown.token, self.now) in ("hold", "reissue", "reuse")
            assert payload(sent.cookies[SHORT])["exp"] * 1000 > self.now
            assert new == old
            return answer
        what = self.expected(was, sent)
        assert new[shown.session_id] == self.row_after(was, what, sent)
        assert len(run) == STATEMENTS[what]
        self.check_answer(what, answer, sent, was)
        signals.check(what, was, sent)
        if what == "reuse":
            assert not self.is_honest, "an honest browser was thrown out"
        if new[shown.session_id] != was:
            self.before.append((shown.session_id, was))
        self.is_honest &= new[shown.session_id]["reopened"] < 8
        return answer

    def expected(self, was: dict[str, Any], sent: Sent) -> Kind | str:
        shown = read(sent.cookies[LONG])
        if self.now < self.dead.get(shown.session_id, self.now):
            return "dead"
        if was["ended_at"] is not None or min(was["expires_at"], was["idle_expires_at"]) <= self.now:
            self.dead[shown.session_id] = self.now + CACHE_TTL
            return "ended"
        what = kind(as_row(was), shown.token, self.now)
        if what == "reuse":
            self.dead[shown.session_id] = self.now + CACHE_TTL
        return what

    def row_after(self, was: dict[str, Any], what: str, sent: Sent) -> dict[str, Any]:
        if what in ("ended", "dead", "hold", "reissue"):
            return was
        if what == "reuse":
            end = {"ended_at": self.now, "end_reason": "reuse"}
            return was | end | {"previous_ip": sent.ip, "previous_user_agent": sent.user_agent}
        token = read(sent.cookies[LONG]).token
        row, _ = present(as_row(was), token, self.now)
        others = {"previous_ip": was["ip"], "previous_user_agent": was["user_agent"]}
        return was | row._asdict() | {
            "last_step": token.generation - was["generation"],
            "last_seen_at": self.now,
            "idle_expires_at": min(self.now + IDLE, was["expires_at"]),
            "ip": sent.ip,
            "user_agent": sent.user_agent,
            **(others if what == "reopen" else dict.fromkeys(others)),
        }  # fmt: skip

    def check_answer(self, what: str, answer: Answer, sent: Sent, was: dict[str, Any]) -> None:
        if what in ("ended", "dead", "reuse"):
            assert (answer.status, answer.cookies) == (401, {})
            return
        assert answer.status == 200
        assert answer.cookies.keys() == ({SHORT} if what == "hold" else {SHORT, LONG})
        claims = payload(answer.cookies[SHORT] or "")
        assert (claims["sub"], claims["sid"]) == ("alice", was["id"])
        assert claims["exp"] == min(self.now + SHORT_LIFETIME, was["expires_at"]) // 1000
        if what != "hold":
            shown, child = read(sent.cookies[LONG]), read(answer.cookies[LONG] or "")
            assert (child.session_id, child.secret) == (shown.session_id, shown.secret)
            assert (child.token.generation, child.token.parent_hash) == (shown.token.generation + 1, shown.token.hash)
            assert child.nonce not in self.nonces
            self.nonces.add(child.nonce)


class Signals:
    """What the app was told during one request."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._heard: list[dict[str, Any]] = []

    def __enter__(self) -> Signals:
        session_refreshed.connect(self._hear, self._app)
        session_reuse_detected.connect(self._hear, self._app)
        return self

    def __exit__(self, *_: object) -> None:
        session_refreshed.disconnect(self._hear, self._app)
        session_reuse_detected.disconnect(self._hear, self._app)

    def _hear(self, sender: object, **facts: Any) -> None:
        self._heard.append(facts)

    def check(self, what: str, was: dict[str, Any], sent: Sent) -> None:
        """One signal with both contexts where two browsers may be at work, none for an end that is not news."""
        if what in ("ended", "dead"):
            assert self._heard == []
            return
        (heard,) = self._heard
        assert heard.get("kind", "reuse") == what
        assert (heard["session_id"], heard["user_id"]) == (was["id"], "alice")
        assert (heard["context"].ip, heard["context"].user_agent) == (sent.ip, sent.user_agent)
        if what in ("reopen", "reuse"):
            assert (heard["previous"].ip, heard["previous"].user_agent) == (was["ip"], was["user_agent"])
        else:
            assert heard["previous"] is None


@pytest.mark.slow
@pytest.mark.timeout(400)  # what fails is shrunk first, which takes longer than all that passes
@pytest.mark.parametrize("ahead", [None, 0.6], ids=["lazy", "ahead of time"])
def test_the_app_does_what_the_oracle_says(database_url: str, ahead: float | None) -> None:
    app, _, sessions = make_app(database_url, CORBADO_SESSION_REFRESH_AHEAD=ahead)
    with SessionRows(database_url) as rows:
        Machine.world = World(app, sessions, rows, move_clock(app, START), 0 if ahead is None else 1)
        quick = settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Machine, settings=quick)
