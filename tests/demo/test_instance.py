"""The first run, the settings, the server's process, and the database in trouble."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from demo_site import create_app
from demo_site.instance import read_or_create_secret_key
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp, sign_in


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder that does not exist yet, named by the environment."""
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path / "instance"))
    return tmp_path / "instance"


# ---- the first run


def test_a_first_run_makes_key_and_database_for_its_owner_only(folder: Path) -> None:
    create_app()
    assert sorted(file.name for file in folder.iterdir()) == ["demo.sqlite", "keys.json", "secret_key"]
    made = (folder, folder / "secret_key", folder / "keys.json")
    assert [file.stat().st_mode & 0o777 for file in made] == [0o700, 0o600, 0o600]


def test_a_second_run_finds_key_users_and_sessions_again(folder: Path) -> None:
    client = sign_in(create_app().test_client())
    again = create_app().test_client()
    for name in ("cbo_short_session", "cbo_long_session"):
        cookie = client.get_cookie(name)
        assert cookie is not None
        again.set_cookie(name, cookie.value)
    assert again.get("/dashboard").status_code == 200


def test_of_two_first_runs_both_read_the_same_key(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, demo_site.instance as i; print(i.read_or_create_secret_key(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "new")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    keys = {run.communicate(timeout=60)[0].strip() for run in runs}
    assert keys == {read_or_create_secret_key(tmp_path / "new")}
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["secret_key"]


def test_the_prepared_user_is_made_once_and_keeps_a_changed_password(make_app: MakeApp) -> None:
    change = {"current_password": CREDENTIALS["password"], "new_password": "another sound one"}
    sign_in(make_app().test_client()).post("/account/password", data=change)
    sign_in(make_app().test_client(), password=change["new_password"])


# ---- settings


def test_settings_come_from_the_environment_and_the_callers_win(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_CORBADO_SESSION_SHORT_LIFETIME", "60")
    monkeypatch.setenv("FLASK_DEMO_SIGN_IN_LIMIT", "1 per minute")
    app = make_app(DEMO_SIGN_IN_LIMIT="2 per minute")
    assert app.config["CORBADO_SESSION_SHORT_LIFETIME"] == 60
    client = app.test_client()
    assert [client.post("/sign-in", data={}).status_code for _ in range(3)] == [422, 422, 429]


def test_two_sites_in_one_process_keep_their_settings_apart(make_app: MakeApp) -> None:
    long, short = make_app().test_client(), make_app(CORBADO_SESSION_SHORT_LIFETIME=60).test_client()
    maxima = ["900.0", "60.0"]
    for client, maximum in zip((long, short), maxima, strict=True):
        assert f'max="{maximum}"' in sign_in(client).get("/account").text


# ---- trouble


def test_a_locked_database_is_a_503_within_three_seconds_and_nothing_changes(make_app: MakeApp, tmp_path: Path) -> None:
    client = make_app().test_client()
    new = {"email": "ada@example.com", "password": "a sound password"}
    locker = sqlite3.connect(tmp_path / "demo.sqlite", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    answer = client.post("/sign-up", data=new, headers=PAGE)
    locker.execute("ROLLBACK")
    locker.close()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The database is not responding" in answer.text
    assert client.post("/sign-up", data=new).status_code == 303


def test_signing_in_with_a_locked_database_is_the_extensions_503_in_the_sites_look(
    client: FlaskClient, tmp_path: Path
) -> None:
    locker = sqlite3.connect(tmp_path / "demo.sqlite", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    answer = client.post("/sign-in", data=CREDENTIALS, headers=PAGE)
    locker.execute("ROLLBACK")
    locker.close()
    assert answer.status_code == 503
    assert 'class="bar"' in answer.text
    assert "Set-Cookie" not in answer.headers


# ---- the process


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("port", ["none", "70000"])
def test_a_port_that_will_not_do_is_named(port: str) -> None:
    command = [sys.executable, "-m", "demo_site"]
    run = subprocess.run(command, env={**os.environ, "PORT": port}, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "PORT must be" in run.stderr
    assert port in run.stderr
    assert "Traceback" not in run.stderr
