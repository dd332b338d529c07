"""The four types of app over HTTP: the API of the page on the same host, and the three processes together."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import html5lib
import psutil
import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from demo_site import create_app, instance
from demo_site.addresses import Addresses
from flask_corbado_session import SettingsError, generate_keys
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp, sign_in
from tests.support.demo import Secret, WholeDemo, free_ports, is_taken, running

NOTES = "/spa/api/notes"
HERE = Addresses()
STRANGE_IDS = [0, 2, 2**31, 2**63, 10**30, -1, "²", "1.0", "x"]
NEW = {"email": "ada@example.com", "password": "a sound password"}


# ---- the pages


@pytest.mark.parametrize("path", ["/spa", "/app-types"])
def test_the_new_pages_are_for_everybody_and_valid_html(client: FlaskClient, signed_in: FlaskClient, path: str) -> None:
    for browser in (client, signed_in):
        answer = browser.get(path, headers=PAGE)
        assert answer.status_code == 200
        html5lib.HTMLParser(strict=True).parse(answer.text)


@pytest.mark.parametrize("path", ["/spa", "/app-types"])
def test_nothing_of_theirs_is_inline_or_from_elsewhere(signed_in: FlaskClient, path: str) -> None:
    page = BeautifulSoup(signed_in.get(path, headers=PAGE).text, "html5lib")
    assert not page.find_all("style")
    assert not page.find_all(lambda tag: any(name == "style" or name.startswith("on") for name in tag.attrs))
    sources = [str(tag.get("src") or tag.get("href")) for tag in page.find_all(["script", "link", "img"])]
    assert all(source.startswith("/") for source in sources)


def test_the_page_of_types_links_each_live_example(signed_in: FlaskClient) -> None:
    page = BeautifulSoup(signed_in.get("/app-types", headers=PAGE).text, "html5lib")
    links = {str(link["href"]) for link in page.select("main article a[href]")}
    assert links == {"/dashboard", "/spa", f"{HERE.app}/", f"{HERE.orders}/"}
    assert [signed_in.get(path).status_code for path in ("/dashboard", "/spa")] == [200, 200]


def test_every_page_leads_to_the_types(client: FlaskClient) -> None:
    page = BeautifulSoup(client.get("/", headers=PAGE).text, "html5lib")
    assert page.select_one('nav a[href="/app-types"]')


# ---- the API of the page on the same host


def test_a_note_is_added_changed_listed_and_removed(signed_in: FlaskClient) -> None:
    added = signed_in.post(NOTES, json={"text": " Buy bread "})
    assert (added.status_code, added.location) == (201, f"{NOTES}/1")
    changed = {"id": 1, "text": "Buy rye bread", "done": True}
    assert signed_in.put(f"{NOTES}/1", json={"text": "Buy rye bread", "done": True}).get_json() == changed
    assert signed_in.get(NOTES).get_json() == {"notes": [changed]}
    assert signed_in.delete(f"{NOTES}/1").status_code == 204
    assert signed_in.get(NOTES).get_json() == {"notes": []}


def test_what_is_not_ones_own_is_not_there(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    other = signed_in.application.test_client()
    other.post("/sign-up", data=NEW)
    other.post(NOTES, json={"text": "Ada's"})
    for note_id, method in itertools.product([1, *STRANGE_IDS], ["PUT", "DELETE"]):
        with subtests.test(note_id=note_id, method=method):
            answer = signed_in.open(f"{NOTES}/{note_id}", method=method, json={"text": "mine now"})
            assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
            assert [note["text"] for note in other.get(NOTES).get_json()["notes"]] == ["Ada's"]
            assert signed_in.get(NOTES).get_json() == {"notes": []}


def test_an_id_that_is_no_number_python_reads_is_an_error_with_a_code(signed_in: FlaskClient) -> None:
    answer = signed_in.delete(f"{NOTES}/{'9' * 5000}")
    assert (answer.status_code, answer.get_json()["code"]) == (405, "method_not_allowed")


BODIES: list[Any] = [
    {"json": None},
    {"json": ["text"]},
    {"json": {}},
    {"json": {"text": ""}},
    {"json": {"text": "   "}},
    {"json": {"text": "x" * 201}},
    {"json": {"text": 1}},
    {"json": {"text": "two\nlines"}},
    {"json": {"text": "\0"}},
    {"data": b'{"text": "\\ud800"}', "content_type": "application/json"},
    {"json": {"text": "right", "done": 1}},
    {"data": b"{", "content_type": "application/json"},
    {"data": b"\xff\xfe", "content_type": "application/json"},
    {"data": b"[" * 100_000, "content_type": "application/json"},
    {"data": {"text": "a form"}},
    {"data": b'{"text": "no type"}'},
]


def test_a_body_that_is_no_note_is_refused_with_a_code(subtests: pytest.Subtests, signed_in: FlaskClient) -> None:
    for body in BODIES:
        with subtests.test(body=body):
            for method, path in (("POST", NOTES), ("PUT", f"{NOTES}/1")):
                answer = signed_in.open(path, method=method, **body)
                assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_note")
            assert signed_in.get(NOTES).get_json() == {"notes": []}


def test_a_user_has_fifty_notes_at_most(signed_in: FlaskClient) -> None:
    answers = [signed_in.post(NOTES, json={"text": "again"}) for _ in range(51)]
    assert [answer.status_code for answer in answers] == [201] * 50 + [409]
    assert answers[-1].get_json()["code"] == "too_many_notes"


def test_the_api_answers_nobody_with_a_401_and_never_with_a_page(
    subtests: pytest.Subtests, client: FlaskClient
) -> None:
    for accept in ["*/*", "text/html", "application/json"]:
        with subtests.test(accept=accept):
            answer = client.get(NOTES, headers={"Accept": accept, "Sec-Fetch-Mode": "cors"})
            assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")
            assert client.get(f"{NOTES}/x/y", headers={"Accept": accept}).get_json()["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_a_call_without_the_short_session_is_served_and_brings_a_new_one(signed_in: FlaskClient, method: str) -> None:
    signed_in.post(NOTES, json={"text": "first"})
    signed_in.delete_cookie("cbo_short_session")
    path = NOTES if method in ("POST", "GET") else f"{NOTES}/1"
    answer = signed_in.open(path, method=method, json={"text": "second"} if method in ("POST", "PUT") else None)
    assert answer.status_code in (200, 201, 204)
    assert any(cookie.startswith("cbo_short_session=") for cookie in answer.headers.getlist("Set-Cookie"))


def test_a_page_of_another_origin_changes_nothing(signed_in: FlaskClient) -> None:
    for origin in ("http://evil.example", HERE.app):  # the one that may refresh may not write here either
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-site"}
        answer = signed_in.post(NOTES, json={"text": "theirs"}, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")
    assert signed_in.get(NOTES).get_json() == {"notes": []}


# ---- the session host: keys, the way back


def test_a_first_run_makes_a_key_file_for_its_owner_that_signs_the_short_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path / "instance"))
    client = sign_in(create_app().test_client())
    file = tmp_path / "instance" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    published = client.get("/.well-known/jwks.json").get_json()["keys"]
    assert [(key["kty"], key["alg"], "d" in key) for key in published] == [("RSA", "RS256", False)]
    create_app()
    assert file.read_bytes() == before


def test_of_two_first_runs_the_second_finds_the_signing_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def somebody_was_faster(path: Path) -> None:
        generate_keys(path)
        generate_keys(path)

    monkeypatch.setattr(instance, "generate_keys", somebody_was_faster)
    assert instance.find_or_create_signing_keys(tmp_path).exists()


def test_without_a_place_for_the_keys_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "keys.json").symlink_to(tmp_path / "nowhere" / "else" / "keys.json")
    with pytest.raises(SettingsError, match=r"keys\.json can't be written"):
        instance.find_or_create_signing_keys(tmp_path)


def test_signing_in_leads_back_to_the_other_host_and_to_no_foreign_one(client: FlaskClient) -> None:
    there = f"{HERE.app}/"
    form = BeautifulSoup(client.get(f"/sign-in?{urlencode({'next': there})}").text, "html5lib").form
    assert form is not None
    kept = form.select_one("[name=next]")
    assert kept is not None
    assert kept["value"] == there
    assert client.post("/sign-in", data={**CREDENTIALS, "next": there}).location == there
    for foreign in ("http://evil.example/", f"{HERE.app}.evil.example/", HERE.orders + "/"):
        assert client.post("/sign-in", data={**CREDENTIALS, "next": foreign}).location == "/dashboard"


@pytest.mark.parametrize(
    "origins", [["https://a.example", "https://b.example"], "https://a.example, https://b.example"]
)
def test_forms_may_lead_to_the_allowed_origins(make_app: MakeApp, origins: list[str] | str) -> None:
    client = make_app(CORBADO_SESSION_CORS_ORIGINS=origins).test_client()
    policy = client.get("/sign-in").headers["Content-Security-Policy"]
    assert "form-action 'self' https://a.example https://b.example;" in policy


def test_the_addresses_follow_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    at = Addresses.from_environment()
    assert (at.site, at.app) == ("http://localhost:9000", "http://app.demo.localhost:9001")
    assert (at.auth, at.orders) == ("http://auth.demo.localhost:9000", "http://orders.demo.localhost:9002")


def test_a_port_that_is_none_is_refused_by_name(subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch) -> None:
    for port in ["", "0", "65534", "x", "-1", "1.5", "²", "9" * 5000]:
        with subtests.test(port=port):
            monkeypatch.setenv("PORT", port)
            with pytest.raises(ValueError, match=r"^PORT must be a number from 1 to 65533"):
                Addresses.from_environment()


# ---- the three together


@dataclass
class Answer:
    status: int
    headers: HTTPMessage = field(repr=False)
    body: str = field(repr=False)

    @property
    def has_token(self) -> bool:
        return "token" in json.loads(self.body)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with running(tmp_path_factory.mktemp("whole") / "instance") as addresses:
        yield addresses


@pytest.fixture(scope="module")
def cookies(demo: Addresses) -> Secret:
    """What a browser of the prepared user sends to the session host."""
    form = urlencode(CREDENTIALS), {"Content-Type": "application/x-www-form-urlencoded"}
    with closing(HTTPConnection("127.0.0.1", demo.port, timeout=10)) as connection:
        connection.request("POST", "/sign-in", *form)
        answer = connection.getresponse()
        jar = SimpleCookie()
        for header in answer.headers.get_all("Set-Cookie", []):
            jar.load(header)
    return Secret("; ".join(f"{name}={cookie.value}" for name, cookie in jar.items()))


@pytest.fixture(scope="module")
def token(demo: Addresses, cookies: Secret) -> Secret:
    """What the page on the other host is given."""
    answer = ask(demo.auth, "POST", "/session/refresh", Cookie=cookies, Origin=demo.app)
    return Secret(json.loads(answer.body)["token"])


def ask(origin: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request to one of the three; an underscore in a header's name is a dash."""
    host = origin.removeprefix("http://")
    sent = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body is not None:
        sent["Content-Type"] = "application/json"
    with closing(HTTPConnection("127.0.0.1", int(host.partition(":")[2]), timeout=10)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())


