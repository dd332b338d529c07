"""What is published: the library alone in the wheel; in the sdist what its tests need, and nothing that was made."""

from __future__ import annotations

import tarfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from flit_core import buildapi

import flask_corbado_session

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def wheel_files(directory: Path) -> dict[str, str]:
    """Path in the wheel: text."""
    with ZipFile(directory / buildapi.build_wheel(str(directory))) as wheel:
        return {name: wheel.read(name).decode(errors="replace") for name in wheel.namelist()}


def sdist_files(directory: Path) -> set[str]:
    """Paths in the sdist, without its own top folder."""
    with tarfile.open(directory / buildapi.build_sdist(str(directory))) as sdist:
        return {name.split("/", 1)[1] for name in sdist.getnames()}


def test_the_wheel_holds_the_library_alone(tmp_path: Path) -> None:
    folders = {name.split("/")[0] for name in wheel_files(tmp_path)}
    assert folders == {"flask_corbado_session", f"flask_corbado_session-{flask_corbado_session.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_library(tmp_path: Path) -> None:
    library = Path("flask_corbado_session").rglob("*")
    files = {str(path) for path in library if path.is_file() and path.suffix != ".pyc"}
    assert "flask_corbado_session/py.typed" in files
    assert {name for name in wheel_files(tmp_path) if name.startswith("flask_corbado_session/")} == files


def test_the_wheel_says_what_it_needs(tmp_path: Path) -> None:
    files = wheel_files(tmp_path)
    metadata = Parser().parsestr(next(text for name, text in files.items() if name.endswith("/METADATA")))
    assert metadata["Version"] == flask_corbado_session.__version__
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("BSD-3-Clause", ">=3.11")
    assert any(name.endswith("/licenses/LICENSE") for name in files)


def test_the_sdist_holds_what_its_tests_need(tmp_path: Path) -> None:
    files = sdist_files(tmp_path)
    assert {
        "README.md",
        "LICENSE",
        "SECURITY.md",
        "Makefile",
        "constraints.txt",
        "tests/unit/test_distribution.py",
    } <= files
    assert {path.split("/")[0] for path in files if "/" in path} >= {"flask_corbado_session", "demo_site", "docs"}


def test_the_sdist_holds_nothing_that_was_made_here(tmp_path: Path) -> None:
    made = (".venv", ".git", "instance", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    assert [path for path in sdist_files(tmp_path) if set(path.split("/")) & set(made)] == []
