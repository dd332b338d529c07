"""The tables of sessions and devices: rows are added, ended, listed and deleted, on every database."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import event, func, insert, select

from flask_corbado_session.database.cleanup import Cleanup
from flask_corbado_session.database.devices import DeviceStore
from flask_corbado_session.database.rows import NewSession
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.model.clock import to_ms
from flask_corbado_session.model.errors import ConstraintViolated, StoreUnavailable
from flask_corbado_session.model.records import Context, EndReason
from flask_corbado_session.sessions.user_agent import describe
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import statements_of
from tests.support.rules import NOON, Rules, database_at, rules_on

NOW = NOON
NOW_MS = to_ms(NOON)
DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
HASH = b"h" * 32


def first(batches: Iterator[int]) -> int:
    """How many rows the first batch deleted that deleted any."""
    return next(filter(None, batches), 0)


def add_device(rules: Rules, user_id: str = "alice", cookie_hash: bytes = HASH, at: datetime = NOW) -> str:
    return rules.devices.find_or_add(user_id, cookie_hash, None, lambda: describe(None), at)[0]


def new_session(rules: Rules, user_id: str = "alice", **changes: Any) -> NewSession:
    session = NewSession(
        session_id=new_id(),
        user_id=user_id,
        device_id=changes.pop("device_id", None) or add_device(rules, user_id),
        secret_hash=b"s" * 32,
        root_hash=b"r" * 32,
        persistent=True,
        claims={"role": "admin", "text": "ü\0"},
        amr=("pwd", "otp"),
        context=Context("192.0.2.1", "Firefox"),
        created_at=NOW,
        idle_expires_at=NOW + 7 * DAY,
        expires_at=NOW + 30 * DAY,
    )
    return dataclasses.replace(session, **changes)


def add_session(rules: Rules, user_id: str = "alice", **changes: Any) -> str:
    new = new_session(rules, user_id, **changes)
    rules.sessions.add(new, [])
    return new.session_id


def test_a_session_is_read_back_as_it_was_added(rules: Rules) -> None:
    new = new_session(rules)
    rules.sessions.add(new, [])
    found = rules.sessions.session(new.session_id)
    assert found is not None
    assert (found.session_id, found.user_id, found.device_id) == (new.session_id, "alice", new.device_id)
    assert (found.created_at, found.expires_at) == (NOON, NOW + 30 * DAY)
    assert (found.amr, found.persistent, found.ip, found.user_agent) == (("pwd", "otp"), True, "192.0.2.1", "Firefox")
    assert (found.ended_at, found.end_reason, found.previous) == (None, None, None)


def test_a_device_is_found_again_by_its_cookie(rules: Rules) -> None:
    first = rules.devices.find_or_add("alice", HASH, "UA", lambda: describe(None), NOW)
    again = rules.devices.find_or_add("alice", HASH, "UA", lambda: describe(None), NOW + 1 * MS)
    assert (first[1], again) == (describe(None), (first[0], None))


def test_a_known_device_costs_one_statement_and_is_not_described_again(rules: Rules) -> None:
    add_device(rules)
    with statements_of(rules.database.engine) as seen:
        rules.devices.find_or_add("alice", HASH, None, lambda: pytest.fail("described again"), NOW)
    assert seen.verbs == ["SELECT"]


def test_two_users_of_one_browser_have_a_device_each(rules: Rules) -> None:
    assert add_device(rules, "alice") != add_device(rules, "bob")


def test_a_browser_that_signs_in_twice_at_once_is_one_device(rules: Rules) -> None:
    at_once = threading.Barrier(4)
    found: list[str] = []

    def sign_in() -> None:
        at_once.wait()
        found.append(add_device(rules))

    threads = [threading.Thread(target=sign_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_ids_are_told_apart_by_upper_and_lower_case(rules: Rules) -> None:
    device_id = add_device(rules, "Alice")
    add_session(rules, "alice", session_id="a" * 30)
    add_session(rules, "ALICE", session_id="A" * 30)
    assert rules.sessions.end_user("alice", "revoked", NOW) == ["a" * 30]
    assert not rules.devices.exists(device_id, "alice")
    assert rules.sessions.session("a" * 29 + "A") is None


def test_what_a_sign_in_replaces_is_ended_with_it_or_not_at_all(rules: Rules) -> None:
    old = add_session(rules)
    new = new_session(rules)
    assert rules.sessions.add(new, [old, "unknown"]) == [old]
    rules.sessions.add(new, [new.session_id])  # again, as after a connection lost in the commit
    assert rules.sessions.is_live(new.session_id, NOW)
    assert not rules.sessions.is_live(old, NOW)


def test_ending_twice_keeps_the_first_reason(rules: Rules) -> None:
    session_id = add_session(rules)
    assert rules.sessions.end_session(session_id, "signed_out", NOW) == [session_id]
    assert rules.sessions.end_session(session_id, "revoked", NOW + 5 * MS) == []
    found = rules.sessions.session(session_id)
    assert found is not None
    assert (found.ended_at, found.end_reason) == (NOON, "signed_out")


def test_a_session_is_alive_until_it_is_idle_or_runs_out(subtests: pytest.Subtests, rules: Rules) -> None:
    rows: list[tuple[Any, datetime, bool]] = [
        ({}, NOW, True),
        ({}, NOW + 7 * DAY - MS, True),
        ({}, NOW + 7 * DAY, False),
        ({"idle_expires_at": NOW + 30 * DAY}, NOW + 30 * DAY - MS, True),
        ({"idle_expires_at": NOW + 90 * DAY}, NOW + 30 * DAY, False),
    ]
    for changes, at, alive in rows:
        with subtests.test(changes=changes, at=at, alive=alive):
            assert rules.sessions.is_live(add_session(rules, **changes), at) is alive


def test_the_least_recently_seen_sessions_are_surplus(rules: Rules) -> None:
    ids = [add_session(rules, created_at=NOW + number * MS) for number in range(5)]
    add_session(rules, "bob", created_at=NOW - 1 * MS)
    assert sorted(rules.sessions.enforce_session_limit("alice", 3, NOW + 10 * MS)) == sorted(ids[:2])
    assert rules.sessions.enforce_session_limit("alice", 3, NOW + 10 * MS) == []


def test_of_two_who_end_a_session_at_once_one_is_told_that_they_did(rules: Rules, database_url: str) -> None:
    """On MariaDB both were: each had read the id before either wrote."""
    session_id, spared = add_session(rules), add_session(rules)
    other = rules_on(database_url).sessions
    quicker = iter([lambda: other.end_session(session_id, "signed_out", NOW)])

    def be_quicker(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE"):
            next(quicker, list)()

    event.listen(rules.database.engine, "before_cursor_execute", be_quicker)
    assert rules.sessions.end_user("alice", "revoked", NOW + MS) == [spared]


def test_ended_ids_are_given_from_a_time_on(rules: Rules) -> None:
    ids = [add_session(rules) for _ in range(3)]
    for number, session_id in enumerate(ids):
        rules.sessions.end_session(session_id, "revoked", NOW + number * MS)
    assert sorted(rules.sessions.changes_since(NOW_MS).ended) == sorted([(ids[1], NOW_MS + 1), (ids[2], NOW_MS + 2)])


def test_every_end_is_known_to_another_process_whatever_its_reason(rules: Rules) -> None:
    ends = {add_session(rules): reason for reason in get_args(EndReason)}
    for session_id, reason in ends.items():
        rules.sessions.end_session(session_id, reason, NOW + MS)
    assert {session_id for session_id, _ in rules.sessions.changes_since(NOW_MS).ended} == set(ends)


@contextmanager
def no_session_can_be_ended(sqlite_url: str) -> Iterator[None]:
    """Any UPDATE of a session fails meanwhile, by a trigger."""
    refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON corbado_session BEGIN SELECT RAISE(ABORT, 'not now'); END"
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
        database.execute(refuse)
        yield
        database.execute("DROP TRIGGER refuse")


def test_a_sign_in_that_can_not_end_what_it_replaces_is_none(sqlite_url: str) -> None:
    rules = rules_on(sqlite_url)
    old, new = add_session(rules), new_session(rules)
    with no_session_can_be_ended(sqlite_url), pytest.raises(StoreUnavailable):
        rules.sessions.add(new, [old])
    assert (rules.sessions.exists(new.session_id), rules.sessions.is_live(old, NOW)) == (False, True)


def test_a_device_is_disowned_once_by_the_cookie_it_had(rules: Rules) -> None:
    """Two who use a link at the same moment have both seen the cookie's hash by then."""
    session_id, device_id = add_session(rules), add_device(rules)
    assert rules.devices.disown(device_id, HASH, NOW) == [session_id]
    assert rules.devices.disown(device_id, HASH, NOW) is None