def order(demo: Addresses, token: Secret, body: object = None, **headers: str) -> Answer:
    method = "GET" if body is None else "POST"
    return ask(demo.orders, method, "/orders", body, Authorization=f"Bearer {token}", **headers)


def test_the_token_is_given_to_the_page_of_the_other_host_alone(demo: Addresses, cookies: Secret) -> None:
    for origin in (f"http://evil.demo.localhost:{demo.port + 1}", demo.orders, "null", demo.app + ".evil.example"):
        answer = ask(demo.auth, "POST", "/session/refresh", Cookie=cookies, Origin=origin)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert not answer.has_token
    own = ask(demo.auth, "POST", "/session/refresh", Cookie=cookies, Origin=demo.auth)
    assert (own.status, own.has_token) == (200, False)


def test_the_other_host_serves_a_page_its_script_and_the_module_under_a_strict_policy(demo: Addresses) -> None:
    page = ask(demo.app, "GET", "/")
    html5lib.HTMLParser(strict=True).parse(page.body)
    policy = page.headers["Content-Security-Policy"]
    assert f"connect-src 'self' {demo.auth} {demo.orders};" in policy
    assert "script-src 'self';" in policy
    module = ask(demo.app, "GET", "/corbado-session.js")
    assert module.headers["Content-Type"].startswith("text/javascript")
    assert module.body == ask(demo.auth, "GET", "/session/static/corbado-session.js").body
    assert "Set-Cookie" not in page.headers


