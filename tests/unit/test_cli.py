"""``flask corbado-session``: tables, lists, revoking, cleaning up, and whether the settings are safe."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import make_app, rows_of, unprepared_app
from tests.support.rules import database_down, heard

CURL = "curl/8.5.0"
SAFE = {
    "CORBADO_SESSION_LOGIN_VIEW": "/sign-in",
    "CORBADO_SESSION_REAUTH_VIEW": "/confirm",
}
Run = Callable[..., Result]


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app, _, _ = make_app(sqlite_url, **SAFE)
    return app


def runner(app: Flask) -> Run:
    return lambda *arguments: app.test_cli_runner().invoke(args=["corbado-session", *arguments])


@pytest.fixture
def run(app: Flask) -> Run:
    return runner(app)


def ids(app: Flask, user_id: str = "alice") -> tuple[str, str]:
    """Of the user's only session, and of its device."""
    device = rows_of(app).revocation.devices(user_id, None)[0]
    return device.sessions[0].session_id, device.id


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# ---- init-db


def test_the_tables_are_made_once_and_kept(database_url: str) -> None:
    app, _, _ = unprepared_app(database_url)
    for _ in range(2):
        result = runner(app)("init-db")
        assert result.exit_code == 0
        assert "corbado_session" in result.output
        assert "corbado_device" in result.output
    assert signed_in(app, "alice").get("/protected").status_code == 200
    assert runner(app)("init-db").exit_code == 0
    assert len(said(runner(app)("list", "--json"))) == 1


def test_a_command_without_tables_says_how_to_make_them(sqlite_url: str) -> None:
    app, _, _ = unprepared_app(sqlite_url)
    for command in (["list"], ["list", "alice"], ["revoke", "--user", "alice"], ["cleanup"], ["stats"]):
        result = runner(app)(*command)
        assert result.exit_code == 1
        assert "run `flask corbado-session init-db`" in result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize("command", [["list"], ["revoke", "--user", "alice"], ["cleanup"], ["stats"], ["init-db"]])
