"""The public keys: to everybody, for any cache, and nothing but public."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_corbado_session.keys import rotation as key_rotation
from flask_corbado_session.keys.key import SigningAlgorithm
from flask_corbado_session.keys.ring import KeyFile
from flask_corbado_session.testing import MovingClock, move_clock, signed_in
from tests.support.apps import make_app, state_of, statements
from tests.support.key_files import ALGORITHMS, NOON, PRIVATE_MEMBERS, a_jwk, key_file

ROUTES = ["/.well-known/jwks.json", "/.well-known/jwks"]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a key of each algorithm; the first signs."""
    jwks = [a_jwk(algorithm, signs_from=NOON - MINUTE * number) for number, algorithm in enumerate(ALGORITHMS)]
    return key_file(tmp_path / "keys.json", *jwks)


@pytest.fixture
def app(sqlite_url: str, path: Path) -> Flask:
    """The tests' app, signing with that file."""
    return make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]


def get(app: Flask, route: str = ROUTES[0], **given: Any) -> TestResponse:
    return app.test_client().get(route, **given)


def kids(app: Flask) -> list[str]:
    return [each["kid"] for each in get(app).get_json()["keys"]]


@pytest.mark.parametrize("route", ROUTES)
def test_it_shows_the_public_members_of_each_key(app: Flask, route: str) -> None:
    answer = get(app, route)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    shown = {each["alg"]: each for each in answer.get_json()["keys"]}
    assert {alg: set(each) - {"kty", "kid", "alg", "use"} for alg, each in shown.items()} == {
        "RS256": {"n", "e"},
        "ES256": {"crv", "x", "y"},
        "EdDSA": {"crv", "x"},
    }
    assert {each["use"] for each in shown.values()} == {"sig"}


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_private_is_in_it(app: Flask, path: Path, route: str) -> None:
    text = get(app, route).text
    for jwk in json.loads(path.read_text())["keys"]:
        assert not [name for name in PRIVATE_MEMBERS if name in jwk and jwk[name] in text]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_verifies_by_what_it_shows(sqlite_url: str, path: Path, algorithm: SigningAlgorithm) -> None:
    key_file(path, a_jwk(algorithm))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]
    cookie = signed_in(app, "alice").get_cookie(state_of(app).settings.short_cookie)
    assert cookie is not None
    keys = jwt.PyJWKSet.from_dict(get(app).get_json())
    header = jwt.get_unverified_header(cookie.value)
    assert header == {"alg": algorithm, "kid": a_jwk(algorithm)["kid"], "typ": "JWT"}
    claims = jwt.decode(cookie.value, keys[header["kid"]], [algorithm], issuer="flask-corbado-session")
    assert claims["sub"] == "alice"


# ---- which keys


def at(app: Flask, clock: MovingClock, now: datetime) -> Flask:
    """The app at another time, its key file read again."""
    clock.at = now
    keys = state_of(app).keys
    assert isinstance(keys, KeyFile)
    keys.load()
    return app


def test_it_shows_a_key_before_it_signs_and_until_its_last_token_has_expired(sqlite_url: str, path: Path) -> None:
    key_file(path, a_jwk("EdDSA", 0))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]
    clock = move_clock(app, NOON)
    old, done = a_jwk("EdDSA", 0)["kid"], key_rotation.rotate(path, NOON, 15 * MINUTE)
    assert kids(at(app, clock, NOON)) == [old, done.new.kid]
    assert kids(at(app, clock, done.old_until - timedelta(seconds=1))) == [old, done.new.kid]
    assert kids(at(app, clock, done.old_until)) == [done.new.kid]


def test_the_copy_in_a_cache_is_renewed_long_before_a_new_key_signs(app: Flask) -> None:
    control = get(app).cache_control
    assert control.public
    assert control.max_age is not None
    assert control.max_age <= 300  # half of the ten minutes for which a key is published before it signs


# ---- caching


@pytest.mark.parametrize("route", ROUTES)
def test_who_has_it_already_gets_304(app: Flask, route: str) -> None:
    first = get(app, route)
    again = get(app, route, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]


def test_another_etag_gets_the_keys(app: Flask) -> None:
    assert get(app, headers={"If-None-Match": '"of another day"'}).status_code == 200


def test_the_etag_changes_with_the_keys(sqlite_url: str, path: Path) -> None:
    key_file(path, a_jwk("EdDSA", 0))
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path))[0]
    clock = move_clock(app, NOON)
    first = get(app).headers["ETag"]
    assert get(at(app, clock, NOON + MINUTE)).headers["ETag"] == first
    key_rotation.rotate(path, NOON + MINUTE, 15 * MINUTE)
    later = get(at(app, clock, NOON + MINUTE), headers={"If-None-Match": first})
    assert later.status_code == 200
    assert later.headers["ETag"] != first


# ---- it is nobody's in particular


def test_it_touches_no_session(app: Flask) -> None:
    client = signed_in(app, "alice")
    with statements(app) as seen:
        answer = client.get(ROUTES[0])
    assert seen == []
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    assert answer.headers["Cache-Control"].startswith("public")


def test_pages_of_any_origin_may_read_it(app: Flask) -> None:
    answer = get(app, headers={"Origin": "https://elsewhere.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_can_only_be_read(app: Flask, route: str, method: str) -> None:
    assert app.test_client().open(route, method=method).status_code == 405


def test_a_head_request_gets_the_headers(app: Flask) -> None:
    answer = app.test_client().head(ROUTES[0])
    assert (answer.status_code, answer.data) == (200, b"")
    assert "ETag" in answer.headers


# ---- where it is


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_key_file_there_is_none(sqlite_url: str, route: str) -> None:
    """What SECRET_KEY signs nobody else can verify, and the key must never be shown."""
    assert get(make_app(sqlite_url)[0], route).status_code == 404


@pytest.mark.parametrize("prefix", [None, "/account/session"])
def test_it_is_there_whatever_the_prefix(sqlite_url: str, path: Path, prefix: str | None) -> None:
    app = make_app(sqlite_url, CORBADO_SESSION_KEYS_FILE=str(path), CORBADO_SESSION_URL_PREFIX=prefix)[0]
    assert [get(app, route).status_code for route in ROUTES] == [200, 200]
    assert get(app, f"{prefix or '/session'}/.well-known/jwks.json").status_code == 404


def test_two_apps_of_one_process_show_their_own_keys(tmp_path: Path) -> None:
    def app_with(number: int) -> Flask:
        path = key_file(tmp_path / f"{number}.json", a_jwk("EdDSA", number))
        url = f"sqlite:///{tmp_path / f'{number}.sqlite'}"
        return make_app(url, CORBADO_SESSION_KEYS_FILE=str(path))[0]

    assert [kids(app_with(number)) for number in (0, 1)] == [[a_jwk("EdDSA", number)["kid"]] for number in (0, 1)]
