"""What the README and docs/ show runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from flask_corbado_session.model.settings import Settings
from tests.support.documents import ROOT, RUN_AS_ONE_FILE, run_examples
from tests.support.servers import free_port


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    """What the examples read from the environment."""
    monkeypatch.setenv("FLASK_SECRET_KEY", "docs: 5f0c7f6f3d0b4f1f9a55d3f2")
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", sqlite_url)


@pytest.fixture(autouse=True)
def _flask_login_as_before() -> Iterator[None]:
    """An example may install our names in the place of flask_login, which other tests want as it is."""
    before = _flask_login_modules()
    for name in before:
        del sys.modules[name]
    yield
    for name in _flask_login_modules():
        del sys.modules[name]
    sys.modules.update(before)


def _flask_login_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "flask_login"}


def run(path: Path) -> dict[str, Any]:
    """The namespace of a document whose app checks passwords by believing them."""
    return run_examples(path, check_password=lambda form: form["email"])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("path", RUN_AS_ONE_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_python_block_of_the_document_runs(path: Path) -> None:
    run(path)


@pytest.mark.usefixtures("environment")
def test_the_app_of_the_readme_signs_in_refreshes_and_signs_out() -> None:
    names = run(ROOT / "README.md")
    app: Flask = names["app"]
    with app.app_context():
        names["db"].create_all()
    browser = app.test_client()
    assert browser.get("/dashboard").status_code == 401
    assert browser.post("/sign-in?next=/dashboard", data={"email": "alice"}).location == "/dashboard"
    browser.delete_cookie("__Host-cbo_short_session")
    assert browser.get("/dashboard").text.startswith("alice, until 20")
    assert browser.post("/sign-out").location == "/sign-in"
    assert browser.get("/dashboard").status_code == 401


def test_the_readme_runs_as_it_is_pasted(tmp_path: Path) -> None:
    """Its Python in ``app.py``, its shell commands in a shell, in an empty folder with nothing else exported."""
    python, shell = _pasted((ROOT / "README.md").read_text())
    (tmp_path / "app.py").write_text(python)
    assert shell.endswith("flask run\n")
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]])
    env = {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "FLASK_RUN_PORT": str(port)}
    script = shell.removesuffix("flask run\n") + "exec flask run\n"
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["sh", "-ec", script], cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:
        location, cookies = _sign_in(server, port, tmp_path / "log")
        assert location == "/dashboard"
        assert _ask(port, "GET", "/dashboard", cookies)[2].startswith("alice, until 20")
        assert _ask(port, "GET", "/dashboard", "")[0] == 401
    finally:
        server.terminate()
        server.wait()


def _pasted(readme: str) -> tuple[str, str]:
    """The Python block of the section on use, and the shell block after it."""
    python, shell = re.search(r"## Use\n.*?```python\n(.*?)```.*?```sh\n(.*?)```", readme, re.DOTALL).groups()  # type: ignore[union-attr]
    return python, shell


def _sign_in(server: subprocess.Popen[bytes], port: int, log: Path) -> tuple[str | None, str]:
    """Where a sign-in leads, and the cookies it gives, once the server is up."""
    deadline = monotonic() + 30
    while True:
        try:
            _, headers, _ = _ask(port, "POST", "/sign-in?next=/dashboard", "", "email=alice")
        except ConnectionError:
            assert server.poll() is None, log.read_text()
            assert monotonic() < deadline
            sleep(0.05)
        else:
            cookies = [cookie.partition(";")[0] for cookie in headers.get_all("Set-Cookie", [])]
            return headers["Location"], "; ".join(cookies)


def _ask(port: int, method: str, path: str, cookies: str, body: str | None = None) -> tuple[int, Message, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection.request(method, path, body, {"Cookie": cookies, **form})
    with closing(connection), connection.getresponse() as response:
        return response.status, response.headers, response.read().decode()


def test_the_settings_page_names_every_setting_and_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", page, re.MULTILINE))
    settings = Settings.from_config({})
    assert set(rows) == {each.name.upper() for each in fields(Settings)}
    for name, shown in rows.items():
        assert shown.strip("`") == in_words(getattr(settings, name.lower())), name


def in_words(default: object) -> str:
    """A default as the page writes it."""
    if isinstance(default, timedelta):
        for unit, size in (
            ("day", timedelta(days=1)),
            ("minute", timedelta(minutes=1)),
            ("second", timedelta(seconds=1)),
        ):
            if default >= size:
                return f"{default // size} {unit}{'' if default == size else 's'}"
    return "none" if default is None or default == frozenset() else str(default)
