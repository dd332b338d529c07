"""Every page: its markup, its headers, its links, and the errors."""

from __future__ import annotations

import re

import html5lib
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from tests.demo.conftest import PAGE

PUBLIC = ["/", "/sign-in", "/sign-up"]
PRIVATE = ["/dashboard", "/account", "/account/password", "/account/outbox", "/session/devices", "/live", "/thief"]
EVERY = [*PUBLIC, *PRIVATE, "/nowhere"]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_are_for_everybody(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", PRIVATE)
def test_a_private_page_asks_a_stranger_to_sign_in_and_remembers_the_way(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"/sign-in?next={path}")


@pytest.mark.parametrize("path", [*PUBLIC, *PRIVATE])
def test_every_page_is_there_for_somebody_signed_in(signed_in: FlaskClient, path: str) -> None:
    answer = signed_in.get(path, headers=PAGE)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PRIVATE)
def test_every_page_for_somebody_signed_in_offers_to_sign_out(signed_in: FlaskClient, path: str) -> None:
    page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
    (button,) = page.select('form[method="post"][action="/sign-out"] button')
    assert button.get_text(strip=True) == "Sign out"


@pytest.mark.parametrize("path", EVERY)
def test_every_page_is_valid_html(signed_in: FlaskClient, client: FlaskClient, path: str) -> None:
    for browser in (signed_in, client):
        html5lib.HTMLParser(strict=True).parse(browser.get(path, headers=PAGE, follow_redirects=True).text)


@pytest.mark.parametrize("path", EVERY)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(signed_in: FlaskClient, path: str) -> None:
    page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
    assert not page.find_all("style")
    assert not page.find_all(lambda tag: any(name == "style" or name.startswith("on") for name in tag.attrs))
    assert all(str(script["src"]).startswith("/") for script in page.find_all("script"))
    sources = [str(tag.get("src") or tag.get("href")) for tag in page.find_all(["script", "link", "img"])]
    assert all(source.startswith("/") for source in sources)


@pytest.mark.parametrize("path", ["/", "/dashboard", "/nowhere", "/static/demo.css", "/session/devices"])
def test_every_answer_carries_the_security_headers(signed_in: FlaskClient, path: str) -> None:
    headers = signed_in.get(path, headers=PAGE, buffered=True).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers


def test_over_https_the_browser_is_told_to_stay_there(client: FlaskClient) -> None:
    assert "max-age" in client.get("/", base_url="https://localhost").headers["Strict-Transport-Security"]


def test_no_link_and_no_file_of_any_page_is_missing(signed_in: FlaskClient) -> None:
    found = set()
    for path in EVERY:
        page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
        found |= {str(tag.get("href") or tag.get("src")) for tag in page.select("a[href], link[href], [src]")}
    targets = {target.partition("#")[0] for target in found} - {""}
    assert targets >= set(PRIVATE) | {"/static/pico.min.css", "/session/static/corbado-session.css"}
    assert {
        target: signed_in.get(target, headers=PAGE, buffered=True).status_code for target in targets
    } == dict.fromkeys(targets, 200)


@pytest.mark.parametrize("path", [*PUBLIC, *PRIVATE])
def test_every_form_has_a_view_that_takes_it(app: Flask, signed_in: FlaskClient, path: str) -> None:
    page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
    adapter = app.url_map.bind("localhost")
    assert page.find_all("form")
    assert all(form["method"] == "post" and adapter.test(str(form["action"]), "POST") for form in page.find_all("form"))


def test_every_field_has_a_label(signed_in: FlaskClient) -> None:
    for path in [*PUBLIC, *PRIVATE]:
        page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
        for field in page.select("input:not([type=hidden])"):
            labelled = field.get("aria-label") or field.find_parent("label") or page.select(f"label[for={field['id']}]")
            assert labelled, (path, field)


def test_a_notice_is_chosen_by_the_address_and_never_its_text(client: FlaskClient) -> None:
    assert "You are signed out." in client.get("/?message=signed-out").text
    assert "Send money" not in client.get("/?message=Send+money").text


@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "GET", 404), ("/sign-out", "GET", 405)])
def test_an_error_has_the_sites_look_or_a_code(client: FlaskClient, path: str, method: str, status: int) -> None:
    page = client.open(path, method=method, headers=PAGE)
    assert page.status_code == status
    assert 'class="bar"' in page.text
    problem = client.open(path, method=method, headers={"Accept": "application/json"})
    assert problem.mimetype == "application/problem+json"
    assert problem.get_json()["status"] == status
    assert re.fullmatch("[a-z_]+", problem.get_json()["code"])


def test_an_error_page_never_asks_who_you_are(signed_in: FlaskClient) -> None:
    signed_in.delete_cookie("cbo_short_session")
    answer = signed_in.get("/nowhere", headers=PAGE)
    assert "Set-Cookie" not in answer.headers
    assert "Dashboard" not in answer.text


def test_a_mistake_of_ours_is_a_page_without_its_details(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/mistake", view_func=lambda: str(1 // 0))
    app.testing = False
    answer = client.get("/mistake", headers=PAGE)
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "ZeroDivision" not in answer.text
