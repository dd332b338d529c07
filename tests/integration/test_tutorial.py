"""The tutorial, followed from an empty folder to the devices page and its test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlencode

import pytest
import urllib3

from tests.support.documents import ROOT
from tests.support.servers import free_port
from tests.support.tutorial import commands, write_files

BROWSER = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}


def environment(**more: str) -> dict[str, str]:
    """A shell in which nothing of Flask's is exported, and Python is the one of these tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]])
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the files of the tutorial."""
    folder = tmp_path_factory.mktemp("notes")
    assert write_files(folder) == ["app.py", "templates/form.html", "templates/home.html", "test_app.py"]
    return folder


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    """The app running, by the commands that the tutorial gives."""
    lines, port = commands()[1], free_port()
    assert lines[-1] == "flask run"
    script = "\n".join([*lines[:-1], "exec flask run"])
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["sh", "-ec", script], cwd=folder, env=environment(FLASK_RUN_PORT=str(port)), stdout=output, stderr=output
        )
    try:
        _wait_for(server, f"http://localhost:{port}/sign-in", log)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = monotonic() + 30
    while True:
        try:
            urllib3.request("GET", url, retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            assert server.poll() is None, log.read_text()
            assert monotonic() < deadline
            sleep(0.05)
        else:
            return


class Browser:
    """One, with its cookies."""

    def __init__(self, origin: str, user_agent: str) -> None:
        self.origin, self.user_agent = origin, user_agent
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **form: str) -> urllib3.BaseHTTPResponse:
        headers = {**BROWSER, "User-Agent": self.user_agent, "Cookie": "; ".join(map("=".join, self.cookies.items()))}
        answer = urllib3.request(
            method, self.origin + path, body=urlencode(form) or None, headers=headers, redirect=False, retries=False
        )
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def test_the_installation_is_that_of_this_package() -> None:
    assert commands()[0][-1] == "pip install flask-corbado-session pytest"


def test_two_browsers_sign_in_and_one_signs_the_other_out(origin: str, folder: Path) -> None:
    firefox = Browser(origin, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    assert firefox.ask("GET", "/").headers["Location"] == "/sign-in?next=/"
    form = {"email": "grace@example.com", "password": "a sound password"}
    assert firefox.ask("POST", "/sign-up", **form).headers["Location"] == "/"
    assert b"Hello grace@example.com" in firefox.ask("GET", "/").data

    other = Browser(origin, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
    assert b"Sign in" in other.ask("POST", "/sign-in", **{**form, "password": "wrong"}).data
    assert other.ask("POST", "/sign-in?next=/", **form).headers["Location"] == "/"
    page = firefox.ask("GET", "/session/devices").data
    assert b"Firefox on Linux" in page
    assert b"Firefox on Windows" in page
    assert "To grace@example.com: Firefox on Windows signed in." in (folder / "log").read_text()

    assert firefox.ask("POST", "/session/revoke-others").status in (204, 303)
    assert other.ask("GET", "/").headers["Location"] == "/sign-in?next=/"
    assert firefox.ask("POST", "/sign-out").headers["Location"] == "/sign-in"
    assert firefox.ask("GET", "/").headers["Location"] == "/sign-in?next=/"


def test_its_own_test_passes(folder: Path) -> None:
    _, exports, (command,) = commands()
    script = "\n".join([*exports[:-1], command])
    assert exports[-1] == "flask run"
    run = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
