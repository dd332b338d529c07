"""Environments that hold nothing but what is installed into them."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def new_environment(folder: Path) -> Path:
    """Make an empty environment, without pip, in place of what is in ``folder``; its Python."""
    venv.create(folder, clear=True, with_pip=False, symlinks=sys.platform != "win32")
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def install(python: Path, requirement: str) -> None:
    """Install a requirement as constraints.txt pins it. The pip is ours, and the environment has none."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", requirement], check=True)
