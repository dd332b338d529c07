"""The library on the lowest versions that it says it needs: most apps have not the newest ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.child import ROOT

pytestmark = pytest.mark.slow  # pip fetches them

TESTS = [
    "tests/unit/test_store.py",
    "tests/unit/test_growth.py",
    "tests/unit/test_lifecycle.py",
    "tests/unit/test_short_token.py",
    "tests/unit/test_long_token.py",
    "tests/unit/test_views.py",
    "tests/integration/test_request_table.py",
    "tests/integration/test_devices_page.py",
]


def lowest() -> list[str]:
    """The requirements of the library at their lowest, and Flask's own of Werkzeug."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = [re.sub(r"(\[\w+\])?>=([\w.]+).*", r"==\2", each) for each in wanted]
    assert all("==" in each for each in pinned), pinned
    return [*pinned, "werkzeug==3.1.0"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with them. They come from the package index, and go with the test run."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    options = ["--timeout", "10", "--retries", "0", "--target", str(tmp_path / "lowest")]
    got = subprocess.run([*pip, *options, *lowest()], capture_output=True, text=True, timeout=100, check=False)
    if got.returncode:
        pytest.skip(f"they could not be had from the package index: {got.stderr.strip().splitlines()[-1:]}")
    return tmp_path / "lowest"


@pytest.mark.timeout(400)
def test_a_session_lives_on_the_lowest_versions(installed: Path) -> None:
    """With SQLAlchemy 2.0 no app could use the library: 2.1 alone knew an option of its table."""
    assert f"sqlalchemy=={run(installed, '-c', 'import sqlalchemy; print(sqlalchemy.__version__)').strip()}" in lowest()
    run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *TESTS)


def run(installed: Path, *arguments: str) -> str:
    """Run Python with them; what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout
