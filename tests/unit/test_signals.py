"""What an app can listen to: each signal, its sender, and exactly the keywords its documentation lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask
from flask.testing import FlaskClient

from flask_corbado_session import Context, session_started
from flask_corbado_session.model import signals
from flask_corbado_session.testing import MovingClock, copy_jar, expire_short, signed_in
from tests.support.bound_site import BoundSite
from tests.support.rules import heard

EXTRA = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Tests/1.0"}
HERE = Context("192.0.2.7", "Tests/1.0")


def documented() -> dict[str, set[str]]:
    """Name of the signal without its prefix: the keywords that its docstring names in backquotes."""
    made = [value for value in vars(signals).values() if isinstance(value, NamedSignal)]
    keywords = {signal.name: set(re.findall(r"``(\w+)``", signal.__doc__ or "")) for signal in made}
    return {name.removeprefix("corbado-"): words for name, words in keywords.items()}


def ask(client: FlaskClient) -> Any:
    expire_short(client)
    return client.get("/protected", environ_overrides=EXTRA)


def everything(app: Flask, clock: MovingClock) -> list[tuple[str, dict[str, Any]]]:
    """A life with every signal in it."""
    with heard(app) as said:
        alice = app.test_client()
        alice.post("/sign-in", data={"user": "alice"}, environ_overrides=EXTRA)
        thief = copy_jar(alice)
        for _ in range(2):
            clock.move(seconds=61)
            ask(alice)
        clock.move(seconds=61)
        ask(thief)
        alice.post("/sign-in", data={"user": "alice"}, environ_overrides=EXTRA)
        signed_in(app, "alice")
        alice.post("/session/revoke-others")
        alice.post("/sign-out")
    return said


def of_a_bound_session(sqlite_url: str) -> list[tuple[str, dict[str, Any]]]:
    """Somebody comes with a copy of its cookies, and without its key."""
    site = BoundSite(sqlite_url)
    browser = site.expired()
    with heard(site.app) as said:
        site.thief_of(browser).request("/protected")
    return said


def test_every_signal_gives_the_keywords_it_promises(app: Flask, clock: MovingClock, tmp_path: Path) -> None:
    given: dict[str, set[str]] = {}
    for name, facts in [*everything(app, clock), *of_a_bound_session(f"sqlite:///{tmp_path}/bound.sqlite")]:
        assert given.setdefault(name, set(facts)) == set(facts)
    assert given == documented()


def test_every_signal_tells_the_right_facts(app: Flask, clock: MovingClock) -> None:
    said = everything(app, clock)
    facts = {name: each for name, each in reversed(said)}
    assert facts["session-started"]["user_id"] == facts["device-added"]["user_id"] == "alice"
    assert facts["session-started"]["context"] == facts["device-added"]["context"] == HERE
    assert (facts["session-refreshed"]["kind"], facts["session-refreshed"]["context"]) == ("promote", HERE)
    assert (facts["session-reuse-detected"]["context"], facts["session-reuse-detected"]["previous"]) == (HERE, HERE)
    assert (facts["session-revoked"]["user_id"], facts["session-revoked"]["reason"]) == ("alice", "revoked")
    assert len(facts["session-revoked"]["session_ids"]) == 1
    assert facts["session-ended"]["reason"] == "signed_out"


def test_a_reopened_session_tells_of_both_who_held_it(app: Flask, clock: MovingClock) -> None:
    alice = signed_in(app, "alice")
    thief = copy_jar(alice)
    clock.move(seconds=61)
    ask(alice)
    clock.move(seconds=11)
    with heard(app) as said:
        expire_short(thief)
        thief.get("/protected", environ_overrides={"REMOTE_ADDR": "203.0.113.9", "HTTP_USER_AGENT": "Thief/1.0"})
    ((name, facts),) = said
    assert (name, facts["kind"]) == ("session-refreshed", "reopen")
    assert (facts["context"], facts["previous"]) == (Context("203.0.113.9", "Thief/1.0"), HERE)


def test_the_sender_is_the_app(app: Flask) -> None:
    senders: list[object] = []

    def receive(sender: object, **facts: Any) -> None:
        senders.append(sender)

    with session_started.connected_to(receive):
        signed_in(app, "alice")
    assert senders == [app]


def test_what_a_receiver_raises_reaches_the_view_and_the_session_stands(app: Flask) -> None:
    def receive(sender: object, **facts: Any) -> None:
        raise KeyError("the receiver's own")

    client = app.test_client()
    with session_started.connected_to(receive, app), pytest.raises(KeyError, match="own"):
        client.post("/sign-in", data={"user": "alice"})
    assert client.post("/sign-in", data={"user": "alice"}).status_code == 200
