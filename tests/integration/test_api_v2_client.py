"""Corbado's own generated client, unmodified, against the operator API of a real server process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.apps import make_app
from tests.support.databases import engines_disposed
from tests.support.jars import Jar
from tests.support.servers import ServerProcess

PROJECT, SECRET = "pro-1234567890", "corbado1_of_the_tests_alone"
CONFIG: dict[str, Any] = {"CORBADO_SESSION_API_SECRET": SECRET, "CORBADO_SESSION_PROJECT_ID": PROJECT}
WITHIN = 3.0
"""Seconds; a session that was ended is out after one."""


@pytest.fixture(scope="module")
def generated() -> Any:
    """The part of Corbado's Python SDK that is generated from the description of its Backend API."""
    reason = "Corbado's Python SDK (passkeys on PyPI) is not installed"
    return pytest.importorskip("corbado_python_sdk.generated", reason=reason)


@pytest.fixture
def server(sqlite_url: str) -> Iterator[ServerProcess]:
    """A process whose operator API is on."""
    with engines_disposed():
        make_app(sqlite_url, **CONFIG)
    with ServerProcess(sqlite_url, **CONFIG) as process:
        yield process


def client(generated: Any, server: ServerProcess, secret: str = SECRET, retries: int | None = None) -> Any:
    """Their client for sessions, set up as their SDK sets it up."""
    host = f"http://127.0.0.1:{server.port}/v2"
    configuration = generated.Configuration(host=host, username=PROJECT, password=secret, retries=retries)
    return generated.SessionsApi(generated.ApiClient(configuration))


def sign_in(server: ServerProcess, user: str) -> Jar:
    """A browser somebody is signed in with."""
    jar = Jar()
    assert server.asked(jar, "/sign-in", "POST", user=user).status == 200
    return jar


def test_it_lists_sorts_filters_and_pages(generated: Any, server: ServerProcess) -> None:
    for user in ("ann", "bob", "cid"):
        sign_in(server, user)
    api = client(generated, server)
    everything = api.session_list()
    assert {session.user_id for session in everything.sessions} == {"ann", "bob", "cid"}
    assert {session.status.value for session in everything.sessions} == {"active"}
    assert (everything.paging.page, everything.paging.total_pages, everything.paging.total_items) == (1, 1, 3)
    second = api.session_list(sort="userID:desc", filter=["userID:gt:ann", "status:eq:active"], page=2, page_size=1)
    assert [session.user_id for session in second.sessions] == ["bob"]
    assert (second.paging.page, second.paging.total_pages, second.paging.total_items) == (2, 2, 2)


def test_it_revokes_and_the_session_is_out_within_a_second(generated: Any, server: ServerProcess) -> None:
    jar, other = sign_in(server, "alice"), sign_in(server, "alice")
    session_id = server.asked(jar).body["session_id"]
    api = client(generated, server)
    answer = api.session_revoke(session_id)
    assert (answer.http_status_code, answer.message) == (200, "success")
    deadline = time.monotonic() + WITHIN
    while server.asked(jar).status == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [server.asked(each).status for each in (jar, other)] == [401, 200]
    (listed,) = api.session_list(filter=[f"ID:eq:{session_id}"]).sessions
    assert listed.status == generated.SessionStatus.REVOKED


def test_its_exceptions_carry_our_codes(generated: Any, server: ServerProcess) -> None:
    cases: list[tuple[Callable[[Any], Any], str, str]] = [
        (lambda api: api.session_revoke("a" * 30), "NotFoundException", "not_found"),
        (lambda api: api.session_list(filter=["email:eq:a"]), "BadRequestException", "invalid_request"),
        (lambda api: client(generated, server, "guess").session_list(), "UnauthorizedException", "unauthenticated"),
    ]
    for call, kind, code in cases:
        with pytest.raises(generated.ApiException) as caught:
            call(client(generated, server))
        error = generated.ErrorRsp.from_json(caught.value.body)
        assert (type(caught.value).__name__, error.error.type) == (kind, code)
        assert SECRET not in caught.value.body


def test_too_many_guesses_are_told_to_wait(generated: Any, server: ServerProcess) -> None:
    # left to itself it waits as long as it is told
    guessing = client(generated, server, "guess", retries=0)
    for _ in range(20):
        with suppress(generated.ApiException):
            guessing.session_list()
    with pytest.raises(generated.ApiException) as caught:
        client(generated, server, retries=0).session_list()
    assert (caught.value.status, int(caught.value.headers["Retry-After"]) <= 60) == (429, True)
