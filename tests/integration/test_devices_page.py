"""The devices page on an app without a look of its own: what stands there, how it pages, in which language."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import html5lib
import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.testing import copy_jar, expire_short
from tests.support.apps import rows_of, statements
from tests.support.site import Site

PAGE, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
DEVICES = "/session/devices"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)


class DevicesSite(Site):
    """The tests' app, and alice signed in with Firefox on Linux."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, CORBADO_SESSION_MAX_SESSIONS_PER_USER=500, **config)
        self.alice = self.enter("alice", FIREFOX)

    def enter(self, user: str, user_agent: str = CHROME, client: FlaskClient | None = None, **how: Any) -> FlaskClient:
        """Somebody signs in."""
        client = client or self.app.test_client()
        client.environ_base["HTTP_USER_AGENT"] = user_agent
        assert client.post("/sign-in", json={"user": user, "amr": ["pwd"], **how}).status_code == 200
        return client

    def start(self, count: int, device: str = "", user: str = "alice") -> str:
        """That many sessions: on the device of this cookie, else each on a new one; the last one's device cookie."""
        token = device
        for number in range(count):
            presented = PresentedTokens(
                device=[device] if device else [], ip=f"192.0.2.{number % 250}", user_agent=CHROME
            )
            with self.app.test_request_context():
                started = rows_of(self.app).sign_in.start(user, presented, persistent=True, claims={}, amr=["pwd"])
            token = started.device_token
        return token

    def soup(self, query: str = "", client: FlaskClient | None = None) -> BeautifulSoup:
        """The page, which is valid HTML."""
        answer = (client or self.alice).get(DEVICES + query, headers=PAGE)
        assert answer.status_code == 200
        html5lib.HTMLParser(strict=True).parse(answer.text)
        return BeautifulSoup(answer.text, "html5lib")

    def stolen(self, user: str = "alice") -> None:
        """A session of this user is used by a thief, and ends."""
        owner = self.enter(user, FIREFOX)
        thief = copy_jar(owner)
        thief.environ_base |= {"HTTP_USER_AGENT": CHROME, "REMOTE_ADDR": "203.0.113.6"}
        for client in (owner, owner, thief):
            self.clock.move(minutes=2)
            expire_short(client)
            client.get("/protected")


@pytest.fixture
def site(sqlite_url: str) -> DevicesSite:
    return DevicesSite(sqlite_url)


def words(tag: Tag | BeautifulSoup) -> str:
    """Its text, the spaces made one."""
    return " ".join(tag.get_text().split())


def link(page: BeautifulSoup, rel: str, within: str = "") -> str:
    """Where the one such link leads."""
    (found,) = page.select(f"{within} a[rel={rel}]")
    return str(found["href"]).removeprefix(DEVICES)


# ---- hundreds of sessions


def test_300_devices_cost_two_statements_and_show_twenty(database_url: str) -> None:
    site = DevicesSite(database_url)
    site.start(299)
    site.soup()
    with statements(site.app) as seen:
        page = site.soup()
    assert seen.verbs == ["SELECT", "SELECT"]
    assert len(page.select(".corbado-card")) == 20
    assert "This device" in words(page.select(".corbado-card")[0])


def test_every_device_stands_on_one_page_and_on_one_only(site: DevicesSite) -> None:
    site.start(44)
    page, found, query = site.soup(), [], ""
    while True:
        found += [str(card["aria-labelledby"]) for card in page.select(".corbado-card")]
        if not page.select("a[rel=next]"):
            break
        query = link(page, "next")
        page = site.soup(query)
    assert (query, len(found), len(set(found))) == ("?page=3", 45, 45)
    assert link(page, "prev") == "?page=2"
    assert words(page.select(".corbado-pages")[0]) == "Newer Page 3"


def test_a_page_beyond_the_last_is_the_last(site: DevicesSite) -> None:
    """What stood there has been ended meanwhile."""
    site.start(24)
    assert len(site.soup("?page=99").select(".corbado-card")) == 5


def test_a_page_that_is_no_number_is_refused_by_name(subtests: pytest.Subtests, site: DevicesSite) -> None:
    for name in ["page", "history"]:
        for value in ["0", "-1", "x", "", "1.5", "1e3", "9" * 30, "٣", "%00"]:
            with subtests.test(value=value, name=name):
                answer = site.alice.get(f"{DEVICES}?{name}={value}", headers=JSON)
                problem = answer.get_json()
                assert (answer.status_code, problem["code"], problem["field"]) == (400, "invalid_request", name)


def test_a_device_with_many_sessions_shows_ten_and_leads_to_all(site: DevicesSite) -> None:
    site.start(120, device=site.start(1))
    (_, many) = site.soup().select(".corbado-card")
    assert "121 sessions" in words(many)
    assert len(many.select("li")) == 10
    (more,) = many.select("a")
    page = site.soup(str(more["href"]).removeprefix(DEVICES))
    (card,) = page.select(".corbado-card")
    assert (len(card.select("li")), words(more)) == (50, "All 121 sessions on Chrome on Windows")
    last = site.soup(link(site.soup(link(page, "next")), "next"))
    assert len(last.select(".corbado-card li")) == 21
    assert "All your devices" in words(last)


