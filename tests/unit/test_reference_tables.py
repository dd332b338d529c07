"""docs/reference/: the tables of routes and of commands are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from flask_corbado_session import generate_keys
from flask_corbado_session.cli.commands import group
from tests.support.apps import make_app
from tests.support.documents import DOCS

FOLDER = DOCS / "reference"


def rows(page: str, columns: int) -> list[list[str]]:
    """The rows of its table, the first ``columns`` cells of each."""
    lines = re.findall(r"^\| (`.*) \|$", (FOLDER / page).read_text(), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r" ?\| ?", line)[:columns]] for line in lines]


def test_the_table_of_routes_is_whole(sqlite_url: str, tmp_path: Path) -> None:
    generate_keys(tmp_path / "keys.json", "ES256")
    settings = {"API_SECRET": "x" * 32, "PROJECT_ID": "pro-1", "KEYS_FILE": str(tmp_path / "keys.json")}
    app = make_app(
        sqlite_url,
        CORBADO_SESSION_DEVICE_BINDING=True,
        **{f"CORBADO_SESSION_{name}": settings[name] for name in settings},
    )[0]
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("corbado_session.")]
    served = {f"`{method} {rule.rule}`" for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert {cells[0] for cells in rows("routes.md", 1)} == served


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        options = (option for option in command.params if isinstance(option, click.Option))
        yield " ".join(path), {f"`{name}`" for option in options for name in option.opts}


def test_the_table_of_commands_is_whole() -> None:
    shown = {name.strip("`"): set(options.split()) for name, options in rows("commands.md", 2)}
    assert shown == dict(commands(group))
