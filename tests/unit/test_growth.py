"""In a table of any size each statement is an index range of bounded size: cleanup, counting, polling, listing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text

from flask_corbado_session.database import cleanup, stats, windows
from flask_corbado_session.model.clock import Clock, to_ms
from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.model.records import Changes, UserAgentDescription
from flask_corbado_session.operators import api_query, api_sorted, daily
from flask_corbado_session.operators.daily import DailyCounts, DailyNumbers
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.sessions.user_agent import describe
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.verification.ended import MANY, EndedSet
from tests.support.apps import make_app, rows_of, statements, statements_of
from tests.support.operators import DAY, add_device, add_sessions, an_operator, now_of, operator_app
from tests.support.rules import NOON, Rules, rules_on
from tests.support.stopwatch import Stopwatch

NOW, MS = NOON, timedelta(milliseconds=1)
NOW_MS = to_ms(NOON)


@pytest.fixture
def app(database_url: str) -> Flask:
    """An app with an operator API."""
    config = {"CORBADO_SESSION_PROJECT_ID": "pro-1", "CORBADO_SESSION_API_SECRET": "x" * 40}
    return make_app(database_url, **config)[0]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window holds three rows."""
    monkeypatch.setitem(cast("dict[str, Any]", windows.windows.__kwdefaults__), "sizes", range(3, 4))


def fill(rules: Rules, rows: list[dict[str, Any]], device: str | None = None) -> list[str]:
    """Insert sessions; their ids."""
    device = device or rules.devices.find_or_add("alice", b"h" * 32, None, _described, NOW)[0]
    plain: dict[str, Any] = {
        "user_id": "alice", "device_id": device, "secret_hash": b"s" * 32, "token_hash": b"t" * 32, "generation": 1,
        "rotated_at": 1, "reopened": 0, "last_step": 1, "created_at": 1, "last_seen_at": 1, "auth_time": 1,
        "idle_expires_at": NOW_MS + DAY, "expires_at": NOW_MS + DAY, "ended_at": None, "end_reason": None,
        "short_not_before": None,        "persistent": True, "claims": "{}", "amr": "pwd",
    }  # fmt: skip
    complete = [{**plain, "id": new_id(), **row} for row in rows]
    rules.database.run(lambda connection: connection.execute(insert(rules.tables.session), complete))
    return [row["id"] for row in complete]


def _described() -> UserAgentDescription:
    return describe(None)


def number_of(rules: Rules, name: str) -> int:
    table = getattr(rules.tables, name)
    found: int = rules.database.run(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())
    return found


# ---- cleanup


def test_each_batch_of_cleanup_is_a_range_of_one_index_and_starts_where_the_last_one_ended(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 4)
    fill(rules, [{"ended_at": n + 1, "end_reason": "limit"} for n in range(10)])
    fill(rules, [{"expires_at": n + 1} for n in range(6)])
    kept = fill(rules, [{}, {"ended_at": NOW_MS, "end_reason": "limit"}])
    with statements_of(rules.database.engine) as seen:
        assert list(rules.cleanup.session_batches(NOW)) == [4, 4, 2, 4, 2]
    batches = [stmt for stmt in seen if stmt.startswith("SELECT")]
    assert not [stmt for stmt in batches if " OR " in stmt or "LIMIT" not in stmt]
    assert [stmt.partition("ORDER BY corbado_session.")[2].split()[0] for stmt in batches] == [
        *["ended_at"] * 3,
        *["expires_at"] * 2,
    ]
    assert [">=" in stmt for stmt in batches] == [False, True, True, False, True]
    assert {each for each in kept if rules.sessions.exists(each)} == set(kept)
    assert number_of(rules, "session") == 2


def test_sessions_that_ended_in_one_millisecond_are_all_deleted_however_many(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 3)
    fill(rules, [{"ended_at": 7, "end_reason": "limit"}] * 10 + [{"expires_at": 7}] * 10)
    assert sum(rules.cleanup.delete_old(NOW)) == 20


