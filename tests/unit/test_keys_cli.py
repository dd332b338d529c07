"""``flask corbado-session keys``: generate, rotate and show; and what starts without the file and what does not."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import FlaskGroup

from flask_corbado_session import SettingsError
from flask_corbado_session.keys.file import read
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app
from tests.support.key_files import ALGORITHMS, NOON, PRIVATE_MEMBERS, a_jwk, file_of, key_file
from tests.support.systems import OPEN_TO_OTHERS

FIRST = a_jwk("EdDSA", 0)["kid"]
MINUTE = timedelta(minutes=1)

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_corbado_session import CorbadoSession

db = SQLAlchemy()
sessions = CorbadoSession(db)

def create_app():
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY="wJ2o9qUk3vYx7ZbTfR5mHd8sLcN4pGeA", SQLALCHEMY_DATABASE_URI="sqlite:///app.sqlite")
    app.config.from_mapping(CORBADO_SESSION_KEYS_FILE="keys.json")
    db.init_app(app)
    sessions.init_app(app)
    return app
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key file of this test is or will be."""
    return tmp_path / "keys.json"


@pytest.fixture
def app(sqlite_url: str, path: Path) -> Flask:
    """The tests' app at noon, with one key that signs."""
    key_file(path, a_jwk("EdDSA", 0))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]
    move_clock(app, NOON)
    return app


def keys(app: Flask, *args: str) -> Result:
    """Run a command of the group on an app that exists already."""
    return app.test_cli_runner().invoke(args=["corbado-session", "keys", *args])


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def failed(result: Result, code: int = 1) -> str:
    """The output of a command that failed: a sentence, and no traceback."""
    assert (result.exit_code, type(result.exception)) == (code, SystemExit)
    return " ".join(result.output.split())


@pytest.fixture
def flask(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``flask``, which makes the app only when it looks for the command in it."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")  # it sets this one, and the test's end takes it back

    def run(*args: str, keys_file: str | None) -> Result:
        group = FlaskGroup(create_app=lambda: make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=keys_file)[0])
        return CliRunner().invoke(group, args)

    return run


# ---- generate


def test_generate_makes_the_file_that_was_missing(flask: Any, path: Path) -> None:
    output = done(flask("corbado-session", "keys", "generate", keys_file=str(path)))
    (key,) = read(path)
    assert output == f"created {path}: {key.kid} (RS256) signs from now on\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generate_makes_a_key_of_the_algorithm_asked_for(flask: Any, path: Path, algorithm: str) -> None:
    done(flask("corbado-session", "keys", "generate", "--alg", algorithm, keys_file=str(path)))
    assert read(path)[0].key.algorithm == algorithm


def test_generate_makes_a_key_of_no_other_algorithm(flask: Any, path: Path) -> None:
    for algorithm in ("HS256", "none", "RS512", ""):
        result = flask("corbado-session", "keys", "generate", "--alg", algorithm, keys_file=str(path))
        assert "is not one of 'RS256', 'ES256', 'EdDSA'" in failed(result, 2), algorithm
        assert not path.exists(), algorithm


@pytest.mark.parametrize("content", ["", "{", "valuable"], ids=["empty", "broken", "of something else"])
def test_generate_writes_over_nothing(flask: Any, path: Path, content: str) -> None:
    file_of(path, content)
    assert "is there already" in failed(flask("corbado-session", "keys", "generate", keys_file=str(path)))
    assert path.read_text() == content


@pytest.mark.parametrize("command", ["generate", "rotate", "show"])
def test_without_the_setting_the_error_names_it(flask: Any, command: str) -> None:
    text = failed(flask("corbado-session", "keys", command, keys_file=None))
    assert "CORBADO_SESSION_KEYS_FILE is not set" in text


# ---- rotate


def test_rotate_publishes_a_key_that_signs_in_ten_minutes(app: Flask, path: Path) -> None:
    text = done(keys(app, "rotate"))
    new = read(path)[1]
    assert text.splitlines() == [
        f"published {new.kid} (EdDSA), which signs from 2026-03-01T12:10:01Z",
        "older keys stay published until 2026-03-01T12:26:01Z at most",
    ]


def test_rotate_counts_with_the_apps_own_short_lifetime(sqlite_url: str, path: Path) -> None:
    key_file(path, a_jwk("EdDSA", 0))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path), CORBADO_SESSION_SHORT_LIFETIME=3600)[0]
    move_clock(app, NOON)
    assert "published until 2026-03-01T13:11:01Z" in done(keys(app, "rotate"))


def test_rotate_can_wait_longer(app: Flask) -> None:
    assert "signs from 2026-03-01T13:00:01Z" in done(keys(app, "rotate", "--in", "60"))


def test_rotate_waits_at_least_ten_minutes(app: Flask, path: Path) -> None:
    before = path.read_bytes()
    for minutes in ("9", "0", "-10", "525601", "9.9", "soon", ""):
        assert "Invalid value for '--in'" in failed(keys(app, "rotate", "--in", minutes), 2), minutes
        assert path.read_bytes() == before, minutes


