"""An honest browser never comes to THEFT: every state it can reach is looked at; and the search can fail.

One tick stands for 10 s or so: W is 1 tick, P is 4, and all delays together are at most P - W = 3 ticks.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.oracle import Limits, Row, Token, kind
from tests.support.state_search import FRESH, Found, Held, Served, World, child, search, successor_confirmed

NEVER_K = float("inf")
"""No token is opened anew K times: so often an answer would have to be lost without one coming through."""
IN_ORDER = Limits(burst_window=1, min_age=4, max_reopens=NEVER_K)


def explored(world: World, limits: Limits = IN_ORDER) -> Found:
    return search(successor_confirmed(limits), world, oldest=limits.min_age + 1)


# ---- what holds


@pytest.mark.parametrize(("request_delay", "answer_delay", "to_disk"), [
    (0, 3, 0), (1, 2, 0), (2, 1, 0), (3, 0, 0), (0, 1, 2), (1, 0, 2), (0, 2, 1), (1, 1, 1),
])  # fmt: skip
def test_no_honest_browser_comes_to_theft_though_every_short_session_is_refused(
    request_delay: int, answer_delay: int, to_disk: int
) -> None:
    """Three requests at once, lost, answered late and in any order, cookies rolled back, a clock set back, crashes."""
    found = explored(World(request_delay, answer_delay, to_disk, clock_back=True))
    assert found.way is None
    assert found.states > 300


def test_nor_when_all_of_it_happens_and_the_database_fails_over() -> None:
    found = explored(World(1, 1, 1, earlier=1, failover="quiet", clock_back=True))
    assert found == Found(60_702, None)


def test_nor_when_a_failover_loses_two_commits() -> None:
    assert explored(World(1, 1, 1, at_once=2, earlier=2, failover="quiet")) == Found(5_817, None)


def test_nor_on_a_finer_clock() -> None:
    assert explored(World(2, 2, 1), Limits(burst_window=2, min_age=7, max_reopens=NEVER_K)) == Found(7_638, None)


@pytest.mark.parametrize("world", [
    World(1, 1, honoured=5, earlier=1, failover="any time"),
    World(1, 2, honoured=7, earlier=2, failover="any time"),
    World(1, 1, 1, honoured=7, earlier=1, failover="any time"),
    World(3, 2, honoured=11, earlier=1, failover="any time", at_once=2),
])  # fmt: skip
def test_while_short_sessions_serve_neither_a_failover_in_the_middle_nor_k_lost_answers_do_harm(world: World) -> None:
    """If all delays together are less than half of the short lifetime."""
    assert explored(world, Limits(burst_window=1, min_age=4, max_reopens=1)).way is None


@pytest.mark.parametrize("world", [
    World(1, 1, honoured=5, ahead=True),
    World(1, 1, 1, honoured=7, ahead=True, clock_back=True, at_once=2),
    World(1, 1, honoured=7, earlier=1, failover="any time", ahead=True),
    World(1, 1, 1, honoured=7, earlier=1, failover="any time", ahead=True, at_once=2),
    World(1, 1, 1, honoured=15, earlier=1, failover="any time", ahead=True, at_once=2),
])  # fmt: skip
def test_nor_when_short_sessions_are_refreshed_ahead_of_time(world: World) -> None:
    """If all delays together are less than the last two fifths of the short lifetime."""
    found = explored(world)
    assert found.way is None
    assert found.states > 300


@given(
    st.builds(Row, st.integers(0, 4), st.integers(0, 3), st.integers(-100_000, 100_000), st.integers(0, 9)),
    st.builds(Token, st.integers(1, 5), st.integers(0, 3), st.integers(0, 3)),
    st.lists(st.integers(-200_000, 200_000), min_size=2),
)
def test_what_the_clock_says_never_decides_whether_it_is_theft(row: Row, t: Token, clocks: list[int]) -> None:
    assert len({kind(row, t, now) == "reuse" for now in clocks}) == 1


# ---- the search can fail: conditions broken on purpose


def test_ahead_of_time_a_failover_harms_where_delays_take_two_fifths_of_the_short_lifetime() -> None:
    world = World(1, 1, honoured=5, earlier=1, failover="any time", ahead=True, at_once=2)
    way = explored(world).way
    assert way is not None
    assert "refresh ahead of time" in way


@pytest.mark.parametrize(("request_delay", "answer_delay", "to_disk"), [
    (0, 4, 0), (1, 3, 0), (2, 2, 0), (4, 0, 0), (1, 2, 1), (0, 0, 4),
])  # fmt: skip
def test_delays_of_more_than_p_minus_w_come_to_theft(request_delay: int, answer_delay: int, to_disk: int) -> None:
    assert explored(World(request_delay, answer_delay, to_disk)).way is not None


@pytest.mark.parametrize("limits", [
    Limits(burst_window=1, min_age=1, max_reopens=NEVER_K),  # MIN_AGE = BURST_WINDOW
    Limits(burst_window=1, min_age=0, max_reopens=NEVER_K),
    Limits(burst_window=1, min_age=4, max_reopens=0),  # a parent used again does not hold its children back
    Limits(burst_window=4, min_age=4, max_reopens=NEVER_K),
])  # fmt: skip
def test_other_constants_come_to_theft(limits: Limits) -> None:
    assert explored(World(0, 1), limits).way is not None


def test_short_sessions_refused_and_k_answers_lost_one_after_the_other_come_to_theft() -> None:
    """What the protocol does not promise: the ninth child of one token has sisters that it does not wait for."""
    way = explored(World(1, 2), Limits(burst_window=1, min_age=4, max_reopens=8)).way
    assert way is not None
    assert way.count("lose an answer, or crash after the commit") >= 8


def test_short_sessions_refused_and_a_failover_under_requests_on_their_way_come_to_theft() -> None:
    assert explored(World(0, 1, earlier=1, failover="any time")).way is not None


def test_while_short_sessions_serve_delays_of_more_than_half_of_one_come_to_theft() -> None:
    assert explored(World(1, 3, honoured=7)).way is not None


# ---- the ways others do it, in the same world


def strict_single_use(row: Held, t: Token) -> Served:
    return (Held(0, (FRESH,)), child(t)) if (t.hash,) == row.known else (row, "reuse")


def previous_good_and_displaced_child_dies(row: Held, t: Token) -> Served:
    """SuperTokens from 12.1: for 30 s the token before the current one may ask again, and gets another child."""
    current, previous = row.known
    if t.hash == current:
        return Held(0, (FRESH, t.hash)), child(t)
    if t.hash == previous and row.age <= 3:
        return row._replace(known=(FRESH, t.hash)), child(t)
    return row, "reuse"


def losers_get_a_short_session_only(row: Held, t: Token) -> Served:
    current, previous = row.known
    if t.hash == current:
        return Held(0, (FRESH, t.hash)), child(t)
    return row, None if t.hash == previous and row.age <= 3 else "reuse"


def test_strict_single_use_comes_to_theft_by_two_parallel_requests() -> None:
    way = search(strict_single_use, World(0, 0), 0, Held(0, (1,))).way
    assert way == ("send", "send", "process", "THEFT")


def test_a_previous_token_good_for_30_s_comes_to_theft_by_a_lost_answer_and_a_late_return() -> None:
    first = Held(0, (1, 0))
    alone = search(previous_good_and_displaced_child_dies, World(0, 0, at_once=1), 4, first).way
    assert alone == (
        "send", "process", "lose an answer, or crash after the commit", "tick", "tick", "tick", "tick", "send", "THEFT",
    )  # fmt: skip


def test_a_displaced_child_comes_to_theft_by_answers_out_of_order() -> None:
    """Within the 30 s, and with no answer lost."""
    way = search(previous_good_and_displaced_child_dies, World(0, 0), 4, Held(0, (1, 0))).way
    assert way is not None
    assert set(way) == {"send", "process", "deliver", "THEFT"}


def test_a_short_session_for_the_losers_comes_to_theft_when_the_winners_answer_is_lost() -> None:
    way = search(losers_get_a_short_session_only, World(0, 0, at_once=1), 4, Held(0, (1, 0))).way
    assert way is not None
    assert "lose an answer, or crash after the commit" in way