def test_a_device_is_forgotten_and_its_sessions_end_together_or_not_at_all(sqlite_url: str) -> None:
    """The link of a mail would be spent otherwise, and the intruder still be there."""
    rules = rules_on(sqlite_url)
    session_id, device_id = add_session(rules), add_device(rules)
    with no_session_can_be_ended(sqlite_url), pytest.raises(ConstraintViolated):
        rules.devices.disown(device_id, HASH, NOW)
    assert rules.sessions.is_live(session_id, NOW)
    assert rules.devices.disown(device_id, HASH, NOW) == [session_id]
    assert not rules.sessions.is_live(session_id, NOW)


# ---- listing


def test_a_users_devices_are_listed_with_their_live_sessions_in_one_statement(rules: Rules) -> None:
    laptop, phone = add_device(rules), add_device(rules, cookie_hash=b"p" * 32)
    old = add_session(rules, device_id=laptop)
    new = add_session(rules, device_id=laptop, created_at=NOW + 5 * MS)
    other = add_session(rules, device_id=phone, created_at=NOW + 9 * MS)
    ended = add_session(rules, device_id=phone)
    add_session(rules, "bob")
    rules.sessions.end_session(ended, "revoked", NOW)
    with statements_of(rules.database.engine) as seen:
        devices = rules.devices.of_user("alice", NOW + 10 * MS, old)
    assert seen.verbs == ["SELECT"]
    assert [(each.id, [session.session_id for session in each.sessions]) for each in devices] == [
        (laptop, [old, new]),
        (phone, [other]),
    ]
    assert [each.is_current for each in devices] == [True, False]
    assert devices[0].last_seen_at == NOON + timedelta(milliseconds=5)


