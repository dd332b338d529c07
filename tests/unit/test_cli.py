"""``flask corbado-session``: creating tables, listing, revoking, cleaning up, and checking the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask

from flask_corbado_session.testing import move_clock, signed_in
from flask_corbado_session.tokens.ids import new_id
from tests.support.apps import make_app, rows_of, unprepared_app
from tests.support.key_files import a_jwk, key_file
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
    """The ids of the user's only session and of its device."""
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
        assert result.output.startswith("created tables: ")
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


@pytest.mark.parametrize("command", ["list", "revoke --user alice", "cleanup", "stats", "init-db"])
def test_a_command_while_the_database_is_down_says_so(app: Flask, run: Run, sqlite_url: str, command: str) -> None:
    with database_down(rows_of(app).database, sqlite_url):
        result = run(*command.split())
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


# ---- list


def test_the_active_sessions_are_listed(app: Flask, run: Run) -> None:
    signed_in(app, "alice", user_agent=CURL, amr=["pwd"])
    signed_in(app, "bob")
    session_id, device_id = ids(app)
    text = run("list", "alice").output
    assert session_id in text
    assert "curl" in text
    assert "bob" not in text
    (listed,) = said(run("list", "alice", "--json"))
    assert listed["session_id"] == session_id
    assert (listed["user_id"], listed["device_id"], listed["device"], listed["amr"]) == (
        "alice",
        device_id,
        "curl",
        ["pwd"],
    )
    assert listed.keys() >= {"created_at", "last_seen_at", "expires_at", "ip"}


def test_an_ended_session_is_not_in_the_list(app: Flask, run: Run) -> None:
    signed_in(app, "alice")
    rows_of(app).revocation.revoke_user("alice", "revoked")
    assert run("list", "alice").output == "no active sessions for alice\n"
    assert run("list").output == "no active sessions\n"
    assert said(run("list", "--json")) == []


def test_the_list_has_at_most_as_many_sessions_as_the_limit(app: Flask, run: Run) -> None:
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
        assert run("revoke", option, target).output == "revoked 1 session\n"
    assert [(name, facts["reason"]) for name, facts in signals] == [("session-revoked", "operator")]
    assert said(run("revoke", option, target, "--json")) == {"ended": []}
    assert rows_of(app).revocation.history("alice")[0].session_id == session_id
    assert [client.get("/protected").status_code for client in (alice, bob)] == [401, 200]


def test_the_revoked_sessions_are_printed_for_scripts(app: Flask, run: Run) -> None:
    for _ in range(2):
        signed_in(app, "alice")
    assert len(said(run("revoke", "--user", "alice", "--json"))["ended"]) == 2
    assert run("revoke", "--user", "alice").output == "revoked 0 sessions\n"


@pytest.mark.parametrize("option", ["--session", "--device"])
@pytest.mark.parametrize("target", [new_id(), "x", "", "' OR 1=1 --"], ids=["unknown", "short", "empty", "SQL"])
def test_an_unknown_id_is_an_error(run: Run, option: str, target: str) -> None:
    result = run("revoke", option, target)
    assert (result.exit_code, result.output) == (1, "Error: no such session or device\n")


@pytest.mark.parametrize("arguments", ["", "--session a --user b", "--session a --device b", "--user a --device b"])
def test_one_thing_is_named_to_be_revoked(run: Run, arguments: str) -> None:
    result = run("revoke", *arguments.split())
    assert result.exit_code == 2
    assert "name one of --session, --device and --user" in result.output


# ---- cleanup, stats


def test_ended_sessions_are_deleted_after_the_retention(app: Flask, run: Run) -> None:
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


def test_safe_settings_have_no_risks(run: Run) -> None:
    result = run("check")
    assert (result.exit_code, result.output) == (0, "no risky settings found\n")
    assert said(run("check", "--json")) == {"risks": []}


