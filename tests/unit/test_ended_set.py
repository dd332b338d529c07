"""The ids ended meanwhile: at most a query per interval, nobody waits long, and no end is forgotten too early."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from flask_corbado_session.model.clock import Clock, to_ms
from flask_corbado_session.model.errors import StoreUnavailable, TablesMissing
from flask_corbado_session.model.records import Changes
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.verification.ended import LONGEST_WAIT, EndedSessionCache, EndedSet
from tests.support.rules import NOON

SECOND, QUARTER = timedelta(seconds=1), timedelta(minutes=15)
OVERLAP = 60_000
NOW = to_ms(NOON)
Holds = Callable[[str], bool]


class EndedRows:
    """What another process ended, and what was asked for; the query may fail or take its time."""

    def __init__(self) -> None:
        self.ended: dict[str, int] = {}
        self.asked: list[int] = []
        self.before: Callable[[], None] = lambda: None

    def fetch(self, since: int) -> Changes:
        self.asked.append(since)
        self.before()
        return Changes([(session_id, at) for session_id, at in self.ended.items() if at > since])


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(NOON)


@pytest.fixture
def rows() -> EndedRows:
    return EndedRows()


@pytest.fixture
def ended(rows: EndedRows, clock: MovingClock) -> EndedSet:
    return EndedSet(rows.fetch, Clock(clock), SECOND, QUARTER)


@pytest.fixture
def holds(ended: EndedSet, clock: MovingClock) -> Holds:
    """Ask as a request does that came just now."""
    return lambda session_id: ended.holds(session_id, clock.at)


def test_the_first_request_asks(holds: Holds, rows: EndedRows) -> None:
    rows.ended["a"] = NOW - 1
    assert holds("a")
    assert not holds("b")
    assert len(rows.asked) == 1


def test_nobody_asks_again_within_the_interval(holds: Holds, rows: EndedRows, clock: MovingClock) -> None:
    holds("a")
    clock.move(milliseconds=999)
    rows.ended["a"] = NOW + 500
    assert not holds("a")
    assert len(rows.asked) == 1


def test_what_another_process_ended_is_known_after_an_interval(
    holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    holds("a")
    rows.ended["a"] = NOW + 500
    clock.move(SECOND)
    assert holds("a")
    assert len(rows.asked) == 2


def test_the_interval_counts_from_the_answer(holds: Holds, rows: EndedRows, clock: MovingClock) -> None:
    """A query that takes longer than the interval would be asked again by each request otherwise."""

    def slowly() -> None:
        clock.move(SECOND)

    rows.before = slowly
    holds("a")
    clock.move(milliseconds=999)
    holds("a")
    assert len(rows.asked) == 1
    clock.move(milliseconds=1)
    holds("a")
    assert len(rows.asked) == 2


def test_what_this_process_ended_is_known_at_once(ended: EndedSet, holds: Holds, rows: EndedRows) -> None:
    holds("a")
    ended.add(["a"])
    assert holds("a")
    assert len(rows.asked) == 1


def test_the_first_query_looks_back_a_short_lifetime_and_the_next_ones_a_minute(
    holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    holds("a")
    clock.move(SECOND)
    holds("a")
    assert rows.asked == [NOW - 15 * 60_000 - OVERLAP, NOW - OVERLAP]


def test_an_end_is_kept_as_long_as_a_short_session_can_live(
    ended: EndedSet, holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    ended.add(["a"])
    clock.move(QUARTER)
    assert holds("a")
    clock.move(milliseconds=OVERLAP)
    assert not holds("a")


def test_a_process_that_slept_asks_for_all_it_missed(holds: Holds, rows: EndedRows, clock: MovingClock) -> None:
    holds("a")
    rows.ended["a"] = NOW + 1
    clock.move(minutes=10)
    assert holds("a")


def test_a_clock_set_back_does_not_keep_anybody_from_asking(holds: Holds, rows: EndedRows, clock: MovingClock) -> None:
    holds("a")
    clock.move(hours=-1)
    rows.ended["a"] = to_ms(clock.at)
    assert holds("a")
    assert len(rows.asked) == 2


def test_when_the_query_fails_the_last_set_serves_until_the_next_interval(
    holds: Holds, rows: EndedRows, clock: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StoreUnavailable("the database did not answer")

    rows.ended["a"] = NOW - 1
    holds("a")
    rows.before = fail
    clock.move(SECOND)
    with caplog.at_level(logging.WARNING):
        assert holds("a")
        assert not holds("b")
    assert len(rows.asked) == 2
    assert "the last known set serves" in caplog.text
    rows.before, rows.ended["b"] = lambda: None, NOW + 10
    clock.move(SECOND)
    assert holds("b")


def test_what_was_missed_while_the_database_was_down_is_asked_for_later(
    holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    def fail() -> None:
        raise StoreUnavailable("down")

    holds("a")
    rows.before, rows.ended["a"] = fail, NOW + 1000
    for _ in range(120):
        clock.move(SECOND)
        assert not holds("a")
    rows.before = lambda: None
    clock.move(SECOND)
    assert holds("a")


def test_one_asks_while_the_others_wait_and_then_see_what_he_saw(holds: Holds, rows: EndedRows) -> None:
    at_work = threading.Event()

    def slowly() -> None:
        at_work.set()
        time.sleep(0.1)

    rows.before, rows.ended["a"] = slowly, NOW - 1
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(holds("a"))) for _ in range(8)]
    threads[0].start()
    at_work.wait(2)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8
    assert len(rows.asked) == 1


def test_nobody_waits_longer_than_a_quarter_of_a_second(holds: Holds, rows: EndedRows) -> None:
    at_work, done = threading.Event(), threading.Event()

    def hang() -> None:
        at_work.set()
        done.wait(5)

    rows.before = hang
    asking = threading.Thread(target=lambda: holds("a"))
    asking.start()
    at_work.wait(2)
    before = time.monotonic()
    assert not holds("a")
    waited = time.monotonic() - before
    done.set()
    asking.join()
    assert LONGEST_WAIT == 0.25
    assert 0.2 < waited < 1


def hang(done: threading.Event) -> None:
    done.wait(5)


def test_a_database_that_hangs_is_waited_for_once_and_not_each_second_anew(
    holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    """One slow second of the database was a slow second of every page, also for the request that asked."""
    done = threading.Event()
    rows.before = lambda: hang(done)
    waits = []
    for _ in range(4):
        before = time.monotonic()
        assert not holds("a")
        waits.append(time.monotonic() - before)
        clock.move(SECOND)
    done.set()
    assert 0.2 < waits[0] < 1
    assert max(waits[1:]) < 0.1


def test_a_database_that_is_back_is_waited_for_again(holds: Holds, rows: EndedRows, clock: MovingClock) -> None:
    done = threading.Event()
    rows.before = lambda: hang(done)
    assert not holds("a")
    done.set()
    rows.before = lambda: None
    rows.ended["a"] = NOW + 1000
    until = time.monotonic() + 5
    while not holds("a"):
        assert time.monotonic() < until
        clock.move(SECOND)
        time.sleep(0.01)
    rows.ended["b"] = to_ms(clock.at)
    clock.move(SECOND)
    assert holds("b")  # at once: it was waited for


def test_a_mistake_is_raised_where_the_set_is_asked_for(holds: Holds, rows: EndedRows) -> None:
    """Missing tables are a developer's mistake, which must not be lost in a thread."""

    def fail() -> None:
        raise TablesMissing

    rows.before = fail
    with pytest.raises(TablesMissing):
        holds("a")
    rows.before = lambda: None
    assert not holds("a")


