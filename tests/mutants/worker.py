"""Runs pytest in a process forked from one that has imported what is slow to import, and nothing of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

PRELOADED = [
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "flask_sqlalchemy",
    "hypothesis",
    "itsdangerous",
    "jwt",
    "pytest",
    "sqlalchemy.dialects.sqlite",
    "ua_parser",
    "urllib3",
]


def run(copy: Path, arguments: Sequence[str], timeout: float) -> tuple[int, str]:
    """The exit status and the output of pytest in this copy of the checkout; -1 if it took longer."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    output = copy / ".mutants-output"
    process = context.Process(target=_pytest, args=(copy, list(arguments), output))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return -1, f"took longer than {timeout:g} seconds: {' '.join(arguments)}"
    return process.exitcode or 0, output.read_text(errors="replace")


def _pytest(copy: Path, arguments: list[str], output: Path) -> None:
    """In the new process: forget this checkout, and run the copy's tests on the copy's package."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(copy)
    checkout = str(Path(__file__).parents[2])
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", checkout))]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "flask_corbado_session")]:
        del sys.modules[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    status = pytest.main(["-p", "pytest_timeout", *arguments])
    sys.stdout.flush()
    os._exit(int(status))
