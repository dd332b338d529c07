"""The session table hash-partitioned by id, by the very statements of docs/scaling.md: nothing else changes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect

from flask_corbado_session import ANY_USER, CorbadoSession
from flask_corbado_session.testing import MovingClock, move_clock
from tests.support.apps import make_app, rows_of, statements
from tests.support.jars import LONG, Jar, SessionRows, asked, processed
from tests.support.oracle import MIN_AGE, read
from tests.support.partitions import partition

PARTITIONS = 16


class Partitioned:
    """Sessions that were there before the table was partitioned, and the app that goes on."""

    def __init__(self, database_url: str) -> None:
        self.app: Flask
        self.sessions: CorbadoSession
        self.app, _, self.sessions = make_app(database_url)
        self.clock: MovingClock = move_clock(self.app)
        self.jars = [Jar(user_agent=f"Browser/{number}") for number in range(40)]
        for number, jar in enumerate(self.jars):
            asked(self.app, jar, "/sign-in", "POST", user=f"user-{number % 8}")
        self.names = {
            index["name"] for index in inspect(rows_of(self.app).database.engine).get_indexes("corbado_session")
        }
        partition(database_url)
        rows_of(self.app).database.dispose()


@pytest.fixture
def partitioned(postgres_url: str) -> Partitioned:
    return Partitioned(postgres_url)


def test_everybody_stays_signed_in_and_is_refreshed_by_one_statement(partitioned: Partitioned) -> None:
    for _ in range(2):
        partitioned.clock.move(milliseconds=MIN_AGE + 1)
        with statements(partitioned.app) as seen:
            assert {asked(partitioned.app, jar).status for jar in partitioned.jars} == {200}
        assert seen.verbs.count("UPDATE") == len(partitioned.jars)


def test_the_indexes_and_constraints_are_those_of_the_models(partitioned: Partitioned) -> None:
    found = inspect(rows_of(partitioned.app).database.engine)
    assert {index["name"] for index in found.get_indexes("corbado_session")} == partitioned.names
    assert found.get_pk_constraint("corbado_session")["constrained_columns"] == ["id"]
    assert [key["name"] for key in found.get_foreign_keys("corbado_session")] == ["fk_corbado_session_device_id"]


def test_the_rows_lie_in_all_partitions_and_a_refresh_looks_into_one(
    partitioned: Partitioned, postgres_url: str
) -> None:
    engine = rows_of(partitioned.app).database.engine
    with engine.connect() as connection:
        used = connection.exec_driver_sql("SELECT count(DISTINCT tableoid) FROM corbado_session").scalar_one()
        plan = connection.exec_driver_sql("EXPLAIN UPDATE corbado_session SET generation = 1 WHERE id = 'x'").scalars()
        looked_into = {line.split(" on ")[1].split()[0] for line in plan if "Scan" in line and " on " in line}
    assert used > PARTITIONS / 2
    assert len(looked_into) == 1


def test_a_burst_moves_the_row_once(partitioned: Partitioned, postgres_url: str) -> None:
    jar = partitioned.jars[0]
    session_id = read(jar.cookies[LONG]).session_id
    partitioned.clock.move(milliseconds=MIN_AGE + 1)
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: processed(partitioned.app, jar.sends()), range(32)))
    assert {answer.status for answer in answers} == {200}
    with SessionRows(postgres_url) as rows:
        assert rows.all()[session_id]["generation"] == 1


def test_signing_in_listing_revoking_and_polling_go_on(partitioned: Partitioned) -> None:
    app = partitioned.app
    jar = Jar()
    assert asked(app, jar, "/sign-in", "POST", user="user-0").status == 200
    with app.app_context():
        assert len(partitioned.sessions.devices("user-0")) == 6
        partitioned.sessions.revoke_user("user-0", reason="operator")
        partitioned.sessions.revoke(read(partitioned.jars[1].cookies[LONG]).session_id, user_id=ANY_USER)
    assert asked(app, jar, "/protected", short=True).status == 401
    assert asked(app, partitioned.jars[1], short=True).status == 401
    assert asked(app, partitioned.jars[2], short=True).status == 200


def test_alembic_takes_partitions_for_unknown_tables_unless_they_are_left_out_by_name(
    partitioned: Partitioned, postgres_url: str
) -> None:
    """As docs/scaling.md says: else a migration that is generated drops them."""

    def differences(**options: Any) -> list[Any]:
        with rows_of(partitioned.app).database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            found: list[Any] = compare_metadata(context, rows_of(partitioned.app).database.metadata)
        return found

    def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
        return type_ != "table" or re.fullmatch(r"corbado_session_\d+", name or "") is None

    assert "remove_table" in {difference[0] for difference in differences()}
    assert differences(include_name=include_name) == []