def test_all_devices_without_a_session_are_found_though_each_batch_looks_at_a_few(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 4)
    ids = [
        rules.devices.find_or_add("alice", bytes([n]) * 32, None, _described, NOW - (20 - n // 3) * MS)[0]
        for n in range(15)
    ]
    for device in ids[::3]:
        fill(rules, [{}], device)
    with statements_of(rules.database.engine) as seen:
        assert sum(rules.cleanup.device_batches(NOW)) == 10
    assert {each for each in ids if rules.devices.exists(each)} == set(ids[::3])
    assert len([stmt for stmt in seen if "ORDER BY corbado_device.first_seen_at" in stmt]) == 4


def test_a_device_that_comes_back_to_use_while_it_is_being_deleted_stays_and_fails_nothing(rules: Rules) -> None:
    device = rules.devices.find_or_add("alice", b"d" * 32, None, _described, NOW - MS)[0]

    @event.listens_for(rules.database.engine, "before_cursor_execute")
    def sign_in(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM corbado_device") and not number_of(rules, "session"):
            fill(rules, [{}], device)

    assert sum(rules.cleanup.delete_old(NOW)) == 0
    assert rules.devices.exists(device)


def test_cleanup_locks_nothing_that_a_sign_in_or_a_refresh_needs(postgres_url: str) -> None:
    rules = rules_on(postgres_url)
    started = rules.start("alice")
    rules.revocation.revoke_user("alice", "revoked")
    rules.clock.move(days=91)
    device = PresentedTokens(device=[started.device_token])
    fill(rules, [{"user_id": "alice", "expires_at": NOW_MS + 1}])
    rules.devices.find_or_add("alice", b"o" * 32, None, _described, NOW)
    live = rules.start("alice", device)
    with _deletes_held_open(rules.database.engine, postgres_url) as held:
        list(rules.revocation.delete_old())
        assert held == [1, 1, 1]  # a session by its end, one by its expiry, a device
        since = Stopwatch()
        rules.start("alice", device)
        rules.start("alice")
        rules.clock.move(minutes=2)
        assert rules.refresh(live.long_token).long_token
        assert since.seconds < 1


@contextmanager
def _deletes_held_open(engine: Engine, url: str) -> Iterator[list[int]]:
    """Each DELETE of this engine is run in a transaction of another, open until the end; how many rows each deleted."""
    other, held = create_engine(url), list[int]()
    with other.connect() as connection:

        def skip(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
            if not statement.startswith("DELETE"):
                return statement, parameters
            held.append(connection.exec_driver_sql(statement, parameters).rowcount)
            return "DELETE FROM corbado_session WHERE id IN ('a', 'b') OR id = 'c'", {}

        event.listen(engine, "before_cursor_execute", skip, retval=True)
        yield held
        event.remove(engine, "before_cursor_execute", skip)
        connection.rollback()
    other.dispose()


PLANS = {
    "a batch by end": ("SELECT id FROM corbado_session WHERE ended_at < 9 ORDER BY ended_at LIMIT 500", "ended_at"),
    "a batch by expiry": (
        "SELECT id FROM corbado_session WHERE expires_at < 9 ORDER BY expires_at LIMIT 500",
        "expires_at",
    ),
    "a window of devices": (
        "SELECT first_seen_at, id FROM corbado_device WHERE first_seen_at < 9 ORDER BY first_seen_at, id LIMIT 500",
        "first_seen_at",
    ),
    "the devices in use": ("SELECT device_id FROM corbado_session WHERE device_id IN ('a', 'b')", "device_id"),
    "the poll": ("SELECT id, ended_at FROM corbado_session WHERE ended_at > 9", "ix_corbado_session_ended_at"),
    "a user's": (
        "UPDATE corbado_session SET ended_at = 9 WHERE user_id = 'alice' AND ended_at IS NULL",
        "user_id_ended_at_expires_at",
    ),
    "the surplus": (
        "SELECT id FROM corbado_session WHERE user_id = 'alice' AND ended_at IS NULL AND expires_at > 9 "
        "AND idle_expires_at > 9 ORDER BY last_seen_at DESC, created_at DESC, id LIMIT 100 OFFSET 50",
        "user_id_ended_at_expires_at",
    ),
    "a known device": (
        "SELECT id FROM corbado_device WHERE user_id = 'alice' AND cookie_hash = '9'",
        "corbado_device_",  # SQLite names the index of a UNIQUE constraint by itself
    ),
    "a window of users": ("SELECT user_id FROM corbado_session ORDER BY user_id LIMIT 1 OFFSET 999", "user_id"),
}


@pytest.mark.parametrize("question", PLANS)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_question_of_a_sign_in_a_revocation_and_cleanup_is_answered_by_an_index(
    question: str, kind: str, request: pytest.FixtureRequest
) -> None:
    rules = rules_on(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))
    statement, index = PLANS[question]
    explain = "EXPLAIN QUERY PLAN" if kind == "sqlite" else "EXPLAIN"

    def plan(connection: Connection) -> str:
        if kind == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))  # the tables are empty
        return str(connection.execute(text(f"{explain} {statement}")).all())

    found = rules.database.run(plan)
    assert index in found
    assert "SCAN corbado_session'" not in found
    assert "Seq Scan" not in found


def test_pages_of_the_session_table_keep_room_for_refreshed_rows(postgres_url: str) -> None:
    rules = rules_on(postgres_url)
    options = rules.database.run(
        lambda connection: connection.execute(
            text("SELECT reloptions FROM pg_class WHERE oid = CAST('corbado_session' AS regclass)")
        ).scalar_one()
    )
    assert options == ["fillfactor=90"]


# ---- polling


def test_a_poll_tells_ends_from_short_sessions_that_no_longer_count(rules: Rules) -> None:
    ended, expired, _ = fill(
        rules,
        [
            {"ended_at": NOW_MS, "end_reason": "limit", "short_not_before": NOW_MS},
            {"short_not_before": NOW_MS + 5},
            {"ended_at": 1, "end_reason": "limit"},
        ],
    )
    changes = rules.sessions.changes_since(NOW_MS - 1)
    assert (list(changes.ended), list(changes.not_before)) == ([(ended, NOW_MS)], [(expired, NOW_MS + 5)])
    assert {type(row) for row in [*changes.ended, *changes.not_before]} == {tuple}


def test_while_very_many_have_just_ended_one_poll_in_ten_reads_them_all_again() -> None:
    clock, asked = MovingClock(NOON), list[int]()
    number = [MANY + 1]

    def fetch(since: int) -> Changes:
        asked.append(to_ms(clock.at) - since)
        return Changes([(str(n), since + 1) for n in range(number[0] if asked[-1] > 30_000 else 0)])

    ended = EndedSet(fetch, Clock(clock), timedelta(seconds=1), timedelta(minutes=15))

    def polls(times: int) -> list[int]:
        asked.clear()
        for _ in range(times):
            ended.bring_up_to_date()
            clock.move(seconds=1)
        return asked

    assert polls(1) == [16 * 60_000]
    assert polls(10) == [*[6_000] * 9, 61_000]
    number[0] = MANY
    assert polls(12) == [*[6_000] * 9, 61_000, 61_000, 61_000]


# ---- counting


@pytest.mark.usefixtures("small_windows")
def test_live_sessions_behind_many_that_have_ended_are_listed_window_by_window(rules: Rules) -> None:
    live = fill(rules, [{"created_at": n} for n in range(5)])
    fill(rules, [{"created_at": 100 + n, "ended_at": 200, "end_reason": "operator"} for n in range(10)])
    with statements_of(rules.database.engine) as seen:
        listed = rules.sessions.live_sessions(None, NOW, 4)
    assert [session.session_id for session in listed] == live[:0:-1]
    assert len([stmt for stmt in seen if "JOIN" in stmt and "created_at >=" in stmt]) == 5


@pytest.mark.usefixtures("small_windows")
def test_what_is_counted_window_by_window_is_counted_once(rules: Rules) -> None:
    for n in range(7):
        fill(rules, [{"user_id": f"user-{n}"}] * 4)
    fill(rules, [{"ended_at": NOW_MS + n // 4, "end_reason": ("limit", "reuse")[n % 2]} for n in range(10)])
    with statements_of(rules.database.engine) as seen:
        counted = rules.cleanup.stats(NOW, NOW - MS)
    assert counted == {
        "live_sessions": 28,
        "users": 7,
        "devices": 1,
        "ended_in_a_day": {"limit": 5, "reuse": 5},
        "at_least": [],
    }
    assert len(seen) > 10


@pytest.mark.usefixtures("small_windows")
def test_a_count_whose_time_is_up_says_at_least(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "SECONDS", 0.0)
    for user in ("alice", "bob"):
        add_sessions(app, 4, add_device(app, user), user)
    run = app.test_cli_runner().invoke
    assert '"at_least": [\n    "live_sessions",\n    "users"\n  ]' in run(args="corbado-session stats --json").stdout
    lines = run(args="corbado-session stats").output.splitlines()
    assert [line.partition("  ")[2].strip() for line in lines[1:4]] == ["at least 4", "at least 1", "2"]


# ---- the operators' charts


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("what", ["sign_ins", "active"])
def test_a_chart_is_counted_on_with_each_request_until_all_is_counted(
    app: Flask, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(daily, "BUDGET", 0.0)
    now, device = now_of(app), add_device(app)
    for n in range(10):
        add_sessions(app, 1, device, created_at=now - DAY + n, expires_at=now + DAY + n)
    numbers, read = DailyNumbers(), getattr(DailyCounts(rows_of(app).database), what)
    seen = [numbers.last(5, now, read) for _ in range(5)]
    assert [(list(each.values())[-2], each.at_least) for each in seen] == [
        (3, True),
        (6, True),
        (9, True),
        (10, False),
        (10, False),
    ]


@pytest.mark.usefixtures("small_windows")
def test_todays_number_is_replaced_only_once_it_is_counted(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now, device = now_of(app) // DAY * DAY + 9, add_device(app)
    for n in range(5):
        add_sessions(app, 1, device, created_at=now - n)
    numbers, read = DailyNumbers(), DailyCounts(rows_of(app).database).sign_ins
    assert [*numbers.last(2, now, read).values()] == [0, 5]
    monkeypatch.setattr(daily, "BUDGET", 0.0)
    add_sessions(app, 1, device, created_at=now)
    later = now + 60_001
    seen = [numbers.last(2, later, read) for _ in range(3)]
    assert [([*each.values()], each.at_least) for each in seen] == [([0, 5], False)] * 2 + [([0, 6], False)]


@pytest.mark.usefixtures("small_windows")
def test_a_window_that_failed_is_counted_once_when_it_is_counted_on(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "BUDGET", 0.0)
    now, device = now_of(app), add_device(app)
    for n in range(8):
        add_sessions(app, 1, device, created_at=now - n)
    counts = DailyCounts(rows_of(app).database)
    numbers = DailyNumbers()
    numbers.last(2, now, counts.sign_ins)
    with monkeypatch.context() as patch:
        patch.setattr(counts, "_rows", _unavailable)
        with pytest.raises(StoreUnavailable):
            numbers.last(2, now, counts.sign_ins)
    assert [sum(numbers.last(2, now, counts.sign_ins).values()) for _ in range(2)] == [6, 8]


def _unavailable(stmt: object) -> Any:
    raise StoreUnavailable("the database did not answer")


@pytest.mark.usefixtures("small_windows")
def test_a_chart_that_is_not_finished_says_at_least(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = operator_app(sqlite_url)[0]
    operator = an_operator(app)
    monkeypatch.setattr(daily, "BUDGET", 0.0)
    add_sessions(app, 9, add_device(app))
    page = operator.get("/operator/", headers={"Accept": "text/html"}).text
    assert "at least <strong>" in page
    assert "Reload the page to count on" in page


# ---- the operator API


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("sort", ["lastAction", "updated", "created", "expires", "userID", "ID", "status"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_the_api_sorts_in_windows_as_the_database_would_at_once(app: Flask, sort: str, direction: str) -> None:
    now = now_of(app)
    for n in range(13):
        user = f"user-{n % 4}"
        seen = now - (n * 37 % 11) * 1000
        ends = {"ended_at": seen + 500, "end_reason": "revoked"} if n % 3 == 0 else {}
        times = {"created_at": seen - n * 100, "last_seen_at": seen, "expires_at": now + (n * 5 % 7 - 1) * DAY - 1}
        add_sessions(app, 1, add_device(app, user), user, **times, **ends)
    everything = [listed(app, sort=f"{sort}:{direction}", pageSize=5, page=page) for page in (1, 2, 3)]
    sessions = [session for page in everything for session in page["sessions"]]
    field = {"lastAction": "lastActionMs", "created": "createdMs", "expires": "expiresMs", "ID": "sessionID"}.get(sort)
    if field:
        values = [session[field] for session in sessions]
        assert values == sorted(values, reverse=direction == "desc") or sort == "ID"
    assert len({session["sessionID"] for session in sessions}) == 13
    active = listed(app, sort=f"{sort}:{direction}", **{"filter[]": "status:eq:active"})
    wanted = [session["sessionID"] for session in sessions if session["status"] == "active"]
    assert [session["sessionID"] for session in active["sessions"]] == wanted
    assert active["paging"]["totalItems"] == len(wanted)


@pytest.mark.usefixtures("small_windows")
def test_a_list_that_takes_too_long_is_refused_with_what_to_do(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_sorted, "SECONDS", 0.0)
    add_sessions(app, 9, add_device(app))
    refused = listed(app, sort="updated:desc")
    assert (refused["status"], refused["field"]) == (400, "sort")
    assert "narrow it" in refused["detail"]
    assert len(listed(app, sort="updated:desc", **{"filter[]": "userID:eq:alice"})["sessions"]) == 9


@pytest.mark.usefixtures("small_windows")
def test_the_order_of_the_last_action_ends_its_walk_where_nothing_later_can_come_first(app: Flask) -> None:
    now, device = now_of(app), add_device(app)
    for n in range(30):
        times: dict[str, Any] = {
            "created_at": now - n * DAY,
            "last_seen_at": now - n * DAY,
            "expires_at": now - n * DAY + 1,
        }
        add_sessions(app, 1, device, **times)
    for direction in ("asc", "desc"):
        with statements(app) as seen:
            listed(app, sort=f"lastAction:{direction}", pageSize=2)
        assert len([stmt for stmt in seen if "AS value" in stmt]) <= 2


def test_a_page_far_down_is_reached_in_steps(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(api_query._STEPS, "created", 4)
    expected = add_sessions(app, 15, add_device(app))[::-1]
    with statements(app) as seen:
        page = listed(app, page=5, pageSize=3)
    assert [session["sessionID"] for session in page["sessions"]] == expected[12:15]
    assert len([stmt for stmt in seen if "ORDER BY corbado_session.created_at" in stmt]) == 3
    assert listed(app, page=9, pageSize=3)["sessions"] == []


def listed(app: Flask, **query: Any) -> Any:
    return app.test_client().get("/v2/sessions", query_string=query, auth=("pro-1", "x" * 40)).get_json()