def test_a_command_while_the_database_is_down_says_so(
    app: Flask, run: Run, sqlite_url: str, command: list[str]
) -> None:
    with database_down(rows_of(app).database, sqlite_url):
        result = run(*command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


# ---- list


def test_who_is_signed_in_where(app: Flask, run: Run) -> None:
    signed_in(app, "alice", user_agent=CURL, amr=["pwd"])
    signed_in(app, "bob")
    session_id, device_id = ids(app)
    text = run("list", "alice").output
    assert session_id in text
    assert "curl" in text
    assert "bob" not in text
    (found,) = said(run("list", "alice", "--json"))
    assert found["session_id"] == session_id
    assert (found["user_id"], found["device_id"], found["device"], found["amr"]) == (
        "alice",
        device_id,
        "curl",
        ["pwd"],
    )
    assert found.keys() >= {"created_at", "last_seen_at", "expires_at", "ip"}


def test_an_ended_session_is_not_in_the_list(app: Flask, run: Run) -> None:
    signed_in(app, "alice")
    rows_of(app).revocation.revoke_user("alice", "revoked")
    assert run("list", "alice").output == "alice is signed in nowhere\n"
    assert run("list").output == "nobody is signed in\n"
    assert said(run("list", "--json")) == []


def test_the_list_is_as_long_as_asked(app: Flask, run: Run) -> None:
    for _ in range(5):
        signed_in(app, "alice")
    assert len(said(run("list", "--limit", "3", "--json"))) == 3
    assert run("list", "--limit", "0").exit_code == 2
    assert run("list", "--limit", "x").exit_code == 2


def test_a_strangers_text_cannot_play_with_the_terminal(app: Flask, run: Run) -> None:
    signed_in(app, "mallory\x1b[2J\r\nroot", user_agent="\x1b]0;owned\x07")
    device = rows_of(app).revocation.devices("mallory\x1b[2J\r\nroot", None)[0]
    rows_of(app).revocation.rename_device(device.id, None, "\x1b[31mred")
    result = run("list")
    assert "mallory" in result.output
    assert len(result.output.splitlines()) == 2
    assert all(line.isprintable() for line in result.output.splitlines())


# ---- revoke


@pytest.mark.parametrize("option", ["--session", "--device", "--user"])
def test_a_session_a_device_or_a_user_is_revoked(app: Flask, run: Run, option: str) -> None:
    alice, bob = signed_in(app, "alice"), signed_in(app, "bob")
    target = {"--session": ids(app)[0], "--device": ids(app)[1], "--user": "alice"}[option]
    session_id = ids(app)[0]
    with heard(app) as signals:
        assert run("revoke", option, target).output == "ended 1 session\n"
    assert [(name, facts["reason"]) for name, facts in signals] == [("session-revoked", "operator")]
    assert said(run("revoke", option, target, "--json")) == {"ended": []}
    assert rows_of(app).revocation.history("alice")[0].session_id == session_id
    assert [client.get("/protected").status_code for client in (alice, bob)] == [401, 200]


def test_what_was_ended_is_said_for_scripts(app: Flask, run: Run) -> None:
    for _ in range(2):
        signed_in(app, "alice")
    assert len(said(run("revoke", "--user", "alice", "--json"))["ended"]) == 2
    assert run("revoke", "--user", "alice").output == "ended 0 sessions\n"


@pytest.mark.parametrize("option", ["--session", "--device"])
@pytest.mark.parametrize("target", [new_id(), "x", "", "' OR 1=1 --"])
def test_an_unknown_id_is_an_error(run: Run, option: str, target: str) -> None:
    result = run("revoke", option, target)
    assert (result.exit_code, result.output) == (1, "Error: there is no such session or device\n")


@pytest.mark.parametrize("arguments", [[], ["--session", "a", "--user", "b"], ["--session", "a", "--device", "b"]])
def test_one_thing_is_named_to_be_revoked(run: Run, arguments: list[str]) -> None:
    result = run("revoke", *arguments)
    assert result.exit_code == 2
    assert "name one of --session, --device and --user" in result.output


# ---- cleanup, stats


def test_the_past_is_deleted_after_the_retention(app: Flask, run: Run) -> None:
    clock = move_clock(app)
    signed_in(app, "alice")
    rows_of(app).revocation.revoke_user("alice", "revoked")
    signed_in(app, "bob")
    assert said(run("cleanup", "--json")) == {"deleted": 0}
    clock.move(days=91)
    assert run("cleanup").stdout == "deleted 2 rows\n"
    assert said(run("cleanup", "--json")) == {"deleted": 0}
    assert rows_of(app).revocation.history("alice") == []


def test_the_sessions_are_counted(app: Flask, run: Run) -> None:
    for user_id in ("alice", "alice", "bob", "carol"):
        signed_in(app, user_id)
    rows_of(app).revocation.revoke_user("carol", "operator")
    counted = said(run("stats", "--json"))
    assert counted["ended_in_a_day"] == {"operator": 1}
    assert {3, 2} <= {value for value in counted.values() if isinstance(value, int)}
    assert "ended in a day: operator  1" in run("stats").output


# ---- check


def test_safe_settings_are_found_safe(run: Run) -> None:
    result = run("check")
    assert (result.exit_code, result.output) == (0, "nothing risky found\n")
    assert said(run("check", "--json")) == {"risks": []}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"SECRET_KEY": "dev"}, "SECRET_KEY is one that everybody knows"),
        ({"SECRET_KEY": "fifteen letters"}, "SECRET_KEY is shorter than 16 characters"),
        ({"SECRET_KEY_FALLBACKS": ["changeme"]}, "SECRET_KEY_FALLBACKS is one that everybody knows"),
        ({"CORBADO_SESSION_COOKIE_SECURE": False}, "CORBADO_SESSION_COOKIE_SECURE is False"),
        ({"CORBADO_SESSION_COOKIE_SAMESITE": "None"}, 'CORBADO_SESSION_COOKIE_SAMESITE is "None"'),
        ({"CORBADO_SESSION_COOKIE_DOMAIN": "example.com"}, "CORBADO_SESSION_COOKIE_DOMAIN is set"),
        ({"CORBADO_SESSION_REAUTH_VIEW": None}, "CORBADO_SESSION_REAUTH_VIEW is not set"),
        ({"CORBADO_SESSION_LOGIN_VIEW": None}, "CORBADO_SESSION_LOGIN_VIEW is not set"),
        ({"CORBADO_SESSION_IDLE_TIMEOUT": None}, "CORBADO_SESSION_IDLE_TIMEOUT is None"),
        ({"CORBADO_SESSION_CORS_ORIGINS": ["http://a.example"]}, "CORBADO_SESSION_CORS_ORIGINS names http://a.example"),
        (
            {"CORBADO_SESSION_TRUSTED_ORIGINS": ["http://b.example"]},
            "CORBADO_SESSION_TRUSTED_ORIGINS names http://b.ex",
        ),
    ],
)
def test_each_risky_setting_is_named_with_what_to_do(sqlite_url: str, config: dict[str, Any], named: str) -> None:
    app, _, _ = make_app(sqlite_url, **{**SAFE, **config})
    result = runner(app)("check")
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert named in line
    assert ":" in line
    assert "fifteen letters" not in line
    assert said_risks(runner(app)) == [line.removeprefix("- ")]


def test_the_debug_mode_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert said_risks(run) == ["the app runs in debug mode: never do that where others can reach it"]


def said_risks(run: Run) -> Any:
    return json.loads(run("check", "--json").output)["risks"]


def test_every_command_explains_itself(run: Run) -> None:
    assert "Long sessions" in run("--help").output
    for command in ("init-db", "list", "revoke", "cleanup", "stats", "check", "keys"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 4
