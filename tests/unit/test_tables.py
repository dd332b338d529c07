"""The tables: built once per metadata, named throughout, and exact about letters."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, create_engine, inspect
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from flask_corbado_session.database.tables import tables_in


def test_they_are_built_once_per_metadata() -> None:
    metadata = MetaData()
    assert tables_in(metadata) == tables_in(metadata)
    assert tables_in(metadata).session is tables_in(metadata).session
    assert tables_in(MetaData()).session is not tables_in(metadata).session


def test_they_are_three() -> None:
    metadata = MetaData()
    tables_in(metadata)
    assert set(metadata.tables) == {"corbado_session", "corbado_device", "corbado_operator_action"}


@pytest.mark.parametrize("convention", [{}, {"ix": "x_%(column_0_label)s", "pk": "y_%(table_name)s"}])
def test_their_names_are_their_own_whatever_the_apps_convention(convention: dict[str, str]) -> None:
    tables = tables_in(MetaData(naming_convention=convention))
    all_of_them = (tables.session, tables.device, tables.operator_action)
    names = {str(index.name) for table in all_of_them for index in table.indexes}
    names |= {str(each.name) for table in all_of_them for each in table.constraints}
    assert names == {
        "ix_corbado_session_user_id_ended_at_expires_at",
        "ix_corbado_session_ended_at",
        "ix_corbado_session_short_not_before",
        "ix_corbado_session_created_at",
        "ix_corbado_session_expires_at",
        "ix_corbado_session_device_id",
        "pk_corbado_session",
        "ix_corbado_device_first_seen_at",
        "ix_corbado_operator_action_at",
        "pk_corbado_device",
        "pk_corbado_operator_action",
        "fk_corbado_session_device_id",
        "uq_corbado_device_user_id_cookie_hash",
    }


def test_the_columns_of_rotation_are_those_of_the_protocol() -> None:
    columns = set(tables_in(MetaData()).session.columns.keys())
    assert columns >= {
        "id", "user_id", "secret_hash", "generation", "token_hash", "rotated_at", "reopened", "created_at",
        "last_seen_at", "idle_expires_at",
        "expires_at", "ended_at", "end_reason", "device_id", "persistent", "claims", "auth_time", "amr", "ip",
        "user_agent",
    }  # fmt: skip


def test_times_are_integers_everywhere() -> None:
    tables = tables_in(MetaData())
    for table in (tables.session, tables.device, tables.operator_action):
        for column in table.columns:
            if column.name == "at" or column.name.endswith("_at") or column.name == "auth_time":
                assert str(column.type) == "BIGINT"


def test_ids_tell_upper_case_from_lower_on_mysql() -> None:
    tables = tables_in(MetaData())
    for table in (tables.session, tables.device):
        ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))
        # no collation does: the _bin ones pad, and 'alice' would equal 'alice '
        assert "id VARBINARY(30) NOT NULL" in ddl
        assert "user_id VARBINARY(1020) NOT NULL" in ddl
        assert ddl.rstrip().endswith("CHARSET=utf8mb4")


@pytest.mark.parametrize("dialect", [sqlite, postgresql])
def test_other_databases_do_so_by_themselves(dialect: object) -> None:
    ddl = str(CreateTable(tables_in(MetaData()).session).compile(dialect=dialect.dialect()))  # type: ignore[attr-defined]
    assert "id VARCHAR(30) NOT NULL" in ddl


def test_what_is_made_in_the_database_is_what_was_declared(database_url: str) -> None:
    metadata, engine = MetaData(), create_engine(database_url)
    tables_in(metadata)
    metadata.create_all(engine)
    found = inspect(engine)
    assert set(found.get_table_names()) == {"corbado_session", "corbado_device", "corbado_operator_action"}
    indexes = {index["name"]: index["column_names"] for index in found.get_indexes("corbado_session")}
    assert indexes["ix_corbado_session_user_id_ended_at_expires_at"] == ["user_id", "ended_at", "expires_at"]
    assert indexes["ix_corbado_session_ended_at"] == ["ended_at"]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("short_not_before > 1 AND ended_at IS NULL", "ix_corbado_session_short_not_before"),
        ("ended_at > 1", "ix_corbado_session_ended_at"),
        ("device_id = 'd' AND ended_at IS NULL", "ix_corbado_session_device_id"),
        ("id IN ('a', 'b', 'c') AND ended_at IS NULL", "sqlite_autoindex_corbado_session_1"),
        ("created_at < 1 AND ended_at IS NULL", "ix_corbado_session_created_at"),
    ],
)
def test_no_question_on_sqlite_walks_through_all_that_have_not_ended(
    sqlite_url: str, condition: str, index: str
) -> None:
    metadata, engine = MetaData(), create_engine(sqlite_url)
    tables_in(metadata)
    metadata.create_all(engine)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN SELECT id FROM corbado_session WHERE {condition}").all()
    assert index in str(plan)
