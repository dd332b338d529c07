"""The lists of the operator pages on every database: correct, in order, in pages, and never a whole table at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_corbado_session.database.windows import Cursor
from flask_corbado_session.model.clock import from_ms
from flask_corbado_session.operators import paging
from flask_corbado_session.operators.daily import DailyCounts
from flask_corbado_session.operators.paging import COUNTED, Count
from flask_corbado_session.operators.queries import Listing, OperatorStore
from flask_corbado_session.operators.search import READERS, Filter, parse
from tests.support.apps import make_app, rows_of, statements
from tests.support.operators import DAY, add_device, add_sessions, now_of


@pytest.fixture
def app(database_url: str) -> Flask:
    """An app with empty tables."""
    return make_app(database_url)[0]


@pytest.fixture
def store(app: Flask) -> OperatorStore:
    """The store that reads them."""
    return OperatorStore(rows_of(app).database)


@pytest.fixture
def counts(app: Flask) -> DailyCounts:
    """What counts them by day."""
    return DailyCounts(rows_of(app).database)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search reads three rows, and then its time is up."""
    monkeypatch.setattr(paging, "_WINDOW", range(3, 4))
    monkeypatch.setattr(paging, "BUDGET", 0.0)


def search(text: str) -> Filter:
    """The search somebody typed."""
    return parse(text, tuple(READERS))


def walk(read: Callable[[Cursor | None], Listing]) -> list[Any]:
    """All rows of a list, page by page."""
    rows: list[Any] = []
    after = None
    while True:
        page = read(after).page
        rows += page.rows
        after = page.next
        if after is None:
            return rows


def ids_found(app: Flask, store: OperatorStore, text: str, sort: str = "new") -> set[str]:
    """The ids of all sessions that a search finds."""
    return {row.id for row in walk(lambda after: store.sessions(search(text), sort, after, now_of(app)))}


@pytest.mark.parametrize("sort", ["new", "old", "user"])
def test_every_session_stands_on_one_page_whatever_the_order(app: Flask, store: OperatorStore, sort: str) -> None:
    ids = add_sessions(app, 70, add_device(app)) + add_sessions(app, 51, add_device(app, "bob"), "bob", created_at=5)
    rows = walk(lambda after: store.sessions(Filter(), sort, after, now_of(app)))
    assert [row.id for row in rows] == list(dict.fromkeys(row.id for row in rows))
    assert {row.id for row in rows} == set(ids)


def test_sessions_of_one_millisecond_are_told_apart(app: Flask, store: OperatorStore) -> None:
    device = add_device(app)
    ids = [add_sessions(app, 1, device, created_at=1000)[0] for _ in range(paging.PAGE + 3)]
    rows = walk(lambda after: store.sessions(Filter(), "new", after, now_of(app)))
    assert [row.id for row in rows] == sorted(ids, reverse=True)


def test_the_newest_stand_first_unless_the_oldest_should(app: Flask, store: OperatorStore) -> None:
    ids = add_sessions(app, 5, add_device(app))
    assert [row.id for row in store.sessions(Filter(), "new", None, now_of(app)).page.rows] == ids[::-1]
    assert [row.id for row in store.sessions(Filter(), "old", None, now_of(app)).page.rows] == ids


def test_the_order_of_ends_leaves_out_what_has_not_ended(app: Flask, store: OperatorStore) -> None:
    device = add_device(app)
    add_sessions(app, 2, device)
    (early,) = add_sessions(app, 1, device, ended_at=1000, end_reason="revoked")
    (late,) = add_sessions(app, 1, device, ended_at=2000, end_reason="reuse")
    assert [row.id for row in store.sessions(Filter(), "ended", None, now_of(app)).page.rows] == [late, early]


