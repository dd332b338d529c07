"""``make bench``: the extension beside the peers that people would use instead, on the same view, in one run.

Every figure is a ratio to the bare view. callgrind counts instructions, which do not depend on the machine's load; the
time is that of a real server, by rounds that take turns. It writes benchmarks/results.json, docs/benchmarks.md and
docs/images/bench-light.svg and bench-dark.svg. The peers are installed into .bench, an environment of their own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from . import measure
from .draw import DARK, LIGHT, draw
from .environment import Environment, figures, start_redis, versions
from .table import ROWS, Report, Result, Row, markdown, merged, read_report, terminal_lines

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
RESULTS, PAGE, IMAGES = ROOT / "benchmarks/results.json", ROOT / "docs/benchmarks.md", ROOT / "docs/images"
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> None:
    """Measure every row; or, in .bench, run or serve a single case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="measure the rows whose title contains this, or `figures` alone")
    parser.add_argument("--no-time", action="store_true", help="count instructions only")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the results, the page and the chart; with --only, the rows of the last run that were measured anew",
    )
    parser.add_argument("--draw", action="store_true", help="make page and chart from the results of the last run")
    for name in ("--case", "--database-url", "--redis-url"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        case = (lambda: None) if options.case == "nothing" else None
        made = case or measure.make(options.case, options.database_url, options.redis_url)
        if options.serve:
            measure.serve(made)  # type: ignore[arg-type]
        else:
            measure.run(made, options.requests, warm_up=4 if options.requests < 10 else measure.WARM_UP)
            os._exit(0)
    elif options.draw:
        write(read_report(RESULTS.read_text()))
    else:
        report = run(options.only, with_time=not options.no_time)
        if options.write:
            if options.only:
                report = merged(read_report(RESULTS.read_text()), report)
            RESULTS.write_text(report.as_json())
            write(report)


def run(only: str, with_time: bool) -> Report:
    """Measure the rows whose title contains ``only``, and print the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = Environment(ROOT, _databases(stack, folder), start_redis(stack, folder))
        rows = [row for row in ROWS if only in row.title]
        counted: dict[Row, float | str] = {}
        if shutil.which("vgdb") is None:
            print("valgrind is not installed, so instructions were not counted")
        else:
            counted = _count(environment, rows)
        timed = _time(stack, environment, rows) if with_time else {}
        results = tuple(_result(row, counted.get(row), timed.get(row)) for row in rows)
        report = Report(
            environment.today,
            "make bench",
            versions(environment),
            results,
            figures(environment, folder) if only in ("", "figures") else {},
        )
    print(
        "\n".join(["", *terminal_lines(results), "", *(f"{name}: {value}" for name, value in report.figures.items())])
    )
    return report


def _databases(stack: ExitStack, folder: Path) -> dict[str, str]:
    urls = {"sqlite": f"sqlite:///{folder / 'bench.sqlite'}"}
    try:
        from tests.support.databases import start_private_postgres

        urls["postgresql"] = stack.enter_context(start_private_postgres(folder)).url
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no PostgreSQL: {error}")
    return urls


def _count(environment: Environment, rows: list[Row]) -> dict[Row, float | str]:
    """Each row's instructions per request, against the bare one's; or why there are none.

    Processes run side by side, since their load changes no count; those on PostgreSQL, which share tables, do not.
    """
    empty = _tried(lambda: measure.instructions(environment.command("nothing", "sqlite"), 1))

    def per_request(row: Row) -> float | str:
        return _tried(
            lambda: (
                (measure.instructions(environment.command(row.case, row.database), row.requests) - float(empty))
                / row.requests
            )
        )

    def each(group: list[Row]) -> dict[Row, float | str]:
        return {row: per_request(row) for row in group}

    bases = {row.against: replace(row, case=row.against, database="sqlite") for row in rows}
    groups = [[row] for row in (*bases.values(), *rows) if row.database == "sqlite"]
    groups.insert(0, [row for row in rows if row.database != "sqlite"])
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        counted = {row: count for found in pool.map(each, groups) for row, count in found.items()}
    return {row: _over(counted[row], counted[bases[row.against]]) for row in rows}


def _over(own: float | str, base: float | str) -> float | str:
    return own if isinstance(own, str) else base if isinstance(base, str) else own / base


def _time(stack: ExitStack, environment: Environment, rows: list[Row]) -> dict[Row, float]:
    """Each served row's time against the bare one's."""
    servers: dict[str, measure.Server] = {}
    by_title = {row.title: row for row in rows if row.served}
    for title, case, database in [
        ("bare", "bare", "sqlite"),
        *((r.title, r.case, r.database) for r in by_title.values()),
    ]:
        started = _tried(lambda case=case, database=database: _server(stack, environment, case, database))  # type: ignore[misc]
        if isinstance(started, measure.Server):
            servers[title] = started
    if "bare" not in servers:
        return {}
    ratios = measure.time_ratios(servers, "bare")
    return {by_title[title]: ratio for title, ratio in ratios.items() if title != "bare"}


def _server(stack: ExitStack, environment: Environment, case: str, database: str) -> measure.Server:
    return measure.Server(stack, environment.command(case, database))


def _tried(work: Callable[[], T]) -> T | str:
    try:
        return work()
    except (RuntimeError, OSError, LookupError) as error:
        return str(error) or type(error).__name__


def _result(row: Row, counted: float | str | None, timed: float | None) -> Result:
    error = counted if isinstance(counted, str) else ""
    return Result(row.title, None if isinstance(counted, str) else counted, timed, row.goal, row.charted, error)


def write(report: Report) -> None:
    """The page and the chart."""
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "bench-light.svg").write_text(draw(report, LIGHT))
    (IMAGES / "bench-dark.svg").write_text(draw(report, DARK))
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + "\n" + markdown(report) + "\n" + _END + rest.partition(_END)[2])


if __name__ == "__main__":
    main()
