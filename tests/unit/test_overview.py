"""The overview a person has of their sessions: each action touches their own alone, and may be repeated."""

from __future__ import annotations

from typing import Any

import pytest

from flask_corbado_session.model.errors import SessionNotFound
from flask_corbado_session.model.outcome import Active, Ended
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import statements_of
from tests.support.rules import Rules, heard, presented, rules_on


@pytest.fixture
def rules(sqlite_url: str) -> Rules:
    return rules_on(sqlite_url)


def start(rules: Rules, user_id: str = "alice", **how: Any) -> tuple[str, str, Any]:
    """A session's id, its device's, and the answer that started it."""
    started = rules.start(user_id, PresentedTokens(**how))
    session_id = started.short.session_id or ""
    session = rules.sessions.session(session_id)
    assert session is not None
    return session_id, session.device_id, started


def alive(rules: Rules, *session_ids: str) -> list[bool]:
    return [rules.ending.is_live(session_id) for session_id in session_ids]


def test_one_session_is_revoked_with_one_update(database_url: str) -> None:
    rules = rules_on(database_url)
    session_id, _, started = start(rules)
    other, _, _ = start(rules)
    rules.warm()
    with statements_of(rules.database.engine) as seen, heard(rules.sender) as said:
        assert rules.revocation.revoke(session_id, "alice") == [session_id]
    assert seen.verbs == ["UPDATE"]
    facts = {"user_id": "alice", "session_ids": [session_id], "reason": "revoked"}
    assert said == [("session-revoked", facts)]
    assert alive(rules, session_id, other) == [False, True]
    assert isinstance(rules.resolve(presented(started)), Ended)


def test_a_device_is_revoked_with_all_that_runs_on_it_in_one_update(rules: Rules) -> None:
    first, device_id, started = start(rules)
    second, same, _ = start(rules, device=[started.device_token])
    elsewhere, _, _ = start(rules)
    assert same == device_id
    with statements_of(rules.database.engine) as seen:
        assert sorted(rules.revocation.revoke_device(device_id, "alice")) == sorted([first, second])
    assert seen.verbs == ["UPDATE"]
    assert alive(rules, first, second, elsewhere) == [False, False, True]


def test_all_others_are_revoked_in_one_update(rules: Rules) -> None:
    mine, _, _ = start(rules)
    others = [start(rules)[0] for _ in range(3)]
    bobs, _, _ = start(rules, "bob")
    with statements_of(rules.database.engine) as seen:
        assert sorted(rules.revocation.revoke_user("alice", "revoked", except_session_id=mine)) == sorted(others)
    assert seen.verbs == ["UPDATE"]
    assert alive(rules, mine, bobs, *others) == [True, True, False, False, False]


def test_revoking_again_changes_nothing_and_says_nothing(rules: Rules) -> None:
    session_id, device_id, _ = start(rules)
    rules.revocation.revoke(session_id, "alice")
    with heard(rules.sender) as said:
        assert rules.revocation.revoke(session_id, "alice") == []
        assert rules.revocation.revoke_device(device_id, "alice") == []
        assert rules.revocation.revoke_user("alice", "operator") == []
    assert said == []
    assert rules.revocation.history("alice")[0].end_reason == "revoked"


ACTIONS: list[Any] = [
    lambda overview, session_id, device_id, user: overview.revoke(session_id, user),
    lambda overview, session_id, device_id, user: overview.revoke_device(device_id, user),
    lambda overview, session_id, device_id, user: overview.rename_device(device_id, user, "Mine"),
]


@pytest.mark.parametrize("act", ACTIONS)
def test_another_users_ids_are_unknown(rules: Rules, act: Any) -> None:
    session_id, device_id, _ = start(rules)
    with heard(rules.sender) as said, pytest.raises(SessionNotFound):
        act(rules.revocation, session_id, device_id, "bob")
    assert said == []
    assert alive(rules, session_id) == [True]
    assert rules.revocation.devices("alice", None)[0].name is None


@pytest.mark.parametrize("act", ACTIONS)
def test_an_ended_session_of_another_user_is_unknown_too(rules: Rules, act: Any) -> None:
    session_id, device_id, _ = start(rules)
    rules.revocation.revoke_user("alice", "revoked")
    with pytest.raises(SessionNotFound):
        act(rules.revocation, session_id, device_id, "bob")


