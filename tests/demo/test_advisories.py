"""Public failures that the demo must not repeat: forms without limits, the debugger, time that tells, rate limits.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session.testing import move_clock
from tests.demo.conftest import CREDENTIALS, PAGE, MakeApp
from tests.demo.passkeys import add, code, confirm, sign_up
from tests.support.demo import running

FORMS = ["/sign-in", "/sign-up"]
MULTIPART = "multipart/form-data; boundary=x"


def a_part(name: str, content: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + content + b"\r\n"


# ---- what a form may cost


@pytest.mark.parametrize("path", FORMS)
def test_cve_2023_25577_a_form_of_very_many_parts_is_refused(client: FlaskClient, path: str) -> None:
    """Werkzeug parsed as many parts as came, each with work of its own."""
    parts = b"".join(a_part(f"field{number}", b"") for number in range(10_000))
    assert len(parts) < 1024 * 1024
    answer = client.post(path, data=parts + b"--x--\r\n", content_type=MULTIPART, headers=PAGE)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", FORMS)
def test_cve_2023_46136_a_part_of_line_ends_costs_no_more_than_another(client: FlaskClient, path: str) -> None:
    """Werkzeug searched a part that begins with CR or LF for its boundary again at each chunk: hours for megabytes."""

    def cost(content: bytes, length: int) -> tuple[float, int]:
        began = time.thread_time()
        body = a_part("email", content * (length // len(content)))
        status = client.post(path, data=body, content_type=MULTIPART, headers=PAGE).status_code
        return time.thread_time() - began, status

    for content in (b"\r\n", b"\n", b"\r", b"\r\n--"):
        seconds, status = cost(content, 1_000_000)
        assert (seconds < 5, status) in ((True, 413), (True, 422))
        assert cost(content, 8_000_000)[1] == 413


@pytest.mark.parametrize("path", FORMS)
def test_cve_2024_49767_a_field_that_is_no_file_is_not_held_in_memory(client: FlaskClient, path: str) -> None:
    """Werkzeug: ``MAX_FORM_MEMORY_SIZE`` was not counted in multipart forms. Others may be as long as any body."""
    for content_type, data in (
        (MULTIPART, a_part("email", b"x" * 200_000) + b"--x--\r\n"),
        ("application/x-www-form-urlencoded", b"email=" + b"x" * 1024 * 1024),
    ):
        assert client.post(path, data=data, content_type=content_type, headers=PAGE).status_code == 413


def test_cve_2024_34069_the_demo_has_no_debugger_even_where_the_environment_asks(tmp_path: Path) -> None:
    """Werkzeug: a developer's browser could be led to the debugger, whose console runs code."""
    with running(tmp_path / "instance", {"FLASK_DEBUG": "1", "FLASK_ENV": "development"}) as at:
        for path in (
            "/console",
            "/?__debugger__=yes&cmd=resource&f=debugger.js",
            "/?__debugger__=yes&cmd=pinauth&pin=1",
        ):
            connection = HTTPConnection("127.0.0.1", at.port, timeout=10)
            connection.request("GET", path, headers=PAGE)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "EVALEX" not in text
            assert answer.status == (404 if path == "/console" else 200)


# ---- what the time and the address tell


@pytest.fixture
def cost(make_app: MakeApp) -> Callable[[str, str], float]:
    """The processor time of a sign-in with the real hash, in the middle of five."""
    app = make_app(DEMO_PASSWORD_HASH="scrypt", RATELIMIT_ENABLED=False)

    def measure(email: str, password: str) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            assert app.test_client().post("/sign-in", data={"email": email, "password": password}).status_code == 422
            times.append(time.thread_time() - began)
        return median(times)

    return measure


def test_cve_2021_29621_an_unknown_address_costs_what_a_known_one_does(cost: Callable[[str, str], float]) -> None:
    """Flask-AppBuilder hashed a password only where there was a user."""
    measured = [cost(email, "wrong") for email in (CREDENTIALS["email"], "nobody@example.com")]
    assert max(measured) < 2 * min(measured)


def test_cve_2022_21659_and_so_does_whatever_is_no_address_or_no_password(cost: Callable[[str, str], float]) -> None:
    """Flask-AppBuilder again: another way to the answer left the hash out."""
    odd = [("no address", "wrong"), ("", "wrong"), (CREDENTIALS["email"], ""), ("nobody@example.com", "x" * 5000)]
    measured = [cost(*each) for each in [(CREDENTIALS["email"], "wrong"), *odd]]
    assert max(measured) < 2 * min(measured)


def test_cve_2026_45364_all_spellings_and_addresses_of_a_network_have_one_limit(make_app: MakeApp) -> None:
    """better-auth counted an IPv6 address by its text: each of the 2**64 of one person had a limit of its own."""
    secret = "a long random secret of the tests"
    app = make_app(CORBADO_SESSION_PROJECT_ID="pro-1", CORBADO_SESSION_API_SECRET=secret)
    addresses = [f"2001:db8:0:1::{number:x}" for number in range(1, 9)] + [
        "2001:DB8::1:0:0:0:1",
        "2001:db8:0:1::1%eth0",
    ]
    elsewhere = "2001:db8:0:2::1"

    def ask(path: str, address: str) -> int:
        client, environ = app.test_client(), {"REMOTE_ADDR": address}
        if path == "/sign-in":
            return client.post(path, data={"email": "x"}, environ_base=environ).status_code
        return client.get(path, auth=("pro-1", "wrong"), environ_base=environ).status_code

    for path, refused in (("/sign-in", 422), ("/v2/sessions", 401)):
        assert [ask(path, address) for address in addresses] == [refused] * 10
        assert [ask(path, address) for address in ("2001:db8:0:1:ffff::7", elsewhere)] == [429, refused]


# ---- factors


def test_ghsa_f66q_another_users_passkey_makes_no_login_fresh(
    app: Flask, client: FlaskClient, signed_in: FlaskClient
) -> None:
    """Flask-Security: any passkey that the site knew answered the question for the one of who was signed in."""
    clock = move_clock(app)
    own, anothers = add(signed_in), sign_up(client)
    clock.move(minutes=20)
    assert code(confirm(signed_in, anothers)) == "passkey_wrong_account"
    assert signed_in.get("/account/password", headers=PAGE).location.startswith("/account/confirm")
    assert confirm(signed_in, own).status_code == 200
    assert signed_in.get("/account/password", headers=PAGE).status_code == 200
