"""Floor 1: what passes between the floors keeps its secrets, cannot be changed, and says what to do."""

from __future__ import annotations

import dataclasses
import json
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from flask_corbado_session.database.rows import NewSession
from flask_corbado_session.keys.key import Key
from flask_corbado_session.model import errors, outcome, records, signals, users
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import first_token
from flask_corbado_session.web.resume import Remembered

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHORT = records.ShortSession("alice", "s" * 30, NOW, NOW, "issuer")


def a_long_session(**changes: Any) -> records.LongSession:
    session = records.LongSession(
        session_id="s" * 30,
        user_id="alice",
        device_id="d" * 30,
        created_at=NOW,
        last_seen_at=NOW,
        idle_expires_at=NOW,
        expires_at=NOW,
        auth_time=NOW,
        amr=(),
        persistent=True,
        ip=None,
        user_agent=None,
    )
    return dataclasses.replace(session, **changes)


def a_device(**changes: Any) -> records.Device:
    device = records.Device("d" * 30, "alice", None, "Firefox", "Linux", "desktop", None, NOW)
    return dataclasses.replace(device, **changes)


MADE_BY_APPS = [users.UserMixin]
INTERNAL = [records.Changes, records.UserAgentDescription]
CLASSES: list[Any] = [
    value
    for module in (records, users)
    for value in vars(module).values()
    if hasattr(value, "__slots__") and value.__module__ == module.__name__ and value not in MADE_BY_APPS
]


def test_a_record_that_an_app_is_given_cannot_be_changed(subtests: pytest.Subtests) -> None:
    for record in CLASSES:
        with subtests.test(record=record):
            assert issubclass(record, tuple) or record.__dataclass_params__.frozen
            assert record in INTERNAL or not issubclass(record, tuple)  # which jsonify() would make a list of
            assert "__slots__" in vars(record)


@pytest.mark.parametrize(
    "secret",
    [
        outcome.Refreshed(SHORT, "SECRET", "SECRET", True, NOW, NOW, "promote"),
        outcome.Started(SHORT, "SECRET", "SECRET", "SECRET", True, NOW),
        Key("kid", "HS256", b"SECRET", b"SECRET"),
        NewSession("s", "u", "d", b"SECRET", b"SECRET", True, {}, (), records.Context(), NOW, NOW, NOW),
        PresentedTokens(["SECRET"], ["SECRET"], ["SECRET"]),
        Remembered("u", "/", [("a", "SECRET")]),
        records.Notice("new_device", "u", "s", records.Context(), report_path="/disown/SECRET"),
        first_token(new_id())[0],
    ],
    ids=lambda secret: type(secret).__name__,
)
def test_no_secret_stands_in_a_repr_nor_in_what_a_log_of_local_variables_shows(secret: object) -> None:
    """Error trackers and JSON loggers walk through tuples and lists, and ask nobody for a repr there."""
    assert "SECRET" not in repr(secret)
    assert json.dumps(secret, default=repr) == json.dumps(repr(secret))


def test_no_secret_of_a_long_token_stands_in_its_repr() -> None:
    token, _ = first_token(new_id())
    assert all(repr(secret) not in repr(token) for secret in (token.secret, token.nonce, token.parent_hash))


def test_the_outcomes_are_six() -> None:
    names = {each.__name__ for each in get_args(outcome.Outcome)}
    assert names == {"Active", "Refreshed", "Started", "Anonymous", "Ended", "SignedOut"}


def test_a_device_goes_by_what_it_is_until_its_owner_names_it() -> None:
    assert a_device().title == "Firefox on Linux"
    assert a_device(name="Desk").title == "Desk"
    assert a_device(name="Desk").label == "Firefox on Linux"


def test_a_device_of_an_unknown_system_is_called_by_its_browser() -> None:
    assert a_device(system="").label == "Firefox"


def test_a_device_was_last_seen_when_its_latest_session_was() -> None:
    sessions = tuple(a_long_session(last_seen_at=NOW + timedelta(hours=hour)) for hour in (1, 3, 2))
    assert a_device(sessions=sessions).last_seen_at == NOW + timedelta(hours=3)
    assert a_device().last_seen_at == NOW


@pytest.mark.parametrize("user", [users.SessionUser("alice"), users.AnonymousUser()], ids=["somebody", "nobody"])
def test_a_user_keeps_flask_logins_promises(user: users.SessionUser | users.AnonymousUser) -> None:
    known = user.get_id() == "alice"
    assert user.is_authenticated is known
    assert user.is_active is known
    assert user.is_anonymous is not known
    assert user.id == user.get_id()


def test_an_invalid_short_session_has_a_code_beside_its_text() -> None:
    error = errors.InvalidShortSession("expired", "it ended")
    assert (error.code, str(error)) == ("expired", "it ended")


def test_the_codes_are_those_of_the_contract() -> None:
    assert set(get_args(errors.InvalidCode)) == {
        "empty", "malformed", "algorithm", "unknown_key", "signature", "expired", "not_yet_valid",
        "issuer", "audience", "claims", "revoked",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "what_to_do"),
    [(errors.TablesMissing(), "flask corbado-session init-db"), (errors.NotOnThisApp(), "call sessions.init_app(app)")],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_what_to_do(error: Exception, what_to_do: str) -> None:
    assert what_to_do in "".join(traceback.format_exception_only(error))


def test_every_signal_has_a_name_of_its_own() -> None:
    names = {value.name for value in vars(signals).values() if hasattr(value, "send")}
    assert names == {
        "corbado-session-started",
        "corbado-session-refreshed",
        "corbado-session-ended",
        "corbado-session-revoked",
        "corbado-session-reuse-detected",
        "corbado-device-added",
        "corbado-device-binding-failed",
    }