@pytest.mark.parametrize("sort", ["new", "old", "user"])
@pytest.mark.parametrize("small", [False, True], ids=["one window", "small windows"])
def test_each_term_finds_what_it_says(
    app: Flask, store: OperatorStore, sort: str, small: bool, request: pytest.FixtureRequest
) -> None:
    if small:
        request.getfixturevalue("small_windows")
    now, firefox = now_of(app), add_device(app)
    safari = add_device(app, "bob", browser="Mobile Safari", system="iPhone", device_type="phone")
    plain = set(add_sessions(app, 4, firefox))
    (bobs,) = add_sessions(app, 1, safari, "bob")
    (elsewhere,) = add_sessions(app, 1, firefox, ip="2001:db8::1")
    (old,) = add_sessions(app, 1, firefox, created_at=now - 9 * DAY)
    (ended,) = add_sessions(app, 1, firefox, ended_at=now, end_reason="reuse")
    (expired,) = add_sessions(app, 1, firefox, expires_at=now, idle_expires_at=now)
    (idle,) = add_sessions(app, 1, firefox, idle_expires_at=now)
    everything = plain | {bobs, elsewhere, old, ended, expired, idle}
    expected = {
        "": everything,
        "user:bob": {bobs},
        "user:BOB": set(),
        f"device:{safari}": {bobs},
        f"session:{old}": {old},
        "ip:2001:db8::1": {elsewhere},
        'browser:"mobile safari"': {bobs},
        "system:iphone": {bobs},
        "type:phone": {bobs},
        "status:live": plain | {bobs, elsewhere, old},
        "status:ended": {ended},
        "reason:reuse": {ended},
        "status:expired": {expired},
        "status:idle": {idle},
        "after:2026-01-01": everything,
        f"status:live ip:192.0.2.7 user:alice browser:firefox device:{firefox}": plain | {old},
        "status:ended reason:limit": set(),
    }
    assert {text: ids_found(app, store, text, sort) for text in expected} == expected
    yesterday = from_ms(now - DAY).strftime("%Y-%m-%dT%H:%M:%S")
    assert ids_found(app, store, f"before:{yesterday}", sort) == {old}
    assert ids_found(app, store, f"after:{yesterday}", sort) == everything - {old}


@pytest.mark.usefixtures("small_windows")
def test_a_search_whose_time_is_up_says_how_far_it_got_and_goes_on_there(app: Flask, store: OperatorStore) -> None:
    device = add_device(app)
    (rare,) = add_sessions(app, 1, device, created_at=1000, ip="192.0.2.99")
    add_sessions(app, 8, device)
    with statements(app) as seen:
        first = store.sessions(search("ip:192.0.2.99"), "new", None, now_of(app))
    assert (list(first.page.rows), first.count) == ([], None)
    assert first.page.next == (first.page.reached,)
    assert seen.verbs == ["SELECT", "SELECT"]
    assert ids_found(app, store, "ip:192.0.2.99") == {rare}


@pytest.mark.usefixtures("small_windows")
def test_no_window_begins_where_the_last_one_ended_with_the_same_rows(app: Flask, store: OperatorStore) -> None:
    device = add_device(app)
    ids = {add_sessions(app, 1, device, created_at=1000)[0] for _ in range(10)}
    rows = walk(lambda after: store.sessions(search("ip:192.0.2.7"), "old", after, now_of(app)))
    assert sorted(row.id for row in rows) == sorted(ids)


def test_a_page_of_a_million_is_one_statement_by_key(app: Flask, store: OperatorStore) -> None:
    add_sessions(app, 60, add_device(app))
    with statements(app) as first:
        page = store.sessions(Filter(), "new", None, now_of(app)).page
    with statements(app) as second:
        store.sessions(Filter(), "new", page.next, now_of(app))
    assert (first.verbs, second.verbs) == (["SELECT", "SELECT"], ["SELECT"])
    assert "created_at <= " in second[0]


def test_the_rows_of_a_list_hold_no_secret(app: Flask, store: OperatorStore) -> None:
    (session_id,) = add_sessions(app, 1, add_device(app))
    (listed,) = store.sessions(Filter(), "new", None, now_of(app)).page.rows
    for row in (listed, store.find_session(session_id)):
        assert row is not None
        assert not {"secret_hash", "token_hash", "generation", "cookie_hash"} & set(row._mapping)


