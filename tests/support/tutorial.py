"""docs/tutorial.md as somebody follows it: its files are written and its commands run, in the order they are read."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:# |\{# )(\S+\.\w+)(, at the end)?(?: #\})?\n")


@dataclass(frozen=True, slots=True)
class Step:
    """One block: commands for a shell, or a file to write or to add to."""

    kind: Literal["commands", "write", "append"]
    text: str
    path: str = ""


def steps() -> Iterator[Step]:
    """The blocks of the tutorial; an error for one that says neither what it is nor where it goes."""
    for language, text in BLOCK.findall(TUTORIAL.read_text()):
        if language == "sh":
            yield Step("commands", text)
            continue
        file = FILE.match(text)
        if file is None:
            raise ValueError(f"a block of {language} must begin with the name of its file: {text.splitlines()[0]}")
        yield Step("append" if file[2] else "write", text[file.end() :], file[1])


def write_files(folder: Path) -> list[str]:
    """Write every file of the tutorial as it is in the end; their paths."""
    written = dict[str, str]()
    for step in steps():
        if step.kind == "write":
            written[step.path] = step.text
        elif step.kind == "append":
            written[step.path] += "\n\n" + step.text
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return list(written)


def commands() -> list[list[str]]:
    """The lines of each block of commands."""
    return [step.text.splitlines() for step in steps() if step.kind == "commands"]


def serve() -> None:
    """Serve the tutorial's app from the folder ``TUTORIAL_FOLDER``, on ``PORT``, until the process is ended."""
    from waitress.server import create_server  # the rest also runs where nothing is installed

    folder = Path(os.environ["TUTORIAL_FOLDER"])
    write_files(folder)
    sys.path.insert(0, str(folder))
    app = import_module("app").app
    create_server(app, host="127.0.0.1", port=int(os.environ["PORT"]), ident=None).run()


if __name__ == "__main__":
    serve()
