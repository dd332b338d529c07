"""What apps test with: a clock to move, a client signed in, a jar to copy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from tests.support.apps import make_app, rows_of, statements
from tests.support.site import look_up_ended

NAMES = ("__Host-cbo_short_session", "__Host-cbo_long_session", "__Host-cbo_device")


def jar(client: FlaskClient) -> dict[str, str]:
    return {name: cookie.value for name in NAMES if (cookie := client.get_cookie(name)) is not None}


def test_the_clock_stands_still_until_it_is_moved(app: Flask) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock = move_clock(app, noon)
    assert clock() == noon
    assert clock.move(minutes=20) == clock() == noon + timedelta(minutes=20)
    assert clock.move(timedelta(hours=-1)) == noon - timedelta(minutes=40)


def test_the_clock_starts_now(app: Flask) -> None:
    assert abs(move_clock(app).at - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_clock_is_of_one_app(sqlite_url: str) -> None:
    one, other = (make_app(sqlite_url)[0] for _ in range(2))
    client = signed_in(other, "alice")
    move_clock(one).move(days=100)
    assert client.get("/protected").status_code == 200


def test_a_client_is_signed_in_as_somebody(app: Flask) -> None:
    client = signed_in(app, "alice", claims={"plan": "pro"}, amr=["pwd"], user_agent="Tests/1.0")
    said = client.get("/session").get_json()
    assert (said["user_id"], said["amr"], said["claims"]["plan"]) == ("alice", ["pwd"], "pro")
    assert rows_of(app).revocation.devices("alice", None)[0].user_agent == "Tests/1.0"


def test_two_clients_are_two_devices_and_one_client_is_one(app: Flask) -> None:
    one, other = signed_in(app, "alice"), signed_in(app, "alice")
    assert jar(one)[NAMES[2]] != jar(other)[NAMES[2]]
    signed_in(app, "alice", client=one)
    devices = rows_of(app).revocation.devices("alice", None)
    assert [len(device.sessions) for device in devices] == [1, 1]


def test_to_expire_the_short_one_makes_the_next_request_a_refresh(app: Flask) -> None:
    clock = move_clock(app)
    client = signed_in(app, "alice")
    clock.move(seconds=61)
    expire_short(client)
    assert set(jar(client)) == set(NAMES[1:])
    with statements(app) as seen:
        assert client.get("/protected").status_code == 200
    assert seen.verbs == ["UPDATE"]


def test_a_copied_jar_is_a_second_browser_with_the_same_cookies(app: Flask) -> None:
    client = signed_in(app, "alice")
    thief = copy_jar(client)
    assert jar(thief) == jar(client)
    thief.post("/sign-out")
    assert jar(client) != jar(thief)


def test_the_jar_of_nobody_can_be_copied_too(app: Flask) -> None:
    assert jar(copy_jar(app.test_client())) == {}


@pytest.mark.parametrize(
    ("age", "statements_"), [({"minutes": 14}, []), ({"minutes": 15}, ["UPDATE"]), ({"days": 6}, ["UPDATE"])]
)
def test_somebody_can_have_signed_in_some_time_ago(app: Flask, age: dict[str, float], statements_: list[str]) -> None:
    clock = move_clock(app)
    client = signed_in(app, "alice", age=timedelta(**age))
    look_up_ended(app)
    with statements(app) as seen:
        said = client.get("/session").get_json()
    assert seen.verbs == statements_
    assert said["auth_time"] == (clock.at - timedelta(**age)).replace(microsecond=0).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("config", [{"CORBADO_SESSION_COOKIE_SECURE": False}, {"CORBADO_SESSION_SHORT_COOKIE": "s"}])
def test_it_works_under_any_names(sqlite_url: str, config: Any) -> None:
    app, _, _ = make_app(sqlite_url, **config)
    client = copy_jar(signed_in(app, "alice"))
    assert client.get("/protected").status_code == 200
    expire_short(client)
    assert client.get("/protected").status_code == 200


def test_a_user_who_is_not_active_is_not_signed_in_without_a_word(app: Flask) -> None:
    class Blocked:
        id = "alice"
        is_active = False

    with pytest.raises(ValueError, match="is_active is false"):
        signed_in(app, Blocked())
