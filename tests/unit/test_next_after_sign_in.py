"""Where a person is led after they have signed in or out: to this site, whatever ``next`` says."""

from __future__ import annotations

import pytest

from tests.support.site import Site

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/.//evil.example",
    "javascript:alert(1)",
    "https:evil.example",
    "http://localhost@evil.example/",
    "/%0d%0aLocation:https://evil.example".replace("%0d%0a", "\r\n"),
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_whoever_signs_in_is_led_to_no_other_host(site: Site, url: str) -> None:
    client = site.nobody()
    assert client.post("/sign-in", data={"user": "alice", "next": url}).get_json() == {"next": "/"}
    assert client.post("/sign-in", data={"user": "alice"}, query_string={"next": url}).get_json() == {"next": "/"}


@pytest.mark.parametrize("url", ELSEWHERE)
def test_whoever_signs_out_by_a_form_is_led_to_no_other_host(site: Site, url: str) -> None:
    page = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    answer = site.signed_in().post("/session/logout", data={"next": url}, headers=page)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_path_of_this_site_is_where_they_wanted_to_go(site: Site) -> None:
    answer = site.nobody().post("/sign-in", data={"user": "alice", "next": "/orders?page=2#last"})
    assert answer.get_json() == {"next": "/orders?page=2#last"}