def test_the_service_takes_orders_with_a_bearer(demo: Addresses, token: Secret) -> None:
    assert json.loads(order(demo, token, {"item": "coffee"}).body)["orders"][0] == "Coffee"
    answer = json.loads(order(demo, token).body)
    assert (answer["email"], answer["orders"][0]) == (CREDENTIALS["email"], "Coffee")


def test_what_is_not_on_the_menu_is_refused_with_a_code(
    subtests: pytest.Subtests, demo: Addresses, token: Secret
) -> None:
    rows: list[object] = [None, [], {}, {"item": 1}, {"item": "wine"}, {"item": ["coffee"]}]
    for sent in rows:
        with subtests.test(sent=sent):
            answer = ask(demo.orders, "POST", "/orders", sent, Authorization=f"Bearer {token}")
            assert (answer.status, json.loads(answer.body)["code"]) == (422, "not_on_the_menu")


def test_the_service_knows_no_cookie(demo: Addresses, cookies: Secret) -> None:
    assert ask(demo.orders, "GET", "/orders", Cookie=cookies).status == 401


def test_the_service_refuses_a_token_that_was_changed(demo: Addresses, token: Secret) -> None:
    head, body, signature = token.split(".")
    answer = order(demo, Secret(f"{head}.{body}.{signature[::-1]}"))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_service_shows_a_person_a_page(demo: Addresses) -> None:
    for path, status in (("/", 200), ("/orders", 401)):
        page = ask(demo.orders, "GET", path, Accept="text/html", Sec_Fetch_Mode="navigate")
        assert page.status == status
        html5lib.HTMLParser(strict=True).parse(page.body)


