"""The page behind the link of a mail: looking ends nothing, its button ends the device's sessions, once."""

from __future__ import annotations

import pytest

from flask_corbado_session import Notice
from tests.support.site import Site


@pytest.fixture
def link(site: Site) -> str:
    """The path that the mail about a sign-in leads to."""
    told: list[Notice] = []
    site.sessions.notifier(told.append)
    site.signed_in("alice", user_agent="Intruder/1.0")
    assert told[0].report_path is not None
    return told[0].report_path


def test_looking_at_the_page_ends_nothing(site: Site, link: str) -> None:
    """Mail scanners follow links."""
    scanner = site.nobody()
    for method in ("GET", "HEAD", "GET"):
        assert scanner.open(link, method=method).status_code == 200
    assert site.end_reasons() == []


def test_its_button_ends_the_device_once_and_needs_no_sign_in(site: Site, link: str) -> None:
    anybody = site.nobody()
    assert anybody.post(link).status_code == 200
    assert site.end_reasons() == ["revoked"]
    assert [anybody.post(link).status_code, anybody.get(link).status_code] == [410, 410]


def test_a_page_of_another_origin_presses_no_button(site: Site, link: str) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = site.nobody().post(link, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")
    assert site.end_reasons() == []


def test_the_page_of_the_link_tells_it_to_nobody(site: Site, link: str) -> None:
    answer = site.nobody().get(link)
    assert answer.headers["Referrer-Policy"] == "strict-origin"
    assert answer.headers["Cache-Control"] == "no-store"