def test_ends_added_while_the_set_is_brought_up_to_date_are_kept(
    ended: EndedSet, holds: Holds, rows: EndedRows, clock: MovingClock
) -> None:
    """The set was walked through while another thread added to it: a RuntimeError, and a 500 for whoever asked."""
    rows.ended = {f"old {number}": NOW - 1 for number in range(20_000)}
    holds("a")
    stop = threading.Event()
    added: list[str] = []

    def add() -> None:
        while not stop.is_set():
            added.append(f"new {len(added)}")
            ended.add([added[-1]])

    adding = threading.Thread(target=add)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    adding.start()
    try:
        for _ in range(30):
            clock.move(SECOND)
            ended.bring_up_to_date()
    finally:
        stop.set()
        adding.join()
        sys.setswitchinterval(interval)
    assert all(holds(session_id) for session_id in added)


# ---- short sessions that no longer count


def test_a_short_session_made_in_the_millisecond_of_the_expiry_is_stale(ended: EndedSet) -> None:
    ended.invalidate_before(["a"], NOW)
    assert ended.is_stale("a", NOON)
    assert ended.is_stale("a", NOON - timedelta(milliseconds=1))
    assert not ended.is_stale("a", NOON + timedelta(milliseconds=1))
    assert not ended.is_stale("b", NOON)


# ---- ended sessions that are remembered


@pytest.fixture
def cache(clock: MovingClock) -> EndedSessionCache:
    return EndedSessionCache(Clock(clock))


def test_an_ended_session_is_remembered_for_a_minute(cache: EndedSessionCache, clock: MovingClock) -> None:
    cache.remember(["a"], "revoked")
    assert (cache.reason("a"), cache.reason("b")) == ("revoked", None)
    clock.move(milliseconds=59_999)
    assert cache.reason("a") == "revoked"
    clock.move(milliseconds=1)
    assert cache.reason("a") is None


def test_what_is_remembered_is_forgotten_when_told_so(cache: EndedSessionCache) -> None:
    cache.remember(["a"], "revoked")
    cache.clear()
    assert cache.reason("a") is None


def test_what_is_remembered_is_bounded(cache: EndedSessionCache) -> None:
    """One operator may end a hundred thousand sessions at once."""
    ids = [str(number) for number in range(5000)]
    cache.remember(ids, "operator")
    cache.remember(["first again"], "operator")
    cache.remember(["4500"], "expired")
    remembered = [session_id for session_id in ids if cache.reason(session_id)]
    assert remembered == ids[905:]
    assert cache.reason("4500") == "expired"


def test_of_many_the_one_seen_longest_ago_is_forgotten_first(cache: EndedSessionCache) -> None:
    cache.remember(["a", "b"], "revoked")
    cache.remember(["a"], "revoked")
    cache.remember([str(number) for number in range(4095)], "revoked")
    assert (cache.reason("a"), cache.reason("b")) == ("revoked", None)


def test_threads_may_remember_at_once(cache: EndedSessionCache) -> None:
    errors: list[BaseException] = []

    def remember(name: int) -> None:
        try:
            for number in range(300):
                cache.remember([f"{name} {number} {each}" for each in range(50)], "revoked")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=remember, args=(name,)) for name in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert errors == []