def test_without_a_current_session_the_latest_seen_device_comes_first(rules: Rules) -> None:
    add_session(rules, device_id=add_device(rules))
    phone = add_device(rules, cookie_hash=b"p" * 32)
    add_session(rules, device_id=phone, created_at=NOW + 9 * MS)
    devices = rules.devices.of_user("alice", NOW + 10 * MS, None)
    assert devices[0].id == phone
    assert not any(each.is_current for each in devices)


def test_the_history_is_what_was_ended_the_latest_first(rules: Rules) -> None:
    ids = [add_session(rules) for _ in range(3)]
    for number, session_id in enumerate(ids[:2]):
        rules.sessions.end_session(session_id, "revoked", NOW + number * MS)
    assert [each.session_id for each in rules.sessions.history("alice", 200, 0)] == [ids[1], ids[0]]
    assert [each.session_id for each in rules.sessions.history("alice", 1, 0)] == [ids[1]]
    assert rules.sessions.history("bob", 200, 0) == []


def test_a_device_is_renamed_by_its_owner_alone(rules: Rules) -> None:
    device_id = add_device(rules)
    add_session(rules, device_id=device_id)
    assert not rules.devices.rename(device_id, "bob", "Mine")
    assert not rules.devices.rename("unknown", "alice", "Mine")
    assert rules.devices.rename(device_id, "alice", "Küche")
    assert rules.devices.rename(device_id, "alice", "Küche")
    assert rules.devices.of_user("alice", NOW, None)[0].name == "Küche"


