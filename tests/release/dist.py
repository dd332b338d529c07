"""Build the wheel and the sdist so that anyone gets the same bytes, and try both where nothing else is installed.

``make dist`` builds the last commit twice, from two clones that differ in path, times and umask, and the wheel a third
time from the sdist. The files and their SHA-256 go to dist/ if all builds agree, and the examples and the tutorial run
with each file as it is installed. ``make dist TRY=`` leaves that out: what is installed for it is other people's code,
and must not run where the published files are made.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.release.environments import ROOT, install, new_environment
from tests.support.tutorial import commands, write_files

DIST = ROOT / "dist"
BUILD = (
    "import sys; from flit_core import buildapi; buildapi.build_wheel(sys.argv[1]); buildapi.build_sdist(sys.argv[1])"
)


def main(arguments: list[str]) -> None:
    """Build, compare, try, and print the hashes."""
    tries = "--try" in arguments
    if _git("status", "--porcelain"):
        print("Changes that are not committed are left out.")
    with tempfile.TemporaryDirectory() as folder:
        first = build(clone(Path(folder, "one")), Path(folder, "first"))
        second = build(clone(Path(folder, "another"), umask=0o077, changed_at=86_400), Path(folder, "second"))
        unpacked = build(unpack(second, Path(folder, "unpacked")), Path(folder, "third"))
        hashes = hashes_of(first)
        for name, other in (("another clone", second), ("the sdist", unpacked)):
            if hashes_of(other) != hashes:
                sys.exit(f"A build from {name} differs: {hashes_of(other)} after {hashes}")
        for file in hashes if tries else ():
            try_out(first / file, Path(folder, f"tried-{file}"))
        publish(first, hashes)
    works = "both files work where nothing else is installed" if tries else "neither file was tried"
    print("".join([f"Three builds agree, and {works}:\n", *_lines(hashes)]), end="")


def clone(folder: Path, *, umask: int = 0o022, changed_at: int | None = None) -> Path:
    """A clone of the last commit, whose files all say that they were changed at ``changed_at``."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder], check=True, umask=umask)
    if changed_at is not None:
        for path in folder.rglob("*"):
            os.utime(path, (changed_at, changed_at))
    return folder


def build(tree: Path, target: Path) -> Path:
    """Wheel and sdist of a tree, dated by the last commit; the folder they are in."""
    target.mkdir()
    env = {**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}
    subprocess.run([sys.executable, "-c", BUILD, target], cwd=tree, env=env, check=True)
    return target


def unpack(built: Path, folder: Path) -> Path:
    """The tree in the sdist."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


def try_out(file: Path, folder: Path) -> None:
    """Install a file where nothing else is, run the first examples against it, then the tutorial and its test."""
    python = new_environment(folder / "environment")
    install(python, str(file))
    subprocess.run([python, "-I", ROOT / "tests" / "release" / "tryout.py", ROOT], cwd=folder, check=True)
    install(python, "pytest")
    tutorial = folder / "notes"
    tutorial.mkdir()
    write_files(tutorial)
    _, exports, (test,) = commands()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "PYTHON"))}
    env["PATH"] = os.pathsep.join([str(python.parent), env["PATH"]])
    subprocess.run(["sh", "-ec", "\n".join([*exports[:-1], test])], cwd=tutorial, env=env, check=True)


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def publish(built: Path, hashes: dict[str, str]) -> None:
    """Put the files into dist/, beside a list that ``sha256sum --check`` reads."""
    shutil.rmtree(DIST, ignore_errors=True)
    shutil.copytree(built, DIST)
    (DIST / "SHA256SUMS").write_text("".join(_lines(hashes)), "utf-8")


def _lines(hashes: dict[str, str]) -> list[str]:
    return [f"{digest}  {name}\n" for name, digest in hashes.items()]


def _git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=ROOT, text=True).strip()


if __name__ == "__main__":
    main(sys.argv[1:])
