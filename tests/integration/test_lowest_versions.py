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


@pytest.mark.timeout(400)
def test_a_session_lives_on_the_lowest_versions(tmp_path: Path) -> None:
    """With SQLAlchemy 2.0 the library could not be imported into an app: 2.1 alone knew an option of its table."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path / "lowest"), *lowest()], check=True, timeout=100)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *TESTS],
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'lowest'}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
