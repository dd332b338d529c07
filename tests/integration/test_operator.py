"""The operator pages over HTTP: who may see them, what they show, and what they revoke."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import html5lib
import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url
from werkzeug.test import TestResponse

from flask_corbado_session import session_revoked
from flask_corbado_session.model.clock import from_ms, to_ms
from flask_corbado_session.operators import log
from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from tests.support.apps import rows_of, statements
from tests.support.operators import (
    PAGE,
    add_device,
    add_sessions,
    an_operator,
    end_elsewhere,
    live_ids,
    now_of,
    operator_app,
    recorded,
)
from tests.support.tampering import flipped

PATHS = ("/", "/sessions", "/users", "/devices", "/actions", "/revoke?user=alice", f"/sessions/{'a' * 30}")


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    """An app with the pages at /operator, for those whose id begins with "operator"."""
    return operator_app(sqlite_url)[0]


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    """An operator's browser."""
    return an_operator(app)


def soup(answer: TestResponse, status: int = 200) -> BeautifulSoup:
    """A page, which is valid HTML."""
    assert answer.status_code == status, answer.text[:2000]
    html5lib.HTMLParser(strict=True).parse(answer.text)
    return BeautifulSoup(answer.text, "html5lib")


def look(client: FlaskClient, path: str, status: int = 200) -> BeautifulSoup:
    """A page of the operator's."""
    return soup(client.get(f"/operator{path}", headers=PAGE), status)


def send(client: FlaskClient, form: Tag) -> TestResponse:
    """What a browser sends when somebody presses the button of a form."""
    fields = {str(field["name"]): str(field.get("value", "")) for field in form.select("input[name]")}
    return client.post(str(form["action"]), data=fields, headers=PAGE)


def revoke(client: FlaskClient, link: Any) -> TestResponse:
    """Follow the link that asks, and press its button."""
    (form,) = soup(client.get(str(link["href"]), headers=PAGE)).select("form[method=post]")
    return send(client, form)


# ---- rights


@pytest.mark.parametrize("path", PATHS)
def test_a_user_who_is_not_allowed_gets_the_404_of_a_path_that_is_not_there(app: Flask, path: str) -> None:
    mallory = signed_in(app, "mallory")
    nowhere = mallory.get("/no-such-path", headers=PAGE)
    answer = mallory.get(f"/operator{path}", headers=PAGE)
    assert (answer.status_code, answer.text) == (404, nowhere.text)


def test_a_user_who_is_not_allowed_revokes_nothing(app: Flask) -> None:
    add_sessions(app, 2, add_device(app))
    mallory = signed_in(app, "mallory")
    assert mallory.post("/operator/revoke", data={"user": "alice"}).status_code == 404
    assert (len(live_ids(app, "alice")), recorded(app)) == (2, [])


@pytest.mark.parametrize("path", PATHS)
def test_a_visitor_is_sent_to_sign_in(sqlite_url: str, path: str) -> None:
    app = operator_app(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="/sign-in-here")[0]
    answer = app.test_client().get(f"/operator{path}", headers=PAGE)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in-here")
    script = app.test_client().get(f"/operator{path}")
    assert (script.status_code, script.get_json()["code"]) == (401, "unauthenticated")


def test_an_operator_whose_session_was_ended_is_out_at_once(app: Flask, operator: FlaskClient, sqlite_url: str) -> None:
    """Another process ended it; this one has not heard of it yet."""
    look(operator, "/")
    with app.app_context():
        end_elsewhere(app, "operator")
    assert operator.get("/operator/").status_code == 401


def test_allow_is_called_at_each_request_with_the_apps_own_user(sqlite_url: str) -> None:
    app, _, sessions = operator_app(sqlite_url)
    users: list[Any] = []

    @sessions.user_loader
    def load(user_id: str) -> Any:
        return {"name": user_id}

    async def allow(user: Any) -> bool:
        users.append(user)
        return len(users) < 2

    pages = sessions.operator_blueprint(allow)
    app.register_blueprint(pages, url_prefix="/other", name="other")
    client = signed_in(app, "alice")
    assert [client.get("/other/actions").status_code for _ in range(2)] == [200, 404]
    assert users == [{"name": "alice"}] * 2


