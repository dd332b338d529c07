"""Two requests at once, on each kind of database: one answer wins, and the last passkey stays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from demo_site import create_app
from tests.demo.conftest import CONFIG
from tests.demo.passkeys import add, finish, options, session, sign_in, sign_up
from tests.support.authenticator import SoftPasskey

Send = Callable[[FlaskClient], TestResponse]


@pytest.fixture
def app(database_url: str) -> Flask:
    """The site on an empty database."""
    return create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": database_url})


def at_once(app: Flask, cookies_of: FlaskClient, sends: list[Send]) -> list[int]:
    """The statuses of requests that one browser sends at the same moment."""
    start = Barrier(len(sends))

    def run(send: Send) -> int:
        browser = app.test_client()
        for name in ("demo_passkey", "cbo_short_session", "cbo_long_session"):
            if cookie := cookies_of.get_cookie(name):
                browser.set_cookie(name, cookie.value)
        start.wait(10)
        return send(browser).status_code

    with ThreadPoolExecutor(len(sends)) as pool:
        return sorted(pool.map(run, sends))


def test_of_one_answer_sent_four_times_one_signs_in(app: Flask, client: FlaskClient) -> None:
    passkey = sign_up(app.test_client())
    answer = passkey.get(options(client, "sign-in"))
    statuses = at_once(app, client, [lambda browser: finish(browser, "sign-in", answer)] * 4)
    assert statuses == [200, 422, 422, 422]


def test_of_two_answers_with_one_counter_one_signs_in(app: Flask, client: FlaskClient) -> None:
    """The owner and a thief, whose copies have counted equally far."""
    passkey = sign_up(app.test_client(), SoftPasskey(counts=True))
    copy = passkey.copy()
    answers = [each.get(options(client, "sign-in")) for each in (passkey, copy)]
    first, second = answers
    sends: list[Send] = [
        lambda browser: finish(browser, "sign-in", first),
        lambda browser: finish(browser, "sign-in", second),
    ]
    assert at_once(app, client, sends) == [200, 422]


def test_of_two_passkeys_removed_at_once_one_stays(app: Flask, client: FlaskClient) -> None:
    kept = [sign_up(client), add(client)]
    removals: list[Send] = [
        lambda browser: browser.post("/passkeys/1/remove", headers={"Accept": "text/html"}),
        lambda browser: browser.post("/passkeys/2/remove", headers={"Accept": "text/html"}),
    ]
    assert at_once(app, client, removals) == [303, 409]
    assert sorted(sign_in(app.test_client(), passkey).status_code for passkey in kept) == [200, 422]


def test_two_first_passkeys_at_once_have_one_handle(app: Flask, client: FlaskClient) -> None:
    client.post("/sign-in", data={"email": "demo@example.com", "password": "correct horse battery"})
    handles: list[str] = []

    def ask(browser: FlaskClient) -> TestResponse:
        answer = browser.post("/passkeys/add/options", json={})
        handles.append(answer.get_json()["user"]["id"])
        return answer

    assert at_once(app, client, [ask] * 4) == [200] * 4
    assert len({*handles}) == 1
    assert session(client)