def test_a_device_that_is_not_there_is_404(subtests: pytest.Subtests, site: DevicesSite) -> None:
    for device_id in ["x", "A" * 30, "", "%00", "../x"]:
        with subtests.test(device_id=device_id):
            answer = site.alice.get(f"{DEVICES}?device={device_id}", headers=PAGE)
            assert answer.status_code == 404


def test_the_device_of_somebody_else_is_404_too(site: DevicesSite) -> None:
    bob = site.enter("bob")
    device = bob.get(DEVICES, headers=JSON).get_json()["devices"][0]["id"]
    assert site.alice.get(f"{DEVICES}?device={device}", headers=PAGE).status_code == 404
    assert bob.get(f"{DEVICES}?device={device}", headers=PAGE).status_code == 200


def test_ending_something_leads_back_to_the_page_it_stood_on(site: DevicesSite) -> None:
    site.start(44)
    page = site.soup("?page=2")
    (form,) = page.select(".corbado-card")[3].select("form[action*='/devices/'][action*='/revoke']")
    answer = site.alice.post(str(form["action"]), headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"{DEVICES}?page=2")
    assert len(site.alice.get(DEVICES, headers=JSON).get_json()["devices"]) == 44


def test_fifty_ended_sessions_stand_on_a_page(database_url: str) -> None:
    site = DevicesSite(database_url)
    site.start(119)
    site.alice.post("/session/revoke-others")
    page, found, query = site.soup(), [], ""
    assert not page.select(".corbado-history[open]")
    while True:
        found += [words(item) for item in page.select(".corbado-history li")]
        if not page.select(".corbado-history a[rel=next]"):
            break
        query = link(page, "next", ".corbado-history")
        page = site.soup(query.partition("#")[0])
    assert (len(found), query) == (119, "?history=3#history")
    assert page.select(".corbado-history[open]")


def test_json_gives_every_device_and_the_history_page_by_page(site: DevicesSite) -> None:
    site.start(70)
    site.alice.post("/session/revoke-others")
    site.start(60)
    first, second = (site.alice.get(f"{DEVICES}?history={n}", headers=JSON).get_json() for n in (1, 2))
    assert [len(first["devices"]), len(first["history"]), first["history_has_more"]] == [61, 50, True]
    assert [len(second["history"]), second["history_has_more"]] == [20, False]


# ---- what stands there


def test_first_and_last_seen_are_said_in_words_with_the_time_at_hand(site: DevicesSite) -> None:
    started = site.clock.at
    site.clock.move(hours=2)
    expire_short(site.alice)
    (card,) = site.soup().select(".corbado-card")
    seen = {words(time): time["title"] for time in card.select("p.corbado-muted > time[title]")}
    assert seen == {"just now": said(site.clock.at), "2 hours ago": said(started)}
    assert f"First seen {said(started)}" in words(card)


def said(at: Any) -> str:
    return f"{at.day} {at.strftime('%B %Y, %H:%M:%S')} UTC"


def test_a_place_is_said_to_be_approximate(site: DevicesSite) -> None:
    site.sessions.ip_locator({"127.0.0.1": "Switzerland"}.get)
    (card,) = site.soup().select(".corbado-card")
    assert "127.0.0.1 (approximately Switzerland) · last seen just now" in words(card)


def test_without_addresses_and_user_agents_the_page_says_what_is_left(sqlite_url: str) -> None:
    site = DevicesSite(sqlite_url, CORBADO_SESSION_STORE_IP=False, CORBADO_SESSION_STORE_USER_AGENT=False)
    site.stolen()
    page = site.soup()
    assert "Unknown browser" in words(page.select(".corbado-card h2")[1])
    assert "127.0.0.1" not in page.get_text()
    assert not page.select(".corbado-alert li")


@pytest.mark.parametrize(
    ("persistent", "words_of_it"),
    [
        (True, "expires {end}, or {idle} if unused"),
        (False, "until the browser is closed; expires {end}, or {idle} if unused"),
    ],
)
def test_how_long_a_session_stays_is_said(site: DevicesSite, persistent: bool, words_of_it: str) -> None:
    bob = site.enter("bob", remember=persistent)
    end, idle = site.clock.at + timedelta(days=30), site.clock.at + timedelta(days=7)
    idle_day = day_of(idle, with_year=idle.year != end.year)
    assert words_of_it.format(end=day_of(end), idle=idle_day) in words(site.soup(client=bob))


def day_of(at: datetime, with_year: bool = True) -> str:
    return f"{at.day} {at.strftime('%B %Y' if with_year else '%B')}"