@pytest.mark.parametrize("act", ACTIONS)
def test_an_id_that_nobody_has_is_unknown(rules: Rules, act: Any) -> None:
    start(rules)
    with pytest.raises(SessionNotFound):
        act(rules.revocation, new_id(), new_id(), "alice")


def test_what_is_no_id_is_unknown_without_a_statement(subtests: pytest.Subtests, rules: Rules) -> None:
    bads: list[str] = ["", "x", "a" * 31, "' OR 1=1 --", "a" * 29 + "\0", "../../etc/passwd", "ü" * 30, "a" * 10**5]
    for act in ACTIONS:
        for bad in bads:
            with subtests.test(bad=bad, act=act):
                with statements_of(rules.database.engine) as seen, pytest.raises(SessionNotFound):
                    act(rules.revocation, bad, bad, "alice")
                assert seen == []
                assert rules.revocation.session(bad) is None


@pytest.mark.parametrize("act", ACTIONS)
def test_without_a_user_it_acts_for_anyone(rules: Rules, act: Any) -> None:
    session_id, device_id, _ = start(rules)
    act(rules.revocation, session_id, device_id, None)
    device = next(iter(rules.revocation.devices("alice", None)), None)
    assert device is None or device.name == "Mine"


def test_a_device_goes_by_what_can_be_shown_of_its_name(subtests: pytest.Subtests, database_url: str) -> None:
    rows: list[tuple[str, str | None]] = [
        ("Küche", "Küche"),
        ("  Desk  ", "Desk"),
        ("", None),
        ("   ", None),
        ("\t\r\n\0", None),
        ("x" * 200, "x" * 80),
        ("a\r\nSet-Cookie: b\x1b[2J", "a  Set-Cookie: b [2J"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("🦊" * 90, "🦊" * 80),
        ("\ud800", None),
    ]
    rules = rules_on(database_url)
    for number, (given, kept) in enumerate(rows):
        user_id = f"user-{number}"
        _, device_id, _ = start(rules, user_id)
        with subtests.test(given=given[:20]):
            rules.revocation.rename_device(device_id, user_id, given)
            assert rules.revocation.devices(user_id, None)[0].name == kept


def test_a_name_can_be_taken_away_again(rules: Rules) -> None:
    _, device_id, _ = start(rules)
    rules.revocation.rename_device(device_id, "alice", "Desk")
    rules.revocation.rename_device(device_id, "alice", "")
    assert rules.revocation.devices("alice", None)[0].name is None


def test_the_current_session_is_marked(rules: Rules) -> None:
    start(rules)
    mine, device_id, _ = start(rules)
    devices = rules.revocation.devices("alice", mine)
    assert [device.is_current for device in devices] == [True, False]
    assert devices[0].id == device_id
    assert [session.is_current for device in devices for session in device.sessions] == [True, False]


def test_the_history_tells_why_each_session_ended(rules: Rules) -> None:
    session_id, _, _ = start(rules)
    rules.revocation.revoke(session_id, None, "operator")
    assert [(each.session_id, each.end_reason) for each in rules.revocation.history("alice")] == [
        (session_id, "operator")
    ]
    assert rules.revocation.devices("alice", None) == []
    assert rules.revocation.session(session_id) == rules.sessions.session(session_id)


def test_the_past_is_forgotten_after_the_retention(rules: Rules) -> None:
    old, _, _ = start(rules)
    rules.revocation.revoke(old, None)
    rules.clock.move(days=89)
    young, _, _ = start(rules)
    assert list(rules.revocation.delete_old()) == []
    rules.clock.move(days=1, milliseconds=1)
    assert list(rules.revocation.delete_old()) == [1, 1]
    assert rules.revocation.session(old) is None
    assert alive(rules, young) == [True]


def test_live_sessions_are_counted(rules: Rules) -> None:
    start(rules)
    gone, _, _ = start(rules, "bob")
    rules.revocation.revoke(gone, None)
    assert rules.revocation.stats()["live_sessions"] == 1


def test_revoking_is_known_at_once_in_this_process(rules: Rules) -> None:
    session_id, _, started = start(rules)
    assert isinstance(rules.resolve(presented(started)), Active)
    rules.revocation.revoke(session_id, "alice")
    assert isinstance(rules.resolve(presented(started)), Ended)
