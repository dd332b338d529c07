"""Apps written for Flask-Login move by their imports alone: on Flask-Login itself and here, the same story happens.

The apps and their stories are in tests/apps.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.child import ROOT

APPS = ROOT / "tests" / "apps"
INSTALL = "from flask_corbado_session.flask_login import install\n\ninstall()\n"


def as_written(source: str) -> str:
    """The app on Flask-Login."""
    return source


def with_our_imports(source: str) -> str:
    """The same, its imports of flask_login changed and nothing else."""
    source = re.sub(r"^from flask_login import", "from flask_corbado_session.flask_login import", source, flags=re.M)
    return re.sub(r"^import flask_login as", "from flask_corbado_session import flask_login as", source, flags=re.M)


def with_install(source: str) -> str:
    """The same with install() in its first line, and nothing changed."""
    return INSTALL + source


MOVES = {
    "microblog": (as_written, with_our_imports, with_install),
    "staff_admin": (as_written, with_our_imports, with_install),
    "roles": (as_written, with_our_imports, with_install),
    "accounts": (as_written, with_install),  # it is Flask-Security that imports flask_login
}


@pytest.mark.parametrize(
    ("name", "move"),
    [pytest.param(name, move, id=f"{name}-{move.__name__}") for name, moves in MOVES.items() for move in moves],
)
def test_an_app_moves_by_its_imports_alone(name: str, move: object, tmp_path: Path) -> None:
    _copy(name, tmp_path)
    first = next(path for path in (tmp_path / name / "__init__.py", tmp_path / f"{name}.py") if path.exists())
    for path in [first] if move is with_install else tmp_path.rglob("*.py"):
        path.write_text(move(path.read_text()))  # type: ignore[operator]
    story = _run(f"{name}_story.py", tmp_path)
    assert (story.returncode, story.stdout.splitlines()[-1:]) == (0, ["the end"]), story.stdout + story.stderr
    sessions = _tables(tmp_path) & {"corbado_session"}
    assert sessions == (set() if move is as_written else {"corbado_session"})


def _copy(name: str, folder: Path) -> None:
    for path in (APPS / name, APPS / f"{name}.py", APPS / f"{name}_story.py"):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, folder)


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "DATABASE_URL": f"sqlite:///{folder / 'app.sqlite'}",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": "a" + "9z!k" * 8,
    }
    command = [sys.executable, script, str(folder)]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60
    )


def _tables(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "app.sqlite")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
