"""The extension's own pages: in the site's look, and standing alone."""

from __future__ import annotations

from pathlib import Path

import html5lib
import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from flask_corbado_session import CorbadoSession, login_user
from tests.demo.conftest import CONFIG, PAGE, sign_in

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.3 Mobile/15E148 Safari/604.1"
)
DEVICES = "/session/devices"


def cards(client: FlaskClient) -> list[Tag]:
    """The devices as they stand on the page."""
    page = client.get(DEVICES, headers=PAGE).text
    html5lib.HTMLParser(strict=True).parse(page)
    return BeautifulSoup(page, "html5lib").select(".corbado-card")


def target(card: Tag, beginning: str, ending: str) -> str:
    """Where the one form with such an address sends to."""
    (form,) = card.select(f"form[action^='{beginning}'][action$='{ending}']")
    return str(form["action"])


@pytest.fixture
def iphone(app: Flask) -> FlaskClient:
    """A telephone the same user signed in with."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = IPHONE
    return sign_in(client)


@pytest.mark.usefixtures("iphone")
def test_every_device_stands_on_the_page_this_one_first(signed_in: FlaskClient) -> None:
    this, other = cards(signed_in)
    assert "This device" in this.get_text()
    assert "Safari on iPhone" in other.get_text()
    assert "This device" not in other.get_text()
    assert other.select("time[datetime][title]")


def test_the_page_has_the_sites_look(signed_in: FlaskClient) -> None:
    page = signed_in.get(DEVICES, headers=PAGE).text
    assert 'class="bar"' in page
    assert "demo.css" in page


def test_a_device_signed_out_on_the_page_is_out(signed_in: FlaskClient, iphone: FlaskClient) -> None:
    (_, other) = cards(signed_in)
    assert signed_in.post(target(other, "/session/devices/", "/revoke"), headers=PAGE).location == DEVICES
    assert iphone.get("/dashboard", headers=PAGE).status_code == 303
    assert len(cards(signed_in)) == 1


def test_a_session_ended_on_the_page_is_out(signed_in: FlaskClient, iphone: FlaskClient) -> None:
    (_, other) = cards(signed_in)
    session_id = iphone.get("/session").get_json()["session_id"]
    assert target(other, f"/session/{session_id}", "/revoke")
    signed_in.post(f"/session/{session_id}/revoke", headers=PAGE)
    assert iphone.get("/dashboard", headers=PAGE).status_code == 303


def test_everywhere_else_is_offered_only_where_there_is_an_elsewhere(
    signed_in: FlaskClient, iphone: FlaskClient
) -> None:
    assert "Sign out everywhere else" in signed_in.get(DEVICES, headers=PAGE).text
    signed_in.post("/session/revoke-others", headers=PAGE)
    assert "Sign out everywhere else" not in signed_in.get(DEVICES, headers=PAGE).text
    assert iphone.get("/dashboard", headers=PAGE).status_code == 303


def test_this_device_offers_to_sign_out_and_not_to_revoke_itself(signed_in: FlaskClient) -> None:
    (this,) = cards(signed_in)
    signed_in.post(target(this, "/session/", "/logout"), headers=PAGE)
    assert signed_in.get("/dashboard", headers=PAGE).status_code == 303
    assert not this.select("form[action$='/revoke']")


@pytest.mark.parametrize("name", ["Anna's <b>phone</b>", '"><script>alert(1)</script>', "{{ 7 * 7 }}"])
def test_a_name_is_shown_as_it_was_given(signed_in: FlaskClient, name: str) -> None:
    (this,) = cards(signed_in)
    signed_in.post(target(this, "/session/devices/", "/name"), data={"name": name}, headers=PAGE)
    (this,) = cards(signed_in)
    (heading,) = this.select("h2")
    assert heading.get_text().startswith(name)


def test_a_name_taken_away_gives_the_label_back(signed_in: FlaskClient) -> None:
    (this,) = cards(signed_in)
    rename = target(this, "/session/devices/", "/name")
    signed_in.post(rename, data={"name": "Kitchen"}, headers=PAGE)
    signed_in.post(rename, data={"name": " "}, headers=PAGE)
    assert "Kitchen" not in signed_in.get(DEVICES, headers=PAGE).text


def test_a_user_agent_is_a_strangers_text(app: Flask, signed_in: FlaskClient) -> None:
    stranger = app.test_client()
    stranger.environ_base["HTTP_USER_AGENT"] = '<script>alert(1)</script>/1.0 ("><img src=x>)'
    sign_in(stranger)
    for card in cards(signed_in):
        assert not card.select("script, img")


def test_ended_sessions_are_kept_as_history_with_the_reason(app: Flask, signed_in: FlaskClient) -> None:
    sign_in(app.test_client()).post("/sign-out")
    page = BeautifulSoup(signed_in.get(DEVICES, headers=PAGE).text, "html5lib")
    (history,) = page.select(".corbado-history li")
    assert "Signed out on that device" in history.get_text()


# ---- standing alone


@pytest.fixture
def plain(tmp_path: Path) -> FlaskClient:
    """An app with no template of its own, somebody signed in."""
    app = Flask("plain", root_path=str(tmp_path))
    app.config.from_mapping(CONFIG, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'plain.sqlite'}")
    app.config["CORBADO_SESSION_COOKIE_SECURE"] = False
    db = SQLAlchemy(app)
    CorbadoSession(db).init_app(app)
    with app.app_context():
        db.create_all()

    @app.post("/enter")
    def enter() -> str:
        login_user("1", amr=["pwd", "own-method"])
        return ""

    client = app.test_client()
    client.post("/enter")
    return client


def test_the_devices_page_stands_alone(plain: FlaskClient) -> None:
    (this,) = cards(plain)
    assert "with password and own-method" in " ".join(this.get_text().split())
    page = BeautifulSoup(plain.get(DEVICES, headers=PAGE).text, "html5lib")
    assert [plain.get(str(link["href"]), buffered=True).status_code for link in page.select("link")] == [200]


def test_the_error_page_stands_alone(plain: FlaskClient) -> None:
    answer = plain.post("/session/revoke-others", headers={**PAGE, "Sec-Fetch-Site": "cross-site"})
    html5lib.HTMLParser(strict=True).parse(answer.text)
    assert answer.status_code == 403
    assert "came from another site" in answer.text
