"""The rows of ``make bench``, and how they are shown: on the terminal, in docs/benchmarks.md, and as JSON.

A row more is a line in :data:`ROWS`, and a case in ``cases.py`` or ``peers.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Kind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured request: on which database, against which request, and how many times it at most."""

    title: str
    case: str
    database: Kind = "sqlite"
    against: str = "bare"
    goal: float | None = None
    served: bool = False
    """Whether its time behind a server is measured too."""
    charted: bool = False
    requests: int = 100


ROWS = (
    Row("public page", "public", goal=1.02, served=True),
    Row("protected page, seen before", "protected", goal=1.10, served=True, charted=True),
    Row("first sight of an HS256 token", "first HS256", goal=1.7),
    Row("first sight of an RS256 token", "first RS256", goal=2.3),
    Row("first sight of an ES256 token", "first ES256", goal=3.1),
    Row("first sight of an EdDSA token", "first EdDSA", goal=4.1),
    Row("refresh, SQLite", "refreshed", goal=3.0),
    Row("refresh, PostgreSQL", "refreshed", "postgresql", goal=3.0),
    Row("protected page, bound session", "bound, protected"),
    Row("refresh with a proof, SQLite", "bound, refreshed"),
    Row("refresh with a proof, PostgreSQL", "bound, refreshed", "postgresql"),
    Row("hold, PostgreSQL", "hold", "postgresql"),
    Row("sign-in on a new device, PostgreSQL", "sign-in, new device", "postgresql", requests=60),
    Row("sign-in on a known device, PostgreSQL", "sign-in, known device", "postgresql", requests=60),
    Row("cookies that nobody signed", "garbage", against="bare 401", goal=2.0),
    Row("1 MB of such cookies", "megabyte", against="bare megabyte", goal=1.5, requests=4),
    Row("Flask-Login, no database", "Flask-Login, no database", served=True, charted=True),
    Row("Flask-Login, SQLite", "Flask-Login", served=True, charted=True),
    Row("Flask-Login, PostgreSQL", "Flask-Login", "postgresql", served=True, charted=True),
    Row("Flask-JWT-Extended", "Flask-JWT-Extended", served=True, charted=True),
    Row("Flask-JWT-Extended, blocklist on SQLite", "Flask-JWT-Extended, blocklist", served=True, charted=True),
    Row("Flask-Session on files + Flask-Login", "Flask-Session on files", served=True, charted=True),
    Row("Flask-Session on Redis + Flask-Login", "Flask-Session on Redis", served=True, charted=True),
    Row("Flask-Security, SQLite", "Flask-Security", served=True, charted=True),
    Row("PyJWT by hand, HS256", "PyJWT by hand", served=True, charted=True),
    Row("PyJWT by hand, HS256, with a cache", "PyJWT by hand, cached", served=True, charted=True),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row; ``error`` says why it could not run here."""

    title: str
    instructions: float | None = None
    """Against the bare request."""
    time: float | None = None
    """Against the bare request, behind a server."""
    goal: float | None = None
    charted: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One run: the results, other figures, and how they were made."""

    date: str
    command: str
    versions: Mapping[str, str]
    results: tuple[Result, ...]
    figures: Mapping[str, str]

    def as_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_report(text: str) -> Report:
    """The report of a JSON text."""
    value: dict[str, Any] = json.loads(text)
    return Report(**{**value, "results": tuple(Result(**each) for each in value["results"])})


def merged(old: Report, new: Report) -> Report:
    """The old report with the rows of the new one in their places."""
    again = {row.title: row for row in new.results}
    return replace(
        new, results=tuple(again.get(row.title, row) for row in old.results), figures=new.figures or old.figures
    )


def terminal_lines(results: Iterable[Result]) -> list[str]:
    """A line for each row."""
    lines = [f"{'':<42}{'instructions':>14}{'time':>8}{'goal':>8}"]
    for row in results:
        if row.error:
            lines.append(f"{row.title:<42}  not measured: {row.error}")
        else:
            goal = "" if row.goal is None else f"{row.goal:.2f}"
            lines.append(f"{row.title:<42}{_ratio(row.instructions):>14}{_ratio(row.time):>8}{goal:>8}{_missed(row)}")
    return lines


def markdown(report: Report) -> str:
    """The tables of docs/benchmarks.md."""
    lines = ["| request | instructions | time | goal |", "|---|---:|---:|---|"]
    for row in report.results:
        if row.error:
            lines.append(f"| {row.title} | not measured here: {row.error} | | |")
        else:
            goal = "" if row.goal is None else f"≤ {row.goal:.2f}{_missed(row)}"
            lines.append(f"| {row.title} | {_ratio(row.instructions)} | {_ratio(row.time)} | {goal} |")
    lines += [
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in report.figures.items()),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return "\n".join([*lines, "", f"Measured on {report.date} by `{report.command}`, with {versions}.", ""])


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _missed(row: Result) -> str:
    is_missed = row.goal is not None and row.instructions is not None and round(row.instructions, 2) > row.goal
    return " (missed)" if is_missed else ""
