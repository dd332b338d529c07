"""SPIN on the model of the rotation: is there a way to a theft, and is this trace one of the model's?"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MODEL = Path(__file__).parents[2] / "docs" / "model" / "rotation.pml"


class Search(NamedTuple):
    """How many states were seen, and whether the assertion failed in one of them."""

    states: int
    is_violated: bool


def missing() -> str | None:
    """What this machine lacks, if something."""
    lacks = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    return f"no {' and no '.join(lacks)}" if lacks else None


def search(folder: Path, **constants: int) -> Search:
    """Explore every state of the model with these constants, in the breadth; pan is built in this folder."""
    defines = [f"-D{name}={value}" for name, value in constants.items()]
    _run(folder, ["spin", *defines, "-a", str(MODEL)])
    _run(folder, ["gcc", "-O0", "-w", "-DSAFETY", "-DBFS", "-DMEMLIM=2000", "-o", "pan", "pan.c"])
    output = _run(folder, ["./pan"])
    errors, states = re.search(r"errors: (\d+)", output), re.search(r"(\d+) states, stored", output)
    assert errors, output
    assert states, output
    is_violated = "assertion violated (0||(found!=" in output
    assert is_violated is (errors[1] != "0"), output
    return Search(int(states[1]), is_violated)


def accepts(folder: Path, constants: str, steps: Sequence[str], tokens: int) -> bool:
    """Whether the model does what these steps say."""
    trace = folder / "trace.pml"
    body = ";\n    ".join([*steps, 'printf("accepted\\n")'])
    trace.write_text(
        f'#define TRACE\n#define TOKENS {tokens}\n{constants}\n#include "{MODEL}"\n'
        f"active proctype recorded() {{\n    {body}\n}}\n"
    )
    output = _run(folder, ["spin", str(trace)])
    is_accepted = "accepted" in output
    assert is_accepted or "assertion violated" in output, output
    return is_accepted


def _run(folder: Path, command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    return done.stdout + done.stderr