def test_what_ends_others_asks_first_without_script(site: DevicesSite) -> None:
    site.start(2, device=site.start(1))
    page = site.soup()
    asking = page.select("details.corbado-confirm:not([open]) > form")
    assert {str(form["action"]) for form in page.select("form[action$=revoke], form[action$=others]")} == {
        str(form["action"]) for form in asking
    }
    assert len(asking) == 5  # everything else, the other device, each of its three sessions
    for form in asking:
        assert words(form.select("p")[0]).startswith("This ends ")
        assert form.select("button[type=submit]")
    outside = {str(form["action"]).rpartition("/")[2] for form in page.select("main form") if form not in asking}
    assert outside == {"logout", "name"}


def test_a_copied_session_is_told_with_both_contexts_and_what_to_do(site: DevicesSite) -> None:
    site.stolen()
    page = site.soup()
    (alert,) = page.select(".corbado-alert")
    assert "A copy of one of your sessions was used" in words(alert)
    assert [words(item) for item in alert.select("li")] == [
        "Firefox on Linux, 127.0.0.1",
        "Chrome on Windows, 203.0.113.6",
    ]
    assert "change your password" in words(alert)
    assert "Ended because a copy of it was used, just now" in words(page.select(".corbado-history li")[0])
    (ended,) = site.alice.get(DEVICES, headers=JSON).get_json()["history"]
    assert ended["previous"] == {"ip": "203.0.113.6", "user_agent": CHROME}


@pytest.mark.parametrize(("days", "alerts"), [(13, 1), (14, 0)])
def test_a_copied_session_stands_on_top_for_14_days_and_in_the_history_after(
    sqlite_url: str, days: int, alerts: int
) -> None:
    site = DevicesSite(sqlite_url, CORBADO_SESSION_IDLE_TIMEOUT=None)
    site.stolen()
    site.clock.move(days=days)
    expire_short(site.alice)
    page = site.soup()
    assert len(page.select(".corbado-alert")) == alerts
    assert "Two browsers used the session of Firefox on Linux" in words(page.select(".corbado-history")[0])


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda site, other: other.post("/sign-out"), "Signed out on that device"),
        (lambda site, other: site.alice.post("/session/revoke-others"), "Signed out from another device"),
        (lambda site, other: site.enter("alice", client=other), "Replaced by a newer sign-in"),
    ],
)
def test_why_a_session_ended_is_said_in_words(site: DevicesSite, act: Any, reason: str) -> None:
    other = site.enter("alice", amr=["pwd", "otp"])
    act(site, other)
    (item,) = site.soup().select(".corbado-history li")
    assert words(item) == (
        f"{reason}, just now Chrome on Windows · signed in just now with password and one-time code · 127.0.0.1"
    )


# ---- the app's own language and look


def speak(app: Flask, newstyle: bool) -> None:
    """A language whose every letter is another one, as Flask-Babel (new style) or by hand."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    env: Any = app.jinja_env
    env.install_gettext_callables(
        lambda message: re.sub(r"(%\(\w+\)s)|[A-Za-z]", lambda found: found[1] or "ж", message),
        lambda one, many, n: one if n == 1 else many,
        newstyle=newstyle,
    )


@pytest.mark.parametrize("newstyle", [False, True])
def test_every_text_of_the_page_goes_through_the_apps_gettext(site: DevicesSite, newstyle: bool) -> None:
    site.stolen()
    site.start(25)
    site.start(12, device=site.start(1))
    site.enter("alice", amr=["pwd", "face", "mfa"]).post("/sign-out")
    site.sessions.ip_locator(lambda ip: "")
    speak(site.app, newstyle)
    for query in ("", "?page=2"):
        page = site.soup(query)
        shown = list(page.body.stripped_strings) if page.body else []
        shown += [str(page.title.string)] if page.title else []
        shown += [str(tag[name]) for name in ("title", "aria-label") for tag in page.select(f"[{name}]")]
        for known in ("Firefox on Linux", "Chrome on Windows", "Unknown browser", "Werkzeug"):
            shown = [text.replace(known, "") for text in shown]
        assert [text for text in shown if re.search("[A-Za-z]", text)] == []
        assert len(shown) > 100


@pytest.mark.parametrize("newstyle", [False, True])
def test_every_text_of_an_error_goes_through_it_too(site: DevicesSite, newstyle: bool) -> None:
    speak(site.app, newstyle)
    answer = site.alice.post("/session/revoke-others", headers={**PAGE, "Origin": "https://evil.example"})
    page = BeautifulSoup(answer.text, "html5lib")
    assert page.body
    assert not re.search("[A-Za-z]", page.body.get_text())


def test_a_template_of_the_same_name_wins(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "corbado_session"
    folder.mkdir(parents=True)
    (folder / "device.html").write_text('<b class="own">{{ card.device.title }}: {{ card.sessions|length }}</b>')
    site = DevicesSite(sqlite_url)
    site.app.template_folder = str(tmp_path / "templates")
    page = site.soup()
    assert [words(tag) for tag in page.select("b.own")] == ["Firefox on Linux: 1"]
    assert words(page.select("h1")[0]) == "Your devices"
