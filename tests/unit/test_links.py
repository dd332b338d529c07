"""Links in README.md, docs/ and the pages beside it lead to a file and a heading that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.documents import ALL_PAGES, DOCS, ROOT, without_code

OTHER_SITES = {"keepachangelog.com", "owasp.org", "semver.org"}
"""Where links lead out of the project. They are not opened here: a new host is somebody's decision, and this line."""

LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def links(page: Path) -> Iterator[str]:
    for markdown, html in LINK.findall(without_code(page.read_text())):
        yield markdown or html


def anchors(page: Path) -> set[str]:
    """The anchors that headings get, on a Git forge and on the site."""
    headings = re.findall(r"^#{1,6} (.*)$", without_code(page.read_text(), keep_inline=True), re.MULTILINE)
    return {anchor(heading) for heading in headings}


def anchor(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def broken(page: Path) -> Iterator[str]:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme in ("http", "https"):
            if parts.hostname not in OTHER_SITES:
                yield f"{link}: another site, which OTHER_SITES does not name"
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif parts.fragment and parts.fragment not in anchors(target):
            yield f"{link}: there is no such heading"


def test_every_link_leads_somewhere() -> None:
    found = {str(page.relative_to(ROOT)): list(broken(page)) for page in ALL_PAGES}
    assert {page: links for page, links in found.items() if links} == {}


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n\n[a](nowhere.md) [b](#two) [c](#one) [d](https://evil.example/) `[e](code.md)`\n"
        '<img src="missing.png" alt="">\n\n```\n[f](block.md)\n```\n'
    )
    found = [link.partition(":")[0] for link in broken(page)]
    assert found == ["nowhere.md", "#two", "https", "missing.png"]


def test_every_page_stands_in_the_index_of_its_folder() -> None:
    for index in DOCS.rglob("index.md"):
        linked = {(index.parent / urlsplit(link).path).resolve() for link in links(index)}
        pages = {page for page in index.parent.glob("*.md") if page != index}
        assert sorted(page.name for page in pages - linked) == [], index.relative_to(ROOT)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
