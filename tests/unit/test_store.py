"""The rows: devices found or added, sessions added, ended, listed and forgotten, on every database."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, func, insert, make_url, select

from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.sessions import NewSession, Store
from flask_corbado_session.database.tables import tables_in
from flask_corbado_session.model.clock import from_ms, to_ms
from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.model.records import Context
from flask_corbado_session.sessions.user_agent import describe
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import statements_of
from tests.support.rules import NOON, Rules

NOW = to_ms(NOON)
DAY = 86_400_000
HASH = b"h" * 32


def add_device(rules: Rules, user_id: str = "alice", cookie_hash: bytes = HASH, at: int = NOW) -> str:
    return rules.store.find_or_add_device(user_id, cookie_hash, None, lambda: describe(None), at)[0]


def new_session(rules: Rules, user_id: str = "alice", **changes: Any) -> NewSession:
    session = NewSession(
        session_id=new_id(),
        user_id=user_id,
        device_id=changes.pop("device_id", None) or add_device(rules, user_id),
        secret_hash=b"s" * 32,
        root=b"r" * 32,
        persistent=True,
        claims={"role": "admin", "text": "ü\0"},
        amr=("pwd", "otp"),
        context=Context("192.0.2.1", "Firefox"),
        created_at=NOW,
        auth_time=NOW,
        idle_expires_at=NOW + 7 * DAY,
        expires_at=NOW + 30 * DAY,
    )
    return dataclasses.replace(session, **changes)


def add_session(rules: Rules, user_id: str = "alice", **changes: Any) -> str:
    new = new_session(rules, user_id, **changes)
    rules.store.add_session(new, [])
    return new.session_id


def test_a_session_is_read_back_as_it_was_added(rules: Rules) -> None:
    new = new_session(rules)
    rules.store.add_session(new, [])
    found = rules.store.session(new.session_id)
    assert found is not None
    assert (found.session_id, found.user_id, found.device_id) == (new.session_id, "alice", new.device_id)
    assert (found.created_at, found.expires_at) == (NOON, from_ms(NOW + 30 * DAY))
    assert (found.amr, found.persistent, found.ip, found.user_agent) == (("pwd", "otp"), True, "192.0.2.1", "Firefox")
    assert (found.ended_at, found.end_reason, found.previous) == (None, None, None)


def test_a_device_is_found_again_by_its_cookie(rules: Rules) -> None:
    first = rules.store.find_or_add_device("alice", HASH, "UA", lambda: describe(None), NOW)
    again = rules.store.find_or_add_device("alice", HASH, "UA", lambda: describe(None), NOW + 1)
    assert (first[1], again) == (True, (first[0], False))


def test_a_known_device_costs_one_statement_and_is_not_described_again(rules: Rules) -> None:
    add_device(rules)
    with statements_of(rules.database.engine) as seen:
        rules.store.find_or_add_device("alice", HASH, None, lambda: pytest.fail("described again"), NOW)
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
    assert rules.store.end(rules.store.user_is("alice"), "revoked", NOW) == ["a" * 30]
    assert not rules.store.device_exists(device_id, "alice")
    assert rules.store.session("a" * 29 + "A") is None


def test_what_a_sign_in_replaces_is_ended_with_it_or_not_at_all(rules: Rules) -> None:
    old = add_session(rules)
    new = new_session(rules)
    assert rules.store.add_session(new, [old, "unknown"]) == [old]
    rules.store.add_session(new, [new.session_id])  # again, as after a connection lost in the commit
    assert rules.store.is_alive(new.session_id, NOW)
    assert not rules.store.is_alive(old, NOW)


def test_ending_twice_keeps_the_first_reason(rules: Rules) -> None:
    session_id = add_session(rules)
    which = rules.store.session_is(session_id)
    assert rules.store.end(which, "signed_out", NOW) == [session_id]
    assert rules.store.end(which, "revoked", NOW + 5) == []
    found = rules.store.session(session_id)
    assert found is not None
    assert (found.ended_at, found.end_reason) == (NOON, "signed_out")


def test_a_session_is_alive_until_it_is_idle_or_runs_out(subtests: pytest.Subtests, rules: Rules) -> None:
    rows: list[tuple[Any, int, bool]] = [
        ({}, NOW, True),
        ({}, NOW + 7 * DAY - 1, True),
        ({}, NOW + 7 * DAY, False),
        ({"idle_expires_at": NOW + 30 * DAY}, NOW + 30 * DAY - 1, True),
        ({"idle_expires_at": NOW + 90 * DAY}, NOW + 30 * DAY, False),
    ]
    for changes, at, alive in rows:
        with subtests.test(changes=changes, at=at, alive=alive):
            assert rules.store.is_alive(add_session(rules, **changes), at) is alive


def test_the_least_recently_seen_sessions_are_surplus(rules: Rules) -> None:
    ids = [add_session(rules, created_at=NOW + number) for number in range(5)]
    add_session(rules, "bob", created_at=NOW - 1)
    assert sorted(rules.store.enforce_session_limit("alice", 3, NOW + 10)) == sorted(ids[:2])
    assert rules.store.enforce_session_limit("alice", 3, NOW + 10) == []


def test_ended_ids_are_given_from_a_time_on(rules: Rules) -> None:
    ids = [add_session(rules) for _ in range(3)]
    for number, session_id in enumerate(ids):
        rules.store.end(rules.store.session_is(session_id), "revoked", NOW + number)
    assert sorted(rules.store.changes_since(NOW).ended) == sorted([(ids[1], NOW + 1), (ids[2], NOW + 2)])


# ---- listing


def test_a_users_devices_are_listed_with_their_live_sessions_in_one_statement(rules: Rules) -> None:
    laptop, phone = add_device(rules), add_device(rules, cookie_hash=b"p" * 32)
    old = add_session(rules, device_id=laptop)
    new = add_session(rules, device_id=laptop, created_at=NOW + 5)
    other = add_session(rules, device_id=phone, created_at=NOW + 9)
    ended = add_session(rules, device_id=phone)
    add_session(rules, "bob")
    rules.store.end(rules.store.session_is(ended), "revoked", NOW)
    with statements_of(rules.database.engine) as seen:
        devices = rules.store.devices("alice", NOW + 10, old)
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
    add_session(rules, device_id=phone, created_at=NOW + 9)
    devices = rules.store.devices("alice", NOW + 10, None)
    assert devices[0].id == phone
    assert not any(each.is_current for each in devices)


def test_the_history_is_what_was_ended_the_latest_first(rules: Rules) -> None:
    ids = [add_session(rules) for _ in range(3)]
    for number, session_id in enumerate(ids[:2]):
        rules.store.end(rules.store.session_is(session_id), "revoked", NOW + number)
    assert [each.session_id for each in rules.store.history("alice")] == [ids[1], ids[0]]
    assert [each.session_id for each in rules.store.history("alice", limit=1)] == [ids[1]]
    assert rules.store.history("bob") == []


def test_a_device_is_renamed_by_its_owner_alone(rules: Rules) -> None:
    device_id = add_device(rules)
    add_session(rules, device_id=device_id)
    assert not rules.store.rename_device(device_id, "bob", "Mine")
    assert not rules.store.rename_device("unknown", "alice", "Mine")
    assert rules.store.rename_device(device_id, "alice", "Küche")
    assert rules.store.rename_device(device_id, "alice", "Küche")
    assert rules.store.devices("alice", NOW, None)[0].name == "Küche"


# ---- forgetting


def count(rules: Rules, table: Any) -> int:
    found: int = rules.database.run(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())
    return found


def test_old_sessions_are_forgotten_in_batches(rules: Rules) -> None:
    device_id = add_device(rules)
    template = new_session(rules, device_id=device_id)
    rules.store.add_session(template, [])
    row = rules.database.run(lambda c: c.execute(select(rules.tables.session)).mappings().one())
    rows = [{**row, "id": new_id(), "ended_at": NOW - 1} for _ in range(501)]
    rules.database.run(lambda c: c.execute(insert(rules.tables.session), rows))
    assert [rules.store.delete_old_sessions(NOW) for _ in range(3)] == [500, 1, 0]
    assert count(rules, rules.tables.session) == 1


def test_what_ran_out_unended_is_forgotten_too(rules: Rules) -> None:
    add_session(rules, expires_at=NOW - 1)
    kept = add_session(rules, expires_at=NOW)
    assert rules.store.delete_old_sessions(NOW) == 1
    assert rules.store.session(kept) is not None


def test_a_device_is_forgotten_when_no_session_is_left_of_it(rules: Rules) -> None:
    used = add_device(rules)
    add_session(rules, device_id=used)
    unused = add_device(rules, cookie_hash=b"u" * 32)
    young = add_device(rules, cookie_hash=b"y" * 32, at=NOW + 1)
    assert rules.store.delete_old_devices(NOW + 1) == 1
    exists = [rules.store.device_exists(each, "alice") for each in (used, unused, young)]
    assert exists == [True, False, True]


def test_live_sessions_are_counted(rules: Rules) -> None:
    add_session(rules)
    ended = add_session(rules, "bob")
    assert rules.store.stats(NOW, NOW)["live_sessions"] == 2
    rules.store.end(rules.store.session_is(ended), "revoked", NOW)
    assert rules.store.stats(NOW, NOW)["live_sessions"] == 1
    assert rules.store.stats(NOW + 7 * DAY, NOW)["live_sessions"] == 0


def test_every_question_to_a_database_that_is_down_is_unavailable(subtests: pytest.Subtests) -> None:
    rows: list[Any] = [
        lambda store: store.session("a" * 30),
        lambda store: store.devices("alice", NOW, None),
        lambda store: store.history("alice"),
        lambda store: store.end(store.user_is("alice"), "revoked", NOW),
        lambda store: store.changes_since(NOW),
        lambda store: store.is_alive("a" * 30, NOW),
        lambda store: store.rename_device("a" * 30, "alice", None),
        lambda store: store.delete_old_sessions(NOW),
        lambda store: store.stats(NOW, NOW)["live_sessions"],
        lambda store: store.enforce_session_limit("alice", 1, NOW),
        lambda store: store.find_or_add_device("alice", HASH, None, lambda: describe(None), NOW),
    ]
    for ask in rows:
        with subtests.test(ask=ask):
            metadata = MetaData()
            nobody = Database(lambda: (make_url("postgresql+psycopg://nobody@127.0.0.1:1/none"), {}), metadata)
            with pytest.raises(StoreUnavailable):
                ask(Store(nobody, tables_in(metadata)))