def test_a_disabled_operator_is_signed_out(sqlite_url: str) -> None:
    app, _, sessions = operator_app(sqlite_url)
    operator = an_operator(app)
    sessions.user_loader(lambda user_id: None)
    assert operator.get("/operator/").status_code == 401
    assert live_ids(app) == set()


def test_a_page_of_another_origin_revokes_nothing(app: Flask, operator: FlaskClient) -> None:
    add_sessions(app, 1, add_device(app))
    foreign = {**PAGE, "Sec-Fetch-Site": "cross-site"}
    assert operator.post("/operator/revoke", data={"user": "alice"}, headers=foreign).status_code == 403
    assert (len(live_ids(app, "alice")), recorded(app)) == (1, [])


def test_a_get_asks_and_revokes_nothing(app: Flask, operator: FlaskClient) -> None:
    add_sessions(app, 3, add_device(app))
    page = look(operator, "/revoke?user=alice")
    assert "3 live sessions will be revoked" in " ".join(page.get_text().split())
    assert (len(live_ids(app, "alice")), recorded(app)) == (3, [])


def test_with_reauth_view_set_revoking_asks_for_a_recent_sign_in(sqlite_url: str) -> None:
    app = operator_app(sqlite_url, CORBADO_SESSION_REAUTH_VIEW="/confirm")[0]
    clock = move_clock(app)
    operator = an_operator(app)
    add_sessions(app, 1, add_device(app))
    clock.move(minutes=16)
    expire_short(operator)
    assert operator.get("/operator/revoke?user=alice", headers=PAGE).status_code == 200
    answer = operator.post("/operator/revoke", data={"user": "alice"}, headers=PAGE)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/confirm")
    assert (len(live_ids(app, "alice")), recorded(app)) == (1, [])


# ---- what is shown


def test_the_lists_show_who_is_signed_in_where(app: Flask, operator: FlaskClient) -> None:
    phone = add_device(app, browser="Safari", system="iPhone", device_type="phone", name="Anna's phone")
    (session_id,) = add_sessions(app, 1, phone)
    assert "Anna's phone of alice" in " ".join(look(operator, "/sessions").get_text().split())
    assert "alice 1 live session" in " ".join(look(operator, "/users").get_text().split())
    assert "Safari on iPhone · 1 live session" in " ".join(look(operator, "/devices").get_text().split())
    assert session_id in look(operator, f"/sessions/{session_id}").get_text()


NAMES = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "a b", 'ümläut:"x"', "%s&amp;"]


@pytest.mark.parametrize("name", NAMES, ids=["script", "image", "template", "blank", "quotes", "escapes"])
def test_names_with_markup_are_text_and_their_links_lead_to_them(app: Flask, operator: FlaskClient, name: str) -> None:
    device = add_device(app, name, name=name[:80], browser=name[:64], system="")
    add_sessions(app, 1, device, name, user_agent=name, amr=name.replace(" ", "")[:200])
    for path in ("/", "/sessions", "/users", "/devices"):
        page = look(operator, path)
        assert not page.select("main script, main img")
    (link,) = [link for link in look(operator, "/users").select("ul a") if link.get_text() == name]
    page = soup(operator.get(str(link["href"]), headers=PAGE))
    assert name in page.get_text()
    assert revoke(operator, page.select("section a.corbado-button")[0]).status_code == 303
    assert (live_ids(app, name), recorded(app)[0].target) == (set(), name)
    assert name in look(operator, "/actions").get_text()


def test_a_long_list_has_pages_that_miss_nothing(app: Flask, operator: FlaskClient) -> None:
    ids = set(add_sessions(app, 120, add_device(app)))
    seen: list[str] = []
    path = "/operator/sessions?q=ip:192.0.2.7&sort=old"
    while path:
        page = soup(operator.get(path, headers=PAGE))
        seen += [str(link["href"]).rpartition("/")[2] for link in page.select("ul.corbado-rows p > a:first-child")]
        path = next((str(link["href"]) for link in page.select("a[rel=next]")), "")
    assert (len(seen), set(seen)) == (120, ids)