# ---- forgetting


def count(rules: Rules, table: Any) -> int:
    found: int = rules.database.run(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())
    return found


def test_old_sessions_are_forgotten_in_batches(rules: Rules) -> None:
    device_id = add_device(rules)
    template = new_session(rules, device_id=device_id)
    rules.sessions.add(template, [])
    row = rules.database.run(lambda c: c.execute(select(rules.tables.session)).mappings().one())
    rows = [{**row, "id": new_id(), "ended_at": NOW_MS - 1} for _ in range(501)]
    rules.database.run(lambda c: c.execute(insert(rules.tables.session), rows))
    assert [first(rules.cleanup.session_batches(NOW)) for _ in range(3)] == [500, 1, 0]
    assert count(rules, rules.tables.session) == 1


def test_what_ran_out_unended_is_forgotten_too(rules: Rules) -> None:
    add_session(rules, expires_at=NOW - 1 * MS)
    kept = add_session(rules, expires_at=NOW)
    assert first(rules.cleanup.session_batches(NOW)) == 1
    assert rules.sessions.session(kept) is not None


def test_a_device_is_forgotten_when_no_session_is_left_of_it(rules: Rules) -> None:
    used = add_device(rules)
    add_session(rules, device_id=used)
    unused = add_device(rules, cookie_hash=b"u" * 32)
    young = add_device(rules, cookie_hash=b"y" * 32, at=NOW + 1 * MS)
    assert first(rules.cleanup.device_batches(NOW + 1 * MS)) == 1
    exists = [rules.devices.exists(each, "alice") for each in (used, unused, young)]
    assert exists == [True, False, True]


def test_live_sessions_are_counted(rules: Rules) -> None:
    add_session(rules)
    ended = add_session(rules, "bob")
    assert rules.cleanup.stats(NOW, NOW)["live_sessions"] == 2
    rules.sessions.end_session(ended, "revoked", NOW)
    assert rules.cleanup.stats(NOW, NOW)["live_sessions"] == 1
    assert rules.cleanup.stats(NOW + 7 * DAY, NOW)["live_sessions"] == 0


QUESTIONS: dict[str, Callable[[SessionStore, DeviceStore, Cleanup], object]] = {
    "session": lambda sessions, devices, cleanup: sessions.session("a" * 30),
    "devices": lambda sessions, devices, cleanup: devices.of_user("alice", NOW, None),
    "history": lambda sessions, devices, cleanup: sessions.history("alice", 200, 0),
    "end": lambda sessions, devices, cleanup: sessions.end_user("alice", "revoked", NOW),
    "changes": lambda sessions, devices, cleanup: sessions.changes_since(NOW_MS),
    "is live": lambda sessions, devices, cleanup: sessions.is_live("a" * 30, NOW),
    "rename": lambda sessions, devices, cleanup: devices.rename("a" * 30, "alice", None),
    "delete": lambda sessions, devices, cleanup: first(cleanup.session_batches(NOW)),
    "stats": lambda sessions, devices, cleanup: cleanup.stats(NOW, NOW),
    "limit": lambda sessions, devices, cleanup: sessions.enforce_session_limit("alice", 1, NOW),
    "device": lambda sessions, devices, cleanup: devices.find_or_add("alice", HASH, None, lambda: describe(None), NOW),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_to_a_database_that_is_down_is_unavailable(question: str) -> None:
    nobody = database_at("postgresql+psycopg://nobody@127.0.0.1:1/none")
    sessions = SessionStore(nobody)
    with pytest.raises(StoreUnavailable):
        QUESTIONS[question](sessions, DeviceStore(nobody, sessions), Cleanup(nobody))
