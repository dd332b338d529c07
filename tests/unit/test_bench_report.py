"""The table and the chart of ``make bench`` show what they are given."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.cases import CASES
from benchmarks.draw import DARK, LIGHT, OURS, Colours, draw
from benchmarks.peers import PEERS
from benchmarks.table import ROWS, Report, Result, markdown, merged, read_report, terminal_lines

RESULTS = (
    Result("protected page, seen before", 1.097, 1.02, goal=1.1, charted=True),
    Result("a slow <peer> & more", 4.0, None, charted=True),
    Result("refresh", 3.4, None, goal=3.0),
    Result("on Redis", charted=True, error="no redis-server here"),
)
REPORT = Report("2026-01-02", "make bench", {"Python": "3.11.7"}, RESULTS, {"wheel": "80 KB"})
SVG = "{http://www.w3.org/2000/svg}"


def test_a_report_survives_json() -> None:
    assert read_report(REPORT.as_json()) == REPORT


def test_rows_measured_anew_take_the_places_of_the_old_ones() -> None:
    anew = replace(RESULTS[2], instructions=2.9)
    report = merged(REPORT, replace(REPORT, date="2026-01-03", results=(anew,), figures={}))
    assert report == replace(REPORT, date="2026-01-03", results=(*RESULTS[:2], anew, RESULTS[3]))


def test_the_terminal_shows_every_row_and_why_one_was_not_measured() -> None:
    text = "\n".join(terminal_lines(RESULTS))
    assert all(row.title in text for row in RESULTS)
    assert "not measured: no redis-server here" in text


def test_a_missed_goal_is_said_in_both_tables() -> None:
    lines = [*terminal_lines(RESULTS), *markdown(REPORT).splitlines()]
    assert [line for line in lines if "(missed)" in line and "refresh" not in line] == []
    assert sum("(missed)" in line for line in lines) == 2


def test_the_page_names_date_command_and_versions() -> None:
    assert "Measured on 2026-01-02 by `make bench`, with Python 3.11.7." in markdown(REPORT)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_chart_has_a_bar_for_each_charted_row_in_proportion(colours: Colours) -> None:
    root = ElementTree.fromstring(draw(REPORT, colours))
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["fill"] != colours.ground]
    assert bars[1] / bars[0] == pytest.approx(4.0 / 1.097, rel=0.01)
    assert len(bars) == 2


def test_the_chart_names_its_rows_and_figures() -> None:
    texts = [text.text for text in ElementTree.fromstring(draw(REPORT, LIGHT)).iter(f"{SVG}text")]
    assert {OURS, "1.10", "a slow <peer> & more", "4.00"} <= set(texts)


def test_every_row_has_a_case_and_a_title_of_its_own() -> None:
    known = {*CASES, *PEERS}
    assert [row.title for row in ROWS if not {row.case, row.against} <= known] == []
    assert len({row.title for row in ROWS}) == len(ROWS)
