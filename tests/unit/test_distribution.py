"""What is published: the library alone in the wheel; in the sdist what its tests need, and nothing that was made."""

from __future__ import annotations

import os
import re
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


def test_a_build_depends_on_nothing_but_the_files_and_their_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on the folder, the files' times, or the builder's umask. ``make dist`` shows the same with two clones."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795600000")
    builds = [_build(tmp_path / "here")]
    (sdist,) = (tmp_path / "here").glob("*.tar.gz")
    for name, mode, time in (("one", 0o600, 1_000_000_000), ("another", 0o644, 1_700_000_000)):
        with tarfile.open(sdist) as archive:
            archive.extractall(tmp_path / name, filter="data")
        for path in (tmp_path / name).rglob("*"):
            if path.is_file() and not path.stat().st_mode & 0o100:
                path.chmod(mode)
            os.utime(path, (time, time))
        monkeypatch.chdir(tmp_path / name / sdist.name.removesuffix(".tar.gz"))
        builds.append(_build(tmp_path / f"{name} built"))
    assert len(builds[0]) == 2
    assert builds == builds[:1] * 3


def _build(folder: Path) -> dict[str, bytes]:
    """The bytes of the wheel and the sdist of the current folder."""
    folder.mkdir()
    names = buildapi.build_wheel(str(folder)), buildapi.build_sdist(str(folder))
    return {name: (folder / name).read_bytes() for name in names}


def test_the_changelog_says_what_is_in_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\](?: - (.+))?$", Path("CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    unreleased, newest = headings[:2]
    assert unreleased == ("Unreleased", "")
    assert newest[0] == flask_corbado_session.__version__
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", newest[1])
