"""The signing keys over real processes: each algorithm verified by others, and a rotation under load.

The app's clock runs 60 times as fast as time in every process, so that the 10 minutes a key is published before it
signs are 10 seconds here; the second between two looks at the file is then a minute of the app's.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import jwt
import pytest

from flask_corbado_session.keys.file import read
from flask_corbado_session.keys.key import SigningAlgorithm
from flask_corbado_session.keys.rotation import generate
from flask_corbado_session.web.views import JWKS_MAX_AGE
from tests.support.app_server import FastClock, site_json
from tests.support.apps import make_app
from tests.support.key_files import ALGORITHMS
from tests.support.servers import Server

FACTOR = 60
SHORT_LIFETIME = 300
SHORT_COOKIE = "cbo_short_session"


@dataclass
class Site:
    """What servers that share keys, rows and time have in common."""

    folder: Path
    factor: float = FACTOR
    start: float = field(default_factory=time.time)

    @property
    def keys_file(self) -> Path:
        """The key file of all."""
        return self.folder / "keys.json"

    @property
    def env(self) -> dict[str, str]:
        """What a process of the site is told."""
        config = {"KEYS_FILE": str(self.keys_file), "COOKIE_SECURE": False, "SHORT_LIFETIME": SHORT_LIFETIME}
        settings = {f"CORBADO_SESSION_{name}": value for name, value in config.items()}
        return {"SITE": site_json(self.database_url, speed=self.factor, began=self.start, **settings)}

    @property
    def database_url(self) -> str:
        """The database of all."""
        return f"sqlite:///{self.folder / 'site.sqlite'}"

    def now(self) -> float:
        """The site's time, in seconds since the epoch."""
        return FastClock(self.start, self.factor)().timestamp()

    def command(self, *args: str) -> str:
        """Run ``flask corbado-session keys`` in a process of its own."""
        run = [sys.executable, "-m", "flask", "--app", "tests.support.app_server", "corbado-session", "keys", *args]
        done = subprocess.run(run, env=os.environ | self.env, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @contextmanager
    def served(self, count: int) -> Iterator[list[str]]:
        """The origins of so many server processes, running."""
        make_app(self.database_url)  # the tables
        servers: list[Server] = []
        try:
            for number in range(count):
                servers.append(Server("tests.support.app_server", self.folder / f"server-{number}.log", self.env))
            yield [each.origin("127.0.0.1") for each in servers]
        finally:
            for each in servers:
                each.stop()


class Browser:
    """A jar, and requests with it; cookies are sent to every port, as browsers do."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def post(self, url: str, data: bytes = b"") -> int:
        """The status; what was set is kept."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = urllib.request.Request(url, data, {"Cookie": cookie} if cookie else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            for header in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = header.partition(";")[0].partition("=")
                self.cookies[name] = value
            return int(answer.status)

    def sign_in(self, origin: str, user: str) -> None:
        """Start a session there."""
        self.post(f"{origin}/sign-in", f"user={user}".encode())

    def refresh(self, origin: str) -> str:
        """A new short session's token, minted by that server."""
        assert self.post(f"{origin}/session/refresh") == 200
        return self.cookies[SHORT_COOKIE]


def bearer_status(origin: str, token: str) -> int:
    """What the server answers to the token alone."""
    request = urllib.request.Request(f"{origin}/protected", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def fetch_keys(origin: str) -> jwt.PyJWKSet:
    """The JWKS as a service that only verifies reads it."""
    with urllib.request.urlopen(f"{origin}/.well-known/jwks.json", timeout=20) as answer:
        return jwt.PyJWKSet.from_dict(json.load(answer))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_others_verify_a_token_by_the_jwks_of_a_running_server(tmp_path: Path, algorithm: SigningAlgorithm) -> None:
    site = Site(tmp_path, factor=1)
    generate(site.keys_file, algorithm)
    with site.served(1) as (origin,):
        browser = Browser()
        browser.sign_in(origin, "alice")
        token = browser.cookies[SHORT_COOKIE]
        key = jwt.PyJWKClient(f"{origin}/.well-known/jwks.json").get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, [algorithm], issuer="flask-corbado-session", options={"require": ["sid"]})
        assert (key.algorithm_name, claims["sub"]) == (algorithm, "alice")
        assert bearer_status(origin, token) == 200
        assert bearer_status(origin, token[:-8] + token[-4:] + token[-8:-4]) == 401


# ---- a rotation under load


@dataclass(frozen=True, slots=True)
class Token:
    """One that was minted: by which server, with which key, good until when."""

    text: str = field(repr=False)
    origin: str
    kid: str
    expires_at: int


class Load:
    """Threads that mint at every server and present each token everywhere for as long as it is good."""

    def __init__(self, site: Site, origins: list[str]) -> None:
        self.site = site
        self.origins = origins
        self.minted: list[Token] = []
        self.accepted = 0
        self.refused: list[str] = []
        self.broken: list[str] = []
        self._keys = fetch_keys(origins[0])
        self._stop = threading.Event()
        work = [self._poll, *[partial(self._mint_and_present, number) for number in range(len(origins) * 2)]]
        self._threads = [threading.Thread(target=self._guarded, args=(each,)) for each in work]

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def wait_until(self, what: Callable[[], bool], seconds: float) -> None:
        """Let it run until so, or fail."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            assert self.broken == []
            time.sleep(0.1)

    def signs_everywhere(self, kid: str) -> bool:
        """Whether every server minted lately, and none with another key."""
        return {(each.origin, each.kid) for each in self.minted[-20:]} == {(each, kid) for each in self.origins}

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.broken.append(repr(error))

    def _poll(self) -> None:
        """The verifier: keeps a copy for as long as it may, and never asks in between for a kid it does not know."""
        number = 0
        while not self._stop.wait(JWKS_MAX_AGE / self.site.factor):
            number += 1
            self._keys = fetch_keys(self.origins[number % len(self.origins)])

    def _mint_and_present(self, number: int) -> None:
        browser = Browser()
        browser.sign_in(self.origins[number % len(self.origins)], f"user-{number}")
        while not self._stop.wait(0.05):
            number += 1
            origin = self.origins[number % len(self.origins)]
            text = browser.refresh(origin)
            claims = jwt.decode(text, options={"verify_signature": False})
            self.minted.append(Token(text, origin, jwt.get_unverified_header(text)["kid"], claims["exp"]))
            good = [each for each in self.minted[-4000:] if each.expires_at > self.site.now()]
            for token in [good[0], good[-1], random.choice(good)]:
                self._present(token)

    def _present(self, token: Token) -> None:
        refusals = [f"the server at {each}" for each in self.origins if bearer_status(each, token.text) != 200]
        if not self._verifies(token):
            refusals.append("the verifier")
        if token.expires_at > self.site.now():  # else it may have expired on the way
            self.refused += [f"{each} refused a token of {token.origin}, key {token.kid}" for each in refusals]
            self.accepted += not refusals

    def _verifies(self, token: Token) -> bool:
        try:
            key = self._keys[jwt.get_unverified_header(token.text)["kid"]]
            jwt.decode(token.text, key, [key.algorithm_name], options=_NO_TIMES)  # its clock is not the site's
        except (KeyError, jwt.InvalidTokenError):
            return False
        return True


_NO_TIMES: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_rotations_under_load_refuse_nobody(tmp_path: Path) -> None:
    """The second begins while the first key still retires, and changes the algorithm."""
    site = Site(tmp_path)
    site.command("generate")
    (first,) = [each.kid for each in read(site.keys_file)]
    with site.served(2) as origins, Load(site, origins) as load:
        load.wait_until(lambda: load.signs_everywhere(first) and load.accepted > 20, 20)
        second = _rotated(site, load)
        third = _rotated(site, load, "--alg", "ES256")
        site_keys = {each.kid for each in read(site.keys_file)}
        load.wait_until(lambda: _shown(origins) == [[third]] * 2, SHORT_LIFETIME / FACTOR + 15)
    assert (load.refused, load.broken) == ([], [])
    assert {each.kid for each in load.minted} == {first, second, third} == site_keys | {first}
    assert load.accepted > 200


def _rotated(site: Site, load: Load, *options: str) -> str:
    """Rotate, and wait until every server signs with the new key; its kid."""
    before = {each.kid for each in read(site.keys_file)}
    asked_at, asked_of = site.now(), len(load.minted)
    site.command("rotate", *options)
    (new,) = {each.kid for each in read(site.keys_file)} - before
    load.wait_until(lambda: load.signs_everywhere(new), 40)
    signed = next(each for each in load.minted[asked_of:] if each.kid == new)
    assert signed.expires_at - SHORT_LIFETIME >= asked_at + 600
    return new


def _shown(origins: list[str]) -> list[list[str | None]]:
    return [[each.key_id for each in fetch_keys(origin).keys] for origin in origins]