@pytest.mark.parametrize("kind", ["sessions", "users", "devices"])
@pytest.mark.parametrize(("text", "field"), [("colour:red", "colour"), ("alice", "q"), ("before:soon", "before")])
def test_a_search_outside_the_grammar_is_rejected_by_name(
    operator: FlaskClient, kind: str, text: str, field: str
) -> None:
    answer = operator.get(f"/operator/{kind}", query_string={"q": text})
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)
    page = soup(operator.get(f"/operator/{kind}", query_string={"q": text}, headers=PAGE), 400)
    assert page.select_one("input[name=q][aria-invalid=true][aria-describedby=wrong-search]")["value"] == text  # type: ignore[index]
    assert page.select_one("#wrong-search").get_text()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/sessions?sort=ip", "sort"),
        ("/users?sort=new", "sort"),
        ("/sessions?page=x", "page"),
        ("/actions?page=1", "page"),
    ],
)
def test_an_invalid_order_or_page_is_rejected_by_name(operator: FlaskClient, path: str, field: str) -> None:
    answer = operator.get(f"/operator{path}")
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)


def cursor(app: Flask, operator: FlaskClient, path: str = "/sessions?q=user:alice") -> str:
    """The cursor of the second page of a list."""
    add_sessions(app, 60, add_device(app))
    (link,) = look(operator, path).select("a[rel=next]")
    match = re.search(r"page=([^&]+)", str(link["href"]))
    assert match is not None
    return match[1]


def test_a_cursor_is_valid_for_its_own_list_search_and_order_only(app: Flask, operator: FlaskClient) -> None:
    page = cursor(app, operator)
    assert operator.get(f"/operator/sessions?q=user:alice&page={page}").status_code == 200
    for path in (
        "sessions?",
        "sessions?q=user:bob&",
        "sessions?q=user:alice&sort=old&",
        "devices?q=user:alice&",
        "actions?",
    ):
        answer = operator.get(f"/operator/{path}page={page}")
        assert (answer.status_code, answer.get_json()["field"]) == (400, "page")


@pytest.mark.parametrize("place", [0, 5, -1], ids=["first character", "sixth character", "last character"])
def test_a_cursor_that_was_tampered_with_is_rejected(app: Flask, operator: FlaskClient, place: int) -> None:
    page = flipped(cursor(app, operator), place)
    answer = operator.get("/operator/sessions", query_string={"q": "user:alice", "page": page})
    assert (answer.status_code, answer.get_json()["field"]) == (400, "page")


def test_an_id_of_no_session_is_404(operator: FlaskClient) -> None:
    session_ids = ["a" * 30, "x", "a" * 31, "%00" * 30, "-" * 30, "ä" * 30]
    answers = {value: operator.get(f"/operator/sessions/{value}", headers=PAGE).status_code for value in session_ids}
    assert answers == dict.fromkeys(session_ids, 404)


def test_the_charts_are_pictures_and_tables_of_the_same_numbers(app: Flask, operator: FlaskClient) -> None:
    add_sessions(app, 4, add_device(app))
    for figure in look(operator, "/").select("figure"):
        (picture,) = figure.select("svg[role=img]")
        named = str(picture["aria-labelledby"]).split()
        assert [picture.select_one(f"#{name}").name for name in named] == ["title", "desc"]  # type: ignore[union-attr]
        bars = [bar.get_text().rpartition(": ")[2] for bar in picture.select("rect title")]
        cells = [cell.get_text() for cell in figure.select("tbody td")]
        assert (len(bars), bars[::-1], bars[-1]) == (30, cells, "5")


def test_nothing_on_the_pages_needs_script_or_style_of_its_own(app: Flask, operator: FlaskClient) -> None:
    add_sessions(app, 2, add_device(app))
    for path in ("/", "/sessions", "/users", "/devices", "/actions", "/revoke?user=alice"):
        page = look(operator, path)
        assert not page.select("script, style, [style], [onclick], [onsubmit]")
        for sheet in page.select("link[rel=stylesheet]"):
            assert operator.get(str(sheet["href"]), buffered=True).status_code == 200