RISKS: dict[str, dict[str, Any]] = {
    "SECRET_KEY is one that everybody knows": {"SECRET_KEY": "dev"},
    "SECRET_KEY is shorter than 16 characters": {"SECRET_KEY": "fifteen letters"},
    "SECRET_KEY_FALLBACKS is one that everybody knows": {"SECRET_KEY_FALLBACKS": ["changeme"]},
    "COOKIE_SECURE is False": {"COOKIE_SECURE": False},
    'COOKIE_SAMESITE is "None"': {"COOKIE_SAMESITE": "None"},
    "COOKIE_DOMAIN is set": {"COOKIE_DOMAIN": "example.com"},
    "REAUTH_VIEW is not set": {"REAUTH_VIEW": None},
    "LOGIN_VIEW is not set": {"LOGIN_VIEW": None},
    "IDLE_TIMEOUT is None": {"IDLE_TIMEOUT": None},
    "CORS_ORIGINS names http://a.example": {"CORS_ORIGINS": ["http://a.example"]},
    "TRUSTED_ORIGINS names http://b.example": {"TRUSTED_ORIGINS": ["http://b.example"]},
    "DEVICE_BINDING does nothing while URL_PREFIX is None": {"DEVICE_BINDING": True, "URL_PREFIX": None},
    "SHORT_LIFETIME is under five minutes with DEVICE_BINDING": {"DEVICE_BINDING": True, "SHORT_LIFETIME": 299},
    "API_SECRET is shorter than 32 characters": {"API_SECRET": "x" * 31, "PROJECT_ID": "pro-1"},
}
"""The settings without their prefix, by what ``check`` says of them."""


@pytest.mark.parametrize("risk", RISKS)
def test_each_risky_setting_is_named_with_what_to_do(sqlite_url: str, risk: str) -> None:
    prefixed = {name if "SECRET_KEY" in name else f"CORBADO_SESSION_{name}": RISKS[risk][name] for name in RISKS[risk]}
    line = the_risk(make_app(sqlite_url, **{**SAFE, **prefixed})[0])
    assert (risk if "SECRET_KEY" in risk else f"CORBADO_SESSION_{risk}") in line
    assert not [secret for secret in ("fifteen letters", "x" * 31) if secret in line]


def test_a_key_file_with_the_default_issuer_is_named(sqlite_url: str, tmp_path: Path) -> None:
    key_file(tmp_path / "keys.json", a_jwk("EdDSA", 0))
    config = {**SAFE, "CORBADO_SESSION_KEYS_FILE": str(tmp_path / "keys.json")}
    assert "CORBADO_SESSION_ISSUER is not set: " in the_risk(make_app(sqlite_url, **config)[0])
    named = {"CORBADO_SESSION_ISSUER": "https://id.example.com"}
    assert runner(make_app(sqlite_url, **{**config, **named})[0])("check").exit_code == 0


def test_an_api_secret_of_32_characters_is_no_risk(sqlite_url: str) -> None:
    config = {"CORBADO_SESSION_API_SECRET": "x" * 32, "CORBADO_SESSION_PROJECT_ID": "pro-1"}
    assert runner(make_app(sqlite_url, **SAFE, **config)[0])("check").exit_code == 0


def test_an_app_that_nothing_tells_from_others_under_its_secret_key_is_named() -> None:
    """Its engine connects through a ``creator``, so that its URL says nothing."""
    app, _, _ = unprepared_app("postgresql+psycopg://", **SAFE)
    assert "CORBADO_SESSION_ISSUER is not set, and the database's URL names no host" in the_risk(app)
    for url, config in (
        ("postgresql+psycopg://db/shop", {}),
        ("postgresql+psycopg://", {"ISSUER": "https://a.example"}),
    ):
        named = {f"CORBADO_SESSION_{name}": value for name, value in config.items()}
        app, _, _ = unprepared_app(url, **SAFE, **named)
        assert runner(app)("check").exit_code == 0


def the_risk(app: Flask) -> str:
    """The only line that ``check`` prints, the same for scripts; it also says what to do."""
    result = runner(app)("check")
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert ": " in line
    assert said_risks(runner(app)) == [line.removeprefix("- ")]
    return line


def test_the_debug_mode_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert said_risks(run) == ["the app runs in debug mode: never do that where others can reach the app"]


def said_risks(run: Run) -> Any:
    return json.loads(run("check", "--json").output)["risks"]


def test_every_command_explains_itself(run: Run) -> None:
    assert "Manage long sessions" in run("--help").output
    for command in ("init-db", "list", "revoke", "cleanup", "stats", "check", "keys"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 4


def test_an_apps_own_command_of_the_group_runs_beside_ours(app: Flask, run: Run) -> None:
    group: Any = app.cli.commands["corbado-session"]

    group.add_command(click.Command("mine", callback=lambda: click.echo("it ran")))
    assert run("mine").output == "it ran\n"
    listed = run("--help").output
    assert "mine" in listed
    assert "init-db" in listed
    group.commands.pop("mine")  # the group is every app's