def test_beyond_ten_thousand_nobody_counts(store: OperatorStore, monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    monkeypatch.setattr(paging, "COUNTED", 60)
    device = add_device(app)
    add_sessions(app, 60, device)
    assert store.sessions(Filter(), "new", None, now_of(app)).count == Count(60)
    add_sessions(app, 1, device)
    assert store.sessions(Filter(), "new", None, now_of(app)).count == Count(60, is_more=True)
    assert COUNTED == 10_000


@pytest.mark.usefixtures("small_windows")
def test_a_count_whose_time_is_up_says_there_is_more(app: Flask, store: OperatorStore) -> None:
    add_sessions(app, 9, add_device(app))
    assert store.count_live(search("before:2999-01-01"), now_of(app)) == Count(3, is_more=True)
    assert store.count_live(search("user:alice"), now_of(app)) == Count(9)


# ---- users and devices


def test_users_are_listed_once_each_in_either_order(app: Flask, store: OperatorStore) -> None:
    names = [f"user-{n:03}" for n in range(paging.PAGE + 5)]
    for name in names:
        add_sessions(app, 2, add_device(app, name), name)
    rows = walk(lambda after: store.users(Filter(), "user", after, now_of(app)))
    assert [row.user_id for row in rows] == names
    backwards = walk(lambda after: store.users(Filter(), "last", after, now_of(app)))
    assert [row.user_id for row in backwards] == names[::-1]


@pytest.mark.usefixtures("small_windows")
def test_users_are_found_by_what_one_of_their_sessions_is(app: Flask, store: OperatorStore) -> None:
    for name in ("ann", "bob", "cid"):
        add_sessions(app, 4, add_device(app, name), name)
    phone = add_device(app, "bob", device_type="phone")
    add_sessions(app, 1, phone, "bob", ended_at=now_of(app), end_reason="reuse")
    for text in ("reason:reuse", "type:phone", f"device:{phone}"):
        rows = walk(lambda after, text=text: store.users(search(text), "user", after, now_of(app)))  # type: ignore[misc]
        assert [row.user_id for row in rows] == ["bob"]


@pytest.mark.parametrize("sort", ["new", "old", "user"])
def test_devices_are_listed_and_found(app: Flask, store: OperatorStore, sort: str) -> None:
    ids = [add_device(app, f"user-{n % 7}", first_seen_at=n // 2) for n in range(paging.PAGE + 5)]
    phone = add_device(app, "user-3", device_type="phone", browser="Safari", system="iPhone")
    rows = walk(lambda after: store.devices(Filter(), sort, after))
    assert sorted(row.id for row in rows) == sorted([*ids, phone])
    for text in ("type:phone", "browser:safari", "system:iphone", f"device:{phone}", "after:2026-01-01"):
        assert [row.id for row in walk(lambda after, text=text: store.devices(search(text), sort, after))] == [phone]  # type: ignore[misc]
    assert len(walk(lambda after: store.devices(search("user:user-3"), sort, after))) == 9


def test_beside_a_user_stand_their_live_sessions(app: Flask, store: OperatorStore) -> None:
    now = now_of(app)
    device, other = add_device(app), add_device(app)
    add_sessions(app, 2, device, last_seen_at=now - 7)
    add_sessions(app, 1, other, ended_at=now, end_reason="limit")
    add_sessions(app, 1, other, idle_expires_at=now)
    of_user = store.live_of("user_id", ["alice", "nobody"], now)
    assert (of_user["alice"].live, of_user["alice"].last_seen_at, len(of_user)) == (2, now - 7, 1)
    assert set(store.live_of("device_id", [device, other], now)) == {device}
    assert store.devices_of(["alice"]) == {"alice": 2}


# ---- by day


def test_sign_ins_are_counted_by_day(app: Flask, counts: DailyCounts) -> None:
    now = now_of(app)
    today = now // DAY
    device = add_device(app)
    add_sessions(app, 2, device, created_at=today * DAY)
    add_sessions(app, 1, device, created_at=today * DAY - 1)
    add_sessions(app, 3, device, created_at=(today - 5) * DAY)
    assert counts.sign_ins(today - 4, now) == {today - 1: 1, today: 2}


def test_a_session_is_active_from_its_sign_in_to_its_end_whatever_ends_it(app: Flask, counts: DailyCounts) -> None:
    now = now_of(app)
    today, device = now // DAY, add_device(app)

    def days(**columns: Any) -> list[int]:
        add_sessions(app, 1, device, **{"created_at": (today - 3) * DAY, **columns})
        active = counts.active(today - 4, now)
        return [active[day] for day in range(today - 4, today + 1)]

    assert days() == [0, 1, 1, 1, 1]
    assert days(ended_at=(today - 2) * DAY + 5, end_reason="revoked") == [0, 2, 2, 1, 1]
    assert days(idle_expires_at=(today - 1) * DAY + 5) == [0, 3, 3, 2, 1]
    assert days(expires_at=(today - 2) * DAY, idle_expires_at=(today - 2) * DAY) == [0, 4, 4, 2, 1]
    assert days(created_at=(today - 90) * DAY) == [1, 5, 5, 3, 2]
    assert days(created_at=(today - 90) * DAY, ended_at=(today - 9) * DAY, end_reason="reuse") == [1, 5, 5, 3, 2]
    # ended long after it had run out by itself
    assert days(idle_expires_at=(today - 2) * DAY - 1, ended_at=now, end_reason="operator") == [1, 6, 5, 3, 2]