def test_the_overview_reads_the_days_at_most_once_a_minute(sqlite_url: str) -> None:
    app = operator_app(sqlite_url)[0]
    clock = move_clock(app)
    operator = an_operator(app)
    look(operator, "/")
    with statements(app) as soon:
        look(operator, "/")
    clock.move(minutes=2)
    with statements(app) as later:
        look(operator, "/")
    counting = [len([stmt for stmt in seen if "count(*)" in stmt]) for seen in (soon, later)]
    assert counting == [0, 2]


def test_users_are_shown_by_the_names_that_the_app_gives_them(sqlite_url: str) -> None:
    requested: list[set[str]] = []

    def display_names(user_ids: Collection[str]) -> dict[str, str]:
        requested.append(set(user_ids))
        return {"alice": "Alice <b>Liddell</b>", "operator": "Olga"}

    app = operator_app(sqlite_url, display_names=display_names)[0]
    operator = an_operator(app)
    (session_id,) = add_sessions(app, 1, add_device(app))
    for path in ("/users", "/devices", "/sessions?q=user:alice", f"/sessions/{session_id}", "/revoke?user=alice"):
        assert "Alice <b>Liddell</b>" in look(operator, path).get_text()
    location = operator.post("/operator/revoke", data={"user": "alice"}, headers=PAGE).location
    text = " ".join(soup(operator.get(location, headers=PAGE)).get_text().split())
    assert "Done: all sessions of the user Alice <b>Liddell</b>, 1 session revoked." in text
    assert "Olga: all sessions of the user Alice" in text
    assert requested[0] == {"operator", "alice"}


# ---- revoking


def test_revoking_a_session_ends_that_one_everywhere_and_is_recorded(app: Flask, operator: FlaskClient) -> None:
    alice, again = signed_in(app, "alice"), signed_in(app, "alice")
    session_id = alice.get("/session").get_json()["session_id"]
    with statements(app) as seen:
        answer = operator.post("/operator/revoke", data={"session": session_id}, headers=PAGE)
    assert answer.status_code == 303
    assert [alice.get("/protected").status_code, again.get("/protected").status_code] == [401, 200]
    (action,) = recorded(app)
    assert (action.operator_id, action.via, action.action) == ("operator", "page", "revoke_session")
    assert (action.target, action.sessions, action.at <= now_of(app)) == (session_id, 1, True)
    assert [verb for verb in seen.verbs if verb != "SELECT"] == ["INSERT", "UPDATE", "UPDATE"]


def test_signing_out_a_device_ends_every_session_on_it(app: Flask, operator: FlaskClient) -> None:
    device = add_device(app)
    add_sessions(app, 3, device)
    kept = add_sessions(app, 1, add_device(app))
    (link,) = look(operator, f"/sessions?q=device:{device}").select("section a.corbado-button")
    answer = revoke(operator, link)
    assert live_ids(app, "alice") == set(kept)
    (status,) = soup(operator.get(answer.location, headers=PAGE)).select("[role=status]")
    assert "3 sessions revoked" in status.get_text()
    assert (recorded(app)[0].action, recorded(app)[0].target) == ("revoke_device", device)


def test_signing_out_a_user_ends_all_their_sessions_and_leads_back(app: Flask, operator: FlaskClient) -> None:
    alice = signed_in(app, "alice")
    kept = add_sessions(app, 1, add_device(app, "bob"), "bob")
    (link,) = [link for link in look(operator, "/users").select("a.corbado-button") if "alice" in link.get_text()]
    answer = revoke(operator, link)
    assert alice.get("/protected").status_code == 401
    assert live_ids(app, "bob") == set(kept)
    assert re.fullmatch(r"/operator/users\?done=\w{30}", answer.location)


def test_the_signal_says_that_an_operator_did_it(app: Flask, operator: FlaskClient) -> None:
    (session_id,) = add_sessions(app, 1, add_device(app))
    heard: list[Any] = []

    def hear(sender: Any, **facts: Any) -> None:
        heard.append((sender, facts["session_ids"], facts["reason"]))

    with session_revoked.connected_to(hear):
        operator.post("/operator/revoke", data={"session": session_id})
        operator.post("/operator/revoke", data={"before": "2999-01-01"})
    assert heard == [(app, [session_id], "operator")]