def test_rotate_can_change_the_algorithm(app: Flask, path: Path) -> None:
    done(keys(app, "rotate", "--alg", "ES256"))
    assert read(path)[1].key.algorithm == "ES256"


def test_rotating_twice_is_an_error_and_force_takes_the_first_back(app: Flask, path: Path) -> None:
    done(keys(app, "rotate"))
    waiting = read(path)[1].kid
    assert "rotate after that, or take it back with --force" in failed(keys(app, "rotate"))
    assert done(keys(app, "rotate", "--force")).startswith(f"took back {waiting}, which had signed nothing\n")
    assert waiting not in [key.kid for key in read(path)]


# ---- show


def clock_of(app: Flask) -> MovingClock:
    return move_clock(app, NOON)


def test_show_prints_each_keys_state_and_times(app: Flask, path: Path) -> None:
    clock = clock_of(app)
    done(keys(app, "rotate"))
    first, second = read(path)
    rows = [re.split(r"\s{2,}", row) for row in done(keys(app, "show")).splitlines()]
    assert rows == [
        ["kid", "alg", "state", "signs from", "published until"],
        [FIRST, "EdDSA", "signing", "-", "2026-03-01T12:26:01Z"],
        [second.kid, "EdDSA", "next", "2026-03-01T12:10:01Z", "-"],
    ]
    states = []
    for minutes in (11, 16):
        clock.move(minutes=minutes)
        states.append(re.findall(r"next|signing|retiring|expired", done(keys(app, "show"))))
    assert states == [["retiring", "signing"], ["expired", "signing"]]
    assert first.kid == FIRST


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_command_prints_anything_private(sqlite_url: str, path: Path, algorithm: Any) -> None:
    key_file(path, a_jwk(algorithm))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]
    output = "".join(keys(app, *args).output for args in (["show"], ["rotate"], ["show"], ["rotate"], ["generate"]))
    jwks = json.loads(path.read_text())["keys"]
    assert len(jwks) == 2
    assert all(jwk["kid"] in output for jwk in jwks)
    assert not [name for jwk in jwks for name in PRIVATE_MEMBERS if name in jwk and jwk[name] in output]


@pytest.mark.parametrize("command", ["rotate", "show"])
@pytest.mark.parametrize("how", ["missing", "broken", OPEN_TO_OTHERS])
def test_a_file_that_cannot_be_used_is_reported_in_a_sentence(flask: Any, path: Path, command: str, how: str) -> None:
    if how != "missing":
        file_of(path, "{").chmod(0o600 if how == "broken" else 0o644)
    text = failed(flask("corbado-session", "keys", command, keys_file=str(path)))
    assert text.startswith(f"Error: CORBADO_SESSION_KEYS_FILE: {path} ")
    assert {"missing": "keys generate", "broken": "keys generate", "open to others": "chmod 600"}[how] in text


# ---- what starts without the file


@pytest.mark.parametrize("how", ["missing", "broken", OPEN_TO_OTHERS])
def test_a_server_does_not_start_on_a_file_that_cannot_be_used(sqlite_url: str, path: Path, how: str) -> None:
    if how != "missing":
        file_of(path, "{").chmod(0o600 if how == "broken" else 0o644)
    with pytest.raises(SettingsError, match=f"^CORBADO_SESSION_KEYS_FILE: {re.escape(str(path))} "):
        make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))


def test_the_apps_other_commands_run_without_the_file(flask: Any, path: Path) -> None:
    assert done(flask("corbado-session", "cleanup", keys_file=str(path))) == "deleted 0 rows\n"


def test_check_names_a_file_that_cannot_be_used(flask: Any, path: Path) -> None:
    text = failed(flask("corbado-session", "check", keys_file=str(path)))
    assert f"- CORBADO_SESSION_KEYS_FILE: {path} does not exist" in text


def test_check_reports_nothing_about_a_good_file(app: Flask) -> None:
    assert "KEYS_FILE" not in app.test_cli_runner().invoke(args=["corbado-session", "check"]).output


def shell(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    (folder / "site_with_keys.py").write_text(APP)
    run = [sys.executable, "-m", "flask", "--app", "site_with_keys", *args]
    return subprocess.run(
        run,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_relative_path_is_resolved_against_the_instance_folder(tmp_path: Path) -> None:
    """Like Flask-SQLAlchemy's ``sqlite:///app.sqlite``. The app factory runs before the file is there."""
    generated = shell(tmp_path, "corbado-session", "keys", "generate")
    assert (generated.returncode, generated.stderr) == (0, "")
    assert stat.S_IMODE((tmp_path / "instance" / "keys.json").stat().st_mode) == 0o600
    assert "signing" in shell(tmp_path, "corbado-session", "keys", "show").stdout


def test_flask_run_does_not_start_without_the_file(tmp_path: Path) -> None:
    result = shell(tmp_path, "run", "--port", "0")
    assert result.returncode == 1
    assert "does not exist; `flask corbado-session keys generate` makes one" in result.stderr
