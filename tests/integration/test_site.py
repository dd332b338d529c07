"""The documentation site as ``make docs`` builds it: without a warning, whole, and with nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import Blueprint, Flask

from flask_corbado_session.web.problems import CsrfRejected
from tests.conftest import do_without
from tests.support.documents import DOCS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    if find_spec("sphinx") is None:
        do_without("DOCS", "Sphinx is not installed: `make docs` installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-b", "html", "-d", f"{folder}/trees"]
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    built = subprocess.run(
        [*command, str(DOCS), f"{folder}/html"], env=env, capture_output=True, text=True, timeout=100
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, BeautifulSoup]:
    """Every page, parsed."""
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in site.rglob("*.html")}


def links(page: BeautifulSoup) -> Iterator[str]:
    for element in page.select("[href], [src]"):
        yield str(element.get("href") or element.get("src"))


def test_every_page_has_a_title_and_one_heading_of_the_first_level(pages: dict[Path, BeautifulSoup]) -> None:
    documents = {path: page for path, page in pages.items() if path.name not in ("search.html", "genindex.html")}
    assert len(documents) == len([*DOCS.rglob("*.md")])
    for path, page in documents.items():
        assert page.title is not None, path
        assert len(page.select("h1")) == 1, path
        assert page.title.text.partition(" - ")[0].strip(), path


def test_every_link_and_anchor_of_the_site_leads_somewhere(pages: dict[Path, BeautifulSoup]) -> None:
    ids = {path: {str(element["id"]) for element in page.select("[id]")} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for link in links(page):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (parts.fragment and target in ids and unquote(parts.fragment) not in ids[target]):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, BeautifulSoup]) -> None:
    for path, page in pages.items():
        loaded = [str(element.get("src") or element.get("href")) for element in page.select("[src], link[href]")]
        assert [url for url in loaded if urlsplit(url).netloc] == [], path


def test_every_image_says_what_it_shows(pages: dict[Path, BeautifulSoup]) -> None:
    for path, page in pages.items():
        assert [image for image in page.select("article img") if len(str(image.get("alt", "")).split()) < 4] == [], path


def test_the_site_can_be_searched(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    assert '"csrf_reject' in index  # stemmed
    assert "fresh_login_required" in index


def test_the_type_of_a_problem_leads_to_its_page_where_the_app_serves_the_site(site: Path) -> None:
    app = Flask(__name__)
    app.register_blueprint(
        Blueprint("documentation", __name__, static_folder=site, static_url_path="/flask-corbado-session")
    )
    with app.test_client().get(CsrfRejected().type_uri) as page:
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert "What the client should do" in page.get_data(as_text=True)
