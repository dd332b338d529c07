"""The connection is lost after the commit and before its answer: the library recognises what it did itself, answers
that it is done, and tells whom it would have told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, text

from flask_corbado_session import ANY_USER, CorbadoSession, Notice
from flask_corbado_session.testing import MovingClock, copy_jar, expire_short, move_clock, signed_in
from tests.support.apps import rows_of
from tests.support.operators import an_operator, operator_app
from tests.support.oracle import MIN_AGE
from tests.support.rules import heard
from tests.support.wire_cutter import CutWire, Moment

pytestmark = pytest.mark.usefixtures("late_losses")
MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])


@dataclass
class Cuttable:
    """An app whose wire to the database can be cut, and what it tells."""

    wire: CutWire
    app: Flask
    sessions: CorbadoSession
    clock: MovingClock
    notices: list[Notice] = field(default_factory=list)

    def ids(self) -> tuple[str, str]:
        """The ids of alice's session, and of its device."""
        (device,) = rows_of(self.app).revocation.devices("alice", None)
        return device.sessions[0].session_id, device.id


@pytest.fixture
def site(postgres_url: str) -> Iterator[Cuttable]:
    with CutWire(postgres_url) as wire:
        app, _, sessions = operator_app(wire.url)
        site = Cuttable(wire, app, sessions, move_clock(app))
        sessions.notifier(site.notices.append)
        with app.app_context():
            yield site
    assert wire.cuts == 1


def names(signals: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [name for name, _ in signals]


@MOMENTS
def test_a_reuse_that_was_found_is_told(site: Cuttable, moment: Moment) -> None:
    owner = signed_in(site.app, "alice")
    thief = copy_jar(owner)
    for client in (owner, thief):
        site.clock.move(milliseconds=MIN_AGE + 1)
        expire_short(client)
        assert client.get("/protected").status_code == 200
    site.clock.move(milliseconds=MIN_AGE + 1)
    expire_short(thief)
    assert thief.get("/protected").status_code == 200
    site.clock.move(milliseconds=MIN_AGE + 1)
    expire_short(owner)
    site.notices.clear()
    with heard(site.app) as signals:
        site.wire.cut("SET ended_at", moment)
        assert owner.get("/protected").status_code == 401
    assert names(signals) == ["session-reuse-detected"]
    assert [notice.kind for notice in site.notices] == ["reuse"]


@MOMENTS
def test_a_new_device_is_told_of(site: Cuttable, moment: Moment) -> None:
    with heard(site.app) as signals:
        site.wire.cut("INSERT INTO corbado_device", moment)
        signed_in(site.app, "alice")
    assert names(signals) == ["session-started", "device-added"]
    assert [notice.kind for notice in site.notices] == ["new_device"]


@MOMENTS
def test_a_new_device_is_told_of_by_the_sign_in_after_the_one_that_failed(site: Cuttable, moment: Moment) -> None:
    """The device's row is there by then, the session's is not; the cookie is one that bob has in this browser too."""
    client = signed_in(site.app, "bob")
    site.notices.clear()
    site.wire.cut("INSERT INTO corbado_session", "before", refuse=True)
    assert client.post("/sign-in", data={"user": "alice"}).status_code == 503
    site.wire.refuses = False
    with heard(site.app) as signals:
        assert client.post("/sign-in", data={"user": "alice"}).status_code == 200
    assert "device-added" in names(signals)
    assert [(notice.kind, notice.user_id) for notice in site.notices] == [("new_device", "alice")]
    client.post("/sign-in", data={"user": "alice"})
    assert len(site.notices) == 1


@MOMENTS
@pytest.mark.parametrize("what", ["session", "device", "user"])
def test_a_revocation_is_done_and_told(site: Cuttable, moment: Moment, what: str) -> None:
    client = signed_in(site.app, "alice")
    session_id, device_id = site.ids()
    with heard(site.app) as signals:
        site.wire.cut("UPDATE corbado_session SET ended_at", moment)
        {
            "session": lambda: site.sessions.revoke(session_id, user_id=ANY_USER),
            "device": lambda: site.sessions.revoke_device(device_id, user_id=ANY_USER),
            "user": lambda: site.sessions.revoke_user("alice"),
        }[what]()
    assert [(name, facts["session_ids"]) for name, facts in signals] == [("session-revoked", [session_id])]
    assert client.get("/protected").status_code == 401


@MOMENTS
@pytest.mark.parametrize(
    "statement", ["UPDATE corbado_session SET ended_at", "UPDATE corbado_operator_action", "INSERT"]
)
def test_an_operators_action_is_counted_once(site: Cuttable, moment: Moment, statement: str, postgres_url: str) -> None:
    operator = an_operator(site.app)
    for _ in range(3):
        signed_in(site.app, "alice")
    site.wire.cut(statement, moment)
    assert operator.post("/operator/revoke", data={"user": "alice"}).status_code == 303
    assert counted(postgres_url) == [3]


@MOMENTS
def test_a_batch_of_an_operators_action_is_counted_once(site: Cuttable, moment: Moment, postgres_url: str) -> None:
    operator = an_operator(site.app)
    for _ in range(3):
        signed_in(site.app, "alice")
    site.clock.move(minutes=1)
    site.wire.cut("UPDATE corbado_operator_action", moment)
    answer = operator.post("/operator/revoke", data={"before": site.clock.at.isoformat()})
    assert (answer.status_code, counted(postgres_url)) == (303, [3])


def counted(database_url: str) -> list[Any]:
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        return list(connection.execute(text("SELECT sessions FROM corbado_operator_action")).scalars())


@MOMENTS
def test_a_disown_link_works(site: Cuttable, moment: Moment) -> None:
    client = signed_in(site.app, "alice")
    (notice,) = site.notices
    with heard(site.app) as signals:
        site.wire.cut("COMMIT", moment)
        answer = site.app.test_client().post(notice.report_path or "")
    assert (answer.status_code, names(signals)) == (200, ["session-revoked"])
    assert client.get("/protected").status_code == 401
    assert site.app.test_client().post(notice.report_path or "").status_code == 410


@MOMENTS
def test_a_token_that_was_used_again_is_told_as_such(site: Cuttable, moment: Moment) -> None:
    """REOPEN: the answer to the first use was lost, or somebody has a copy."""
    client = signed_in(site.app, "alice", user_agent="Owner/1.0")
    copy = copy_jar(client)
    told: list[tuple[str, dict[str, Any]]] = []
    for other in (copy, client):
        site.clock.move(milliseconds=MIN_AGE + 1)
        expire_short(other)
        if other is client:
            site.wire.cut("UPDATE corbado_session", moment)
        with heard(site.app) as signals:
            assert other.get("/protected", headers={"User-Agent": f"Agent/{id(other)}"}).status_code == 200
        told = signals
    assert [(name, facts["kind"]) for name, facts in told] == [("session-refreshed", "reopen")]
    assert told[0][1]["previous"].user_agent == f"Agent/{id(copy)}"
