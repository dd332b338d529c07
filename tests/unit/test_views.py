"""The routes of the extension: who am I, refresh, sign out, devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from flask_corbado_session.testing import expire_short
from tests.support.apps import rows_of
from tests.support.site import Site

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0"


# ---- who am I, refresh


def test_who_am_i_says_who_and_until_when(site: Site) -> None:
    said = site.signed_in(claims={"plan": "pro"}, amr=["pwd"]).get("/session").get_json()
    now = site.clock.at.replace(microsecond=0)
    session_id = site.devices()[0].sessions[0].session_id
    assert said == {
        "user_id": "alice",
        "session_id": session_id,
        "claims": {"plan": "pro", "sub": "alice", "sid": session_id, "amr": ["pwd"]},
        "issued_at": f"{now:%FT%TZ}",
        "expires_at": f"{now + timedelta(minutes=15):%FT%TZ}",
        "auth_time": f"{now:%FT%TZ}",
        "amr": ["pwd"],
    }


@pytest.mark.parametrize(
    ("path", "method"), [("/session", "GET"), ("/session/refresh", "POST"), ("/session/devices", "GET")]
)
def test_nobody_gets_a_401(site: Site, path: str, method: str) -> None:
    answer = site.app.test_client().open(path, method=method)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")


def test_a_refresh_serves_a_valid_an_expired_and_no_short_session_alike(site: Site) -> None:
    client = site.signed_in()
    for prepare in (lambda: None, lambda: site.clock.move(minutes=16), lambda: expire_short(client)):
        site.clock.move(seconds=61)
        prepare()
        said = client.post("/session/refresh").get_json()
        expires_at = site.clock.at.replace(microsecond=0) + timedelta(minutes=15)
        assert said["expires_at"] == f"{expires_at:%FT%TZ}"
        assert "token" not in said


def test_a_refresh_of_a_revoked_session_is_a_401_that_says_why(site: Site) -> None:
    client = site.signed_in()
    rows_of(site.app).revocation.revoke_user("alice", "revoked")
    answer = client.post("/session/refresh")
    assert (answer.status_code, answer.get_json()["reason"]) == (401, "revoked")


# ---- sign out


def test_a_script_that_signs_out_gets_a_204(site: Site) -> None:
    client = site.signed_in()
    answer = client.post("/session/logout", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get("/protected").status_code == 401


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        ({}, "/"),
        ({"next": "/bye?a=b"}, "/bye?a=b"),
        ({"next": "//evil.example"}, "/"),
        ({"next": "https://evil.example"}, "/"),
    ],
)
def test_a_form_that_signs_out_goes_on(site: Site, sent: dict[str, str], location: str) -> None:
    for how in ({"data": sent}, {"query_string": sent}):
        answer = site.signed_in().post("/session/logout", headers=NAVIGATE, **how)
        assert (answer.status_code, answer.headers["Location"]) == (303, location)


def test_a_form_goes_on_to_where_the_app_is_mounted(site: Site) -> None:
    answer = site.signed_in().post("/session/logout", headers=NAVIGATE, base_url="https://localhost/below")
    assert answer.headers["Location"] == "/below/"


# ---- the devices page


def page(client: FlaskClient) -> BeautifulSoup:
    return BeautifulSoup(client.get("/session/devices", headers={"Accept": "text/html"}).text, "html.parser")


def test_the_page_shows_every_device_and_marks_this_one(site: Site) -> None:
    client = site.signed_in(user_agent=FIREFOX)
    site.signed_in(user_agent="curl/8.5.0")
    found = page(client)
    assert found.select("article h2")[0].get_text(" ", strip=True).startswith("Firefox on Linux")
    assert len(found.select("article")) == 2
    assert len(found.select(".corbado-current")) == 1
    assert "This device" in found.select_one(".corbado-current").get_text()  # type: ignore[union-attr]


def test_the_page_works_without_script(site: Site) -> None:
    """Its buttons are forms that post to this origin; it loads nothing from elsewhere and holds no script."""
    client = site.signed_in(user_agent=FIREFOX)
    site.signed_in(user_agent="curl/8.5.0")
    found = page(client)
    forms = found.select("form")
    assert len(forms) >= 4
    assert {form["method"] for form in forms} == {"post"}
    assert all(str(form["action"]).startswith("/session/") for form in forms)
    assert found.select("script") == []
    assert not [each for each in found.select("[src], link[href]") if "//" in str(each.get("src") or each.get("href"))]
    assert not [each for each in found.find_all(True) if any(name.startswith("on") for name in each.attrs)]


def test_each_form_of_the_page_does_what_it_says(site: Site) -> None:
    client = site.signed_in(user_agent=FIREFOX)
    site.signed_in(user_agent="curl/8.5.0")
    actions = [str(form["action"]) for form in page(client).select("article:not(.corbado-current) form")]
    rename = next(action for action in actions if action.endswith("/name"))
    revoke = next(action for action in actions if action.endswith("/revoke"))
    answer = client.post(rename, data={"name": "Kitchen <b>"}, headers=NAVIGATE)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/session/devices")
    assert "Kitchen <b>" in page(client).get_text()
    assert client.post(revoke, headers=NAVIGATE).status_code == 303
    assert len(page(client).select("article")) == 1
    assert len(site.devices()) == 1


@pytest.mark.parametrize("number", ["x", "-1", "0", "9" * 5000, "1.5", "2", ""])
def test_a_form_whose_page_is_no_number_has_done_its_work_and_says_so(site: Site, number: str) -> None:
    client, other = site.signed_in(), site.signed_in()
    answer = client.post("/session/revoke-others", headers=NAVIGATE, query_string={"page": number})
    location = "/session/devices?page=2" if number == "2" else "/session/devices"
    assert (answer.status_code, answer.headers["Location"]) == (303, location)
    assert other.get("/protected").status_code == 401


def test_all_others_are_signed_out_by_one_button(site: Site) -> None:
    client = site.signed_in()
    others = [site.signed_in() for _ in range(3)]
    assert client.post("/session/revoke-others", headers=NAVIGATE).status_code == 303
    assert [other.get("/protected").status_code for other in others] == [401] * 3
    assert client.get("/protected").status_code == 200


def test_the_page_as_json(site: Site) -> None:
    client = site.signed_in(user_agent=FIREFOX, amr=["pwd"])
    site.clock.move(seconds=1)
    site.signed_in(user_agent="curl/8.5.0")
    rows_of(site.app).revocation.revoke(site.devices()[0].sessions[0].session_id, None)
    said = client.get("/session/devices", headers={"Accept": "application/json"}).get_json()
    assert [(each["label"], each["is_current"]) for each in said["devices"]] == [("Firefox on Linux", True)]
    assert [each["end_reason"] for each in said["history"]] == ["revoked"]
    session = said["devices"][0]["sessions"][0]
    assert session.keys() >= {"session_id", "created_at", "last_seen_at", "expires_at", "amr", "ip", "is_current"}
    assert session["created_at"].endswith("Z")
    text = client.get("/session/devices", headers={"Accept": "application/json"}).text
    assert not any(secret in text for secret in ("secret", "hash", "cookie"))


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("text/html", "text/html"),
        ("application/json", "application/json"),
        ("*/*", "text/html"),
        ("", "text/html"),
        ("text/html,application/json;q=0.9", "text/html"),
        ("application/json,text/html;q=0.5", "application/json"),
        ("image/png", "text/html"),
    ],
)
def test_page_or_json_is_the_askers_choice(site: Site, accept: str, mimetype: str) -> None:
    assert site.signed_in().get("/session/devices", headers={"Accept": accept}).mimetype == mimetype


def test_a_name_is_given_as_form_or_as_json(site: Site) -> None:
    client = site.signed_in()
    path = f"/session/devices/{site.devices()[0].id}/name"
    for body in ({"data": {"name": "Desk"}}, {"json": {"name": "Desk"}}):
        assert client.post(path, **body).status_code == 204
        assert site.devices()[0].name == "Desk"
        client.post(path, data={"name": ""})
        assert site.devices()[0].name is None


def test_a_session_of_this_device_is_ended_alone(site: Site) -> None:
    client = site.signed_in()
    elsewhere = site.signed_in()
    mine = client.get("/session").get_json()["session_id"]
    other = elsewhere.get("/session").get_json()["session_id"]
    assert client.post(f"/session/{other}/revoke").status_code == 204
    assert client.post(f"/session/{other}/revoke").status_code == 204
    assert elsewhere.get("/protected").status_code == 401
    answer = client.post(f"/session/{mine}/revoke")
    assert (answer.status_code, len(answer.headers.getlist("Set-Cookie"))) == (204, 2)
    assert client.get("/protected").status_code == 401


# ---- where the routes are


def test_the_routes_are_where_the_settings_put_them(sqlite_url: str) -> None:
    site = Site(sqlite_url, CORBADO_SESSION_URL_PREFIX="/auth/me")
    client = site.signed_in()
    assert client.get("/auth/me").get_json()["user_id"] == "alice"
    assert client.get("/auth/me/devices").status_code == 200
    assert client.get("/session").status_code == 404
    with client.get("/auth/me/static/corbado-session.css") as stylesheet:
        assert stylesheet.status_code == 200


def test_without_a_prefix_there_are_none(sqlite_url: str) -> None:
    site = Site(sqlite_url, CORBADO_SESSION_URL_PREFIX=None)
    assert [rule.rule for rule in site.app.url_map.iter_rules() if rule.endpoint.startswith("corbado_session")] == []
    client = site.signed_in()
    assert client.get("/protected").status_code == 200
    assert client.get("/session").status_code == 404


def test_a_page_of_the_app_takes_the_place_of_ours(site: Site, tmp_path: Any) -> None:
    folder = tmp_path / "corbado_session"
    folder.mkdir()
    (folder / "base.html").write_text("<title>Mine</title>{% block content %}{% endblock %}")
    site.app.jinja_loader.searchpath.insert(0, str(tmp_path))  # type: ignore[union-attr]
    found = page(site.signed_in())
    assert found.title is not None
    assert found.title.get_text() == "Mine"
    assert len(found.select("article")) == 1


def test_the_static_files_may_be_kept_by_anybody(site: Site) -> None:
    with site.signed_in().get("/session/static/corbado-session.css") as answer:
        assert "no-store" not in answer.headers.get("Cache-Control", "")
        assert answer.headers.getlist("Set-Cookie") == []
