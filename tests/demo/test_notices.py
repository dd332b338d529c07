"""What people are told: a new device, a copy of a session that was used; on the dashboard and by mail."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import html5lib
import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from demo_site import notices
from demo_site.extensions import db
from demo_site.notices import StoredNotice
from flask_corbado_session.testing import MovingClock, copy_jar, expire_short, move_clock
from tests.demo.conftest import PAGE, MakeApp, sign_in

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.3 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)
ADA = {"email": "ada@example.com", "password": "a sound password"}


def browser(app: Flask, user_agent: str = IPHONE, ip: str = "5.9.1.1") -> FlaskClient:
    """One that comes from Germany, unless told otherwise."""
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": user_agent, "REMOTE_ADDR": ip}
    return client


@pytest.fixture
def iphone(app: Flask, signed_in: FlaskClient) -> FlaskClient:
    """A telephone the same user signed in with, after the first browser."""
    return sign_in(browser(app))


def soup(client: FlaskClient, path: str = "/dashboard") -> BeautifulSoup:
    """A page, which is valid HTML."""
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200
    html5lib.HTMLParser(strict=True).parse(answer.text)
    return BeautifulSoup(answer.text, "html5lib")


def notices_on(client: FlaskClient, path: str = "/dashboard") -> list[Tag]:
    """The notices on a page."""
    return soup(client, path).select(".notice")


def words(tag: Tag) -> str:
    return " ".join(tag.get_text().split())


def press(client: FlaskClient, notice: Tag, label: str) -> str:
    """Press a button of a notice; where one is led."""
    (form,) = [form for form in notice.select("form") if label in form.get_text()]
    answer = client.post(str(form["action"]), headers=PAGE)
    assert answer.status_code == 303
    return answer.location


def mail_links(client: FlaskClient) -> list[str]:
    """The paths of the links in the mails."""
    links = [str(link["href"]) for link in soup(client, "/account/outbox").select(".mail a")]
    assert all(link.startswith("http://localhost:8000/session/disown/") for link in links)
    return [urlsplit(link).path for link in links]


# ---- a new device


@pytest.mark.usefixtures("iphone")
def test_a_new_device_is_told_to_the_other_devices_within_a_second(signed_in: FlaskClient) -> None:
    (notice,) = notices_on(signed_in)
    assert "New sign-in: was this you?" in words(notice)
    assert "Safari on iPhone at 5.9.1.1, approximately Germany, just now." in words(notice)


def test_the_new_device_itself_is_not_asked_about_itself(iphone: FlaskClient) -> None:
    assert notices_on(iphone) == []


def test_the_dashboard_of_the_new_device_costs_no_statement(make_app: MakeApp, signed_in: FlaskClient) -> None:
    phone = sign_in(browser(make_app(CORBADO_SESSION_REVOCATION_INTERVAL=60)))
    phone.get("/dashboard")
    assert "No database query:" in phone.get("/dashboard").text


def test_the_first_device_of_all_is_no_news(app: Flask) -> None:
    client = app.test_client()
    client.post("/sign-up", data=ADA)
    assert (notices_on(client), mail_links(client)) == ([], [])


def test_a_new_device_of_somebody_signed_out_is_told_by_mail_and_later(app: Flask) -> None:
    first = app.test_client()
    first.post("/sign-up", data=ADA)
    first.post("/sign-out")
    phone = sign_in(browser(app), **ADA)
    assert len(mail_links(phone)) == 1
    assert len(notices_on(sign_in(first, **ADA))) == 1


def test_a_known_device_that_signs_in_again_is_no_news(iphone: FlaskClient, signed_in: FlaskClient) -> None:
    iphone.post("/sign-out")
    sign_in(iphone)
    assert len(notices_on(signed_in)) == 1


@pytest.mark.usefixtures("iphone")
def test_yes_it_was_me_puts_the_notice_away(signed_in: FlaskClient) -> None:
    assert press(signed_in, notices_on(signed_in)[0], "Yes, it was me") == "/dashboard"
    assert notices_on(signed_in) == []
    assert "notices" not in signed_in.get("/session").get_json()["claims"]
    assert len(mail_links(signed_in)) == 1


def test_no_signs_the_device_out(iphone: FlaskClient, signed_in: FlaskClient) -> None:
    leads_to = press(signed_in, notices_on(signed_in)[0], "No, sign it out")
    page = soup(signed_in, leads_to)
    assert "change your password now" in words(page.select(".message")[0])
    assert page.select(".notice") == []
    assert iphone.get("/dashboard", headers=PAGE).status_code == 303


def test_the_new_device_cannot_put_away_what_the_owner_is_notices_on(
    iphone: FlaskClient, signed_in: FlaskClient
) -> None:
    (notice,) = notices_on(signed_in)
    for form in notice.select("form"):
        assert iphone.post(str(form["action"]), headers=PAGE).status_code == 404
    assert len(notices_on(signed_in)) == 1


@pytest.mark.usefixtures("iphone")
def test_nobody_puts_away_or_signs_out_what_is_told_to_somebody_else(app: Flask, signed_in: FlaskClient) -> None:
    stranger = app.test_client()
    stranger.post("/sign-up", data=ADA)
    (notice,) = notices_on(signed_in)
    for form in notice.select("form"):
        assert stranger.post(str(form["action"])).status_code == 404
        assert app.test_client().post(str(form["action"])).status_code == 401
        assert signed_in.post(str(form["action"]), headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert len(notices_on(signed_in)) == 1


@pytest.mark.parametrize(("days", "count"), [(13.9, 1), (14.1, 0)])
@pytest.mark.usefixtures("iphone")
def test_a_notice_is_shown_for_14_days(app: Flask, signed_in: FlaskClient, days: float, count: int) -> None:
    with app.app_context():
        db.session.execute(update(StoredNotice).values(sent_at=int(time.time() - days * 86400)))
        db.session.commit()
    assert len(notices_on(signed_in)) == count


def test_many_notices_are_put_away_at_once_and_mails_are_bounded(
    app: Flask, signed_in: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "KEPT", 5)
    for number in range(7):
        sign_in(browser(app, ip=f"5.9.1.{number}"))
    page = soup(signed_in)
    assert (len(page.select(".notice")), len(mail_links(signed_in))) == (3, 5)
    assert "Dismiss all 5" in page.get_text()
    signed_in.post("/account/notices/dismiss")
    assert notices_on(signed_in) == []


# ---- a copied session


@pytest.fixture
def clock(app: Flask) -> MovingClock:
    return move_clock(app)


@pytest.fixture
def stolen(app: Flask, clock: MovingClock, signed_in: FlaskClient) -> tuple[FlaskClient, FlaskClient]:
    """The owner of a session that was copied and ended for it, and the thief."""
    owner = sign_in(browser(app))
    thief = copy_jar(owner)
    thief.environ_base |= {"HTTP_USER_AGENT": CHROME, "REMOTE_ADDR": "200.160.2.3"}
    for client in (owner, owner, thief):
        clock.move(minutes=2)
        expire_short(client)
        client.get("/dashboard")
    return owner, thief


def test_a_theft_is_told_at_the_next_sign_in_and_on_every_other_device(
    stolen: tuple[FlaskClient, FlaskClient], signed_in: FlaskClient
) -> None:
    owner, thief = stolen
    for client in (owner, thief):
        assert client.get("/dashboard", headers=PAGE).status_code == 303
    for client in (sign_in(owner), signed_in):
        notice = notices_on(client)[0]
        assert "A copy of one of your sessions was used" in words(notice)
        assert "Safari on iPhone at 5.9.1.1, approximately Germany" in words(notice)
        assert "Chrome on Windows at 200.160.2.3, approximately Brazil" in words(notice)
        assert notice.select("a[href='/account/password']")


@pytest.mark.usefixtures("stolen")
def test_a_theft_is_mailed_and_stands_on_the_devices_page(signed_in: FlaskClient) -> None:
    mail = soup(signed_in, "/account/outbox").select(".mail")[0]
    assert [words(item) for item in mail.select("li")] == [
        "Safari on iPhone, 5.9.1.1 (approximately Germany)",
        "Chrome on Windows, 200.160.2.3 (approximately Brazil)",
    ]
    assert soup(signed_in, "/session/devices").select(".corbado-alert")


def test_a_theft_is_told_until_it_is_read(stolen: tuple[FlaskClient, FlaskClient]) -> None:
    owner = sign_in(stolen[0])
    press(owner, notices_on(owner)[0], "Dismiss")
    assert notices_on(owner) == []


# ---- the mails


def test_the_outbox_is_for_its_owner_alone(app: Flask, iphone: FlaskClient) -> None:
    stranger = app.test_client()
    assert stranger.get("/account/outbox", headers=PAGE).location == "/sign-in?next=/account/outbox"
    stranger.post("/sign-up", data=ADA)
    assert mail_links(stranger) == []
    assert len(mail_links(iphone)) == 1


def test_the_link_of_a_mail_ends_the_device_without_signing_in_once(
    app: Flask, iphone: FlaskClient, signed_in: FlaskClient
) -> None:
    (path,) = mail_links(signed_in)
    reader = app.test_client()
    for _ in range(2):  # a scanner looks first
        page = soup(reader, path)
        assert "Safari on iPhone signed in to your account just now." in words(page.select("main")[0])
        assert iphone.get("/dashboard").status_code == 200
    assert "is signed out. If you don\u2019t recognise it" in reader.post(path, headers=PAGE).text
    assert iphone.get("/dashboard", headers=PAGE).status_code == 303
    assert signed_in.get("/dashboard").status_code == 200
    for answer in (reader.get(path), reader.post(path)):
        assert (answer.status_code, answer.get_json()["code"]) == (410, "link_spent")


@pytest.mark.usefixtures("iphone")
def test_the_page_of_the_link_tells_its_path_to_nobody(app: Flask, signed_in: FlaskClient) -> None:
    (path,) = mail_links(signed_in)
    reader = app.test_client()
    for answer in (reader.get(path, headers=PAGE), reader.post(path, headers=PAGE)):
        assert (answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == ("strict-origin", "no-store")
    page = soup(signed_in, "/account/outbox")
    assert all(link["rel"] == ["noreferrer"] for link in page.select(".mail a"))


@pytest.mark.usefixtures("iphone")
def test_a_foreign_page_cannot_press_the_button(app: Flask, signed_in: FlaskClient) -> None:
    (path,) = mail_links(signed_in)
    answer = app.test_client().post(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert soup(app.test_client(), path).select("main form")


@pytest.mark.parametrize("spoilt", ["x", "..", "%00", "%ff", "a.b", "x" * 5000])
def test_a_link_that_is_none_is_410_as_a_page_and_for_scripts(client: FlaskClient, spoilt: str) -> None:
    path = f"/session/disown/{spoilt}"
    answer = client.get(path, headers=PAGE)
    assert answer.status_code in (404, 410)
    assert client.post(path).status_code in (404, 405, 410)