def test_the_service_lets_only_the_apps_page_read_its_answers(demo: Addresses, token: Secret) -> None:
    for origin, allowed in ((demo.app, demo.app), (demo.auth, None), ("http://evil.example", None), ("null", None)):
        for answer in (order(demo, token, Origin=origin), ask(demo.orders, "OPTIONS", "/orders", Origin=origin)):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in answer.headers


# ---- starting and stopping


@pytest.fixture
def started(tmp_path: Path) -> Iterator[WholeDemo]:
    demo = WholeDemo(tmp_path / "instance")
    yield demo
    demo.stop()


def children(demo: WholeDemo) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(demo.process.pid).children()
    return found


def all_gone(demo: WholeDemo, processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not alive and not any(is_taken(demo.addresses.port + each) for each in range(3))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_the_three_are_and_stops_them_when_told(started: WholeDemo, number: signal.Signals) -> None:
    said, at = started.said(), started.addresses
    for line, address in zip(said, (at.site, at.app, at.orders), strict=False):
        assert address in line
    running = children(started)
    assert (len(running), len(said)) == (3, 4)
    assert f"http://localhost:{at.port}" in said[0]
    home = ask(at.site, "GET", "/")
    assert (home.status, home.headers["Server"]) == (200, None)
    started.process.send_signal(number)
    assert started.process.wait(20) == 0
    assert all_gone(started, running)
    assert started.instance.exists()
    assert "Traceback" not in started.errors.read_text()


def test_it_stops_those_that_do_not_serve_yet(started: WholeDemo) -> None:
    while len(running := children(started)) < 3:
        time.sleep(0.02)
    started.process.terminate()
    assert started.process.wait(20) == 0
    assert all_gone(started, running)


@pytest.mark.parametrize("which", [0, 2])
def test_when_one_dies_the_others_are_stopped_too(started: WholeDemo, which: int) -> None:
    started.said()
    running = children(started)
    running[which].kill()
    assert started.process.wait(20) == 1
    assert all_gone(started, running)
    assert "has exited, so the other servers are stopped too." in started.errors.read_text()


def test_when_it_is_killed_itself_the_three_end(started: WholeDemo) -> None:
    started.said()
    running = children(started)
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait(20)
    assert all_gone(started, running)


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_that_is_taken_stops_all_and_is_named(tmp_path: Path, which: int) -> None:
    port = free_ports()
    with socket.create_server(("127.0.0.1", port + which)):
        demo = WholeDemo(tmp_path / "instance", port=port)
        assert len(demo.said()) < 4
        assert demo.process.wait(20) == 1
        demo.stop()
    said = demo.errors.read_text()
    assert f"cannot listen on port {port + which}" in said
    assert "Traceback" not in said
    assert all_gone(demo, [])