def test_revoking_an_ended_session_is_no_error_and_is_recorded_with_zero_sessions(
    app: Flask, operator: FlaskClient
) -> None:
    (session_id,) = add_sessions(app, 1, add_device(app), ended_at=1, end_reason="reuse")
    assert operator.post("/operator/revoke", data={"session": session_id}).status_code == 303
    assert recorded(app)[0].sessions == 0


def test_all_sessions_before_a_time_end_but_newer_ones_and_the_operators_own(
    app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH", 3)
    device, then = add_device(app), now_of(app) - 3_600_000
    old = add_sessions(app, 10, device, created_at=then - 20_000)
    newer = add_sessions(app, 2, device, created_at=then)
    idle = add_sessions(app, 1, device, created_at=then - 5, idle_expires_at=then)
    answer = operator.post("/operator/revoke", data={"before": from_ms(then).isoformat()}, headers=PAGE)
    assert answer.status_code == 303
    assert live_ids(app, "alice") == {*newer, *idle}
    assert (recorded(app)[0].action, recorded(app)[0].sessions) == ("revoke_before", len(old))
    operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers=PAGE)
    assert live_ids(app, "alice") == set(idle)
    look(operator, "/")


def test_those_ended_by_a_time_are_out_at_once_in_this_process(app: Flask, operator: FlaskClient) -> None:
    alice = signed_in(app, "alice")
    assert alice.get("/protected").status_code == 200
    operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers=PAGE)
    assert alice.get("/protected").status_code == 401


def test_a_time_that_lies_ahead_means_now(app: Flask, operator: FlaskClient) -> None:
    page = look(operator, "/revoke?before=2999-01-01")
    assert "2999" not in page.get_text()
    before = now_of(app)
    operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers=PAGE)
    meant = to_ms(datetime.fromisoformat(recorded(app)[0].target))
    assert before <= meant <= now_of(app)


def test_what_takes_longer_is_continued_and_counted_as_one_action(
    app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH", 4)
    monkeypatch.setattr(log, "TIME_LIMIT", 0.0)
    add_sessions(app, 10, add_device(app))
    answer = operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers=PAGE)
    seen = []
    while answer.status_code == 200:
        seen.append(len(live_ids(app, "alice")))
        (form,) = soup(answer).select("form[method=post]")
        answer = send(operator, form)
    assert seen == [7, 3]  # the first batch held the operator's own, which stays
    assert [(action.action, action.sessions) for action in recorded(app)] == [("revoke_before", 10)]


