"""The table of OWASP ASVS 5.0: complete, and each row shown by tests that exist or given a reason."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.support.named_tests import DOCS, missing_in, named_in

VERDICTS = ("Shown", "Yours", "Not met", "Does not apply")
# ASVS 5.0.0: how many requirements each section of the two chapters has
SECTIONS = {"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "9.1": 3, "9.2": 4}
OF_OTHER_CHAPTERS = {f"3.3.{number}" for number in range(1, 6)} | {"3.5.1", "3.5.3", "10.4.5", "10.4.8", "10.4.9"}


class Requirement(NamedTuple):
    number: str
    level: str
    summary: str
    verdict: str
    text: str


def requirements() -> list[Requirement]:
    """The rows of the page's tables."""
    rows = re.findall(
        r"^\| (\d+\.\d+\.\d+) (L[123]) \| (.+?) \| \*\*(.+?)\*\*(.*) \|$", (DOCS / "asvs.md").read_text(), re.MULTILINE
    )
    return [Requirement(*row) for row in rows]


def test_every_requirement_of_v7_and_v9_has_a_row_and_so_have_those_about_cookies_and_rotation() -> None:
    expected = [f"{section}.{number + 1}" for section, count in SECTIONS.items() for number in range(count)]
    numbers = [row.number for row in requirements()]
    assert [number for number in numbers if number.startswith(("7.", "9."))] == expected
    assert set(numbers) >= OF_OTHER_CHAPTERS
    assert len(numbers) == len(set(numbers))


def test_no_row_of_the_page_is_left_out_of_these_checks() -> None:
    rows = [line for line in (DOCS / "asvs.md").read_text().splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == len(requirements()) > 50


def test_every_row_is_shown_by_a_test_or_has_a_reason() -> None:
    for row in requirements():
        assert row.verdict in VERDICTS, row.number
        if row.verdict == "Shown":
            assert named_in(row.text), row.number
        else:
            reason = re.sub(r"`test_\w+`", "", row.text)
            assert len(re.findall(r"[a-z]{2,}", reason)) >= 4, row.number


def test_every_test_that_the_table_names_exists() -> None:
    assert missing_in((DOCS / "asvs.md").read_text()) == []