def test_only_the_operator_who_began_can_continue_and_only_with_the_same_time(
    app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH", 2)
    monkeypatch.setattr(log, "TIME_LIMIT", 0.0)
    add_sessions(app, 3, add_device(app))
    (form,) = soup(operator.post("/operator/revoke", data={"before": "2999-01-01"}, headers=PAGE)).select(
        "form[method=post]"
    )
    fields = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    other = an_operator(app, "operator-2")
    changes: list[tuple[FlaskClient, dict[str, str]]] = [(other, {}), (operator, {"before": "2026-01-02"})]
    for client, changed in changes:
        answer = client.post("/operator/revoke", data=fields | changed)
        assert (answer.status_code, answer.get_json()["field"]) == (400, "cursor")
    assert len(recorded(app)) == 1


def test_revoking_the_operators_own_session_signs_them_out(app: Flask, operator: FlaskClient) -> None:
    answer = operator.post("/operator/revoke", data={"user": "operator"}, headers=PAGE)
    assert answer.status_code == 303
    assert [name for name in ("cbo_short_session", "cbo_long_session") if operator.get_cookie(name)] == []
    assert recorded(app)[0].sessions == 1


BAD: list[tuple[dict[str, str], int, str | None]] = [
    ({}, 400, "before"),
    ({"user": "a", "device": "b"}, 400, "user"),
    ({"user": "a" * 256}, 400, "user"),
    ({"user": "a\0"}, 400, "user"),
    ({"before": "soon"}, 400, "before"),
    ({"before": "2026-01-01", "cursor": "x.y"}, 400, "cursor"),
    ({"session": "x"}, 404, None),
    ({"session": "a" * 30}, 404, None),
    ({"device": "a" * 30}, 404, None),
    ({"device": "'; DROP TABLE corbado_session --"}, 404, None),
]


def test_bad_input_revokes_nothing_and_is_not_recorded(app: Flask, operator: FlaskClient) -> None:
    before = live_ids(app)

    def result(answer: TestResponse) -> tuple[int, str | None]:
        return answer.status_code, answer.get_json().get("field")

    posted = [(fields, *result(operator.post("/operator/revoke", data=fields))) for fields, _, _ in BAD]
    assert posted == BAD
    shown = [row for row in BAD if "cursor" not in row[0]]
    confirmed = [(fields, *result(operator.get("/operator/revoke", query_string=fields))) for fields, _, _ in shown]
    assert confirmed == shown
    assert (live_ids(app), recorded(app)) == (before, [])


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_it_leads_back_to_this_site_only(app: Flask, operator: FlaskClient, back: str) -> None:
    answer = operator.post("/operator/revoke", data={"user": "alice", "back": back}, headers=PAGE)
    assert answer.location.startswith("/operator/actions?done=")
    page = look(operator, f"/revoke?user=alice&back={back}")
    assert "evil" not in str(page)


def test_only_the_operator_who_acted_is_told_the_result(app: Flask, operator: FlaskClient) -> None:
    location = operator.post("/operator/revoke", data={"user": "alice"}, headers=PAGE).location
    assert soup(operator.get(location, headers=PAGE)).select("[role=status]")
    assert not soup(an_operator(app, "operator-2").get(location, headers=PAGE)).select("[role=status]")
    assert not look(operator, f"/actions?done={'a' * 30}").select("[role=status]")


def test_the_record_has_pages(app: Flask, operator: FlaskClient) -> None:
    for n in range(55):
        operator.post("/operator/revoke", data={"user": f"user-{n}"})
    first = look(operator, "/actions")
    (link,) = first.select("a[rel=next]")
    second = soup(operator.get(str(link["href"]), headers=PAGE))
    assert [len(page.select("ul.corbado-rows > li")) for page in (first, second)] == [50, 5]
    assert "user-54" in first.get_text()
    assert "operator: all sessions of the user user-0" in " ".join(second.get_text().split())


def test_with_the_database_down_the_pages_are_503_and_nothing_changes(
    app: Flask, operator: FlaskClient, sqlite_url: str
) -> None:
    path = Path(str(make_url(sqlite_url).database))
    look(operator, "/")
    rows_of(app).database.dispose()
    away = path.rename(path.with_suffix(".away"))
    path.mkdir()
    for answer in (operator.get("/operator/sessions"), operator.post("/operator/revoke", data={"user": "alice"})):
        assert (answer.status_code, answer.get_json()["code"]) == (503, "session_store_unavailable")
    path.rmdir()
    away.rename(path)
    assert recorded(app) == []


def test_two_apps_of_one_extension_record_actions_apart(tmp_path: Path) -> None:
    one, other = (operator_app(f"sqlite:///{tmp_path / name}")[0] for name in ("one", "other"))
    an_operator(one).post("/operator/revoke", data={"user": "alice"})
    assert (len(recorded(one)), recorded(other)) == (1, [])


def test_the_pages_work_without_the_routes_of_the_prefix(sqlite_url: str) -> None:
    app = operator_app(sqlite_url, CORBADO_SESSION_URL_PREFIX=None)[0]
    assert not look(an_operator(app), "/sessions").select("link")


def test_a_copy_of_an_operators_cookies_is_an_operator_until_the_session_ends(
    app: Flask, operator: FlaskClient
) -> None:
    thief = copy_jar(operator)
    assert thief.get("/operator/actions").status_code == 200
    operator.post("/sign-out")
    assert thief.get("/operator/actions").status_code == 401


def test_a_user_who_is_not_allowed_gets_the_apps_own_404_page(sqlite_url: str) -> None:
    app = operator_app(sqlite_url)[0]
    app.register_error_handler(404, lambda error: ("our own page", 404))
    assert signed_in(app, "mallory").get("/operator/").text == "our own page"
