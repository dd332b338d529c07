"""Every driver that works: a session from sign-in to revocation, bounded waits, and errors that say what is wrong."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import NullPool, create_engine, make_url, text

from flask_corbado_session import Notice
from flask_corbado_session.model.errors import BadData, StoreUnavailable, TablesMissing
from flask_corbado_session.testing import expire_short, move_clock, signed_in
from tests.conftest import DATABASES
from tests.support.apps import make_app, rows_of, state_of, statements, unprepared_app
from tests.support.jars import SHORT, Jar, asked
from tests.support.oracle import MIN_AGE
from tests.support.rules import database_at
from tests.support.stopwatch import Stopwatch

DRIVERS = {
    "sqlite+pysqlite": "sqlite3",
    "postgresql+psycopg": "psycopg",
    "postgresql+psycopg2": "psycopg2",
    "postgresql+pg8000": "pg8000",
    "mysql+pymysql": "pymysql",
    "mariadb+pymysql": "pymysql",
    "mysql+mysqldb": "MySQLdb",
    "mysql+mysqlconnector": "mysql",
    "mariadb+mariadbconnector": "mariadb",
}
FIXTURES = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mysql": "mysql_url", "mariadb": "mysql_url"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest) -> str:
    """An empty database's URL with each driver."""
    driver: str = request.param
    backend = driver.partition("+")[0]
    if FIXTURES[backend] == "mysql_url" and "mysql" not in DATABASES:
        pytest.skip("there is no MariaDB, and TEST_MYSQL_URL names none")
    if importlib.util.find_spec(DRIVERS[driver]) is None:
        pytest.skip(f"{DRIVERS[driver]} is not installed")
    database: str = request.getfixturevalue(FIXTURES[backend])
    return make_url(database).set(drivername=driver).render_as_string(hide_password=False)


def server_only(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file has no server")


def named(client: FlaskClient) -> Any:
    """What the only device is called."""
    return client.get("/session/devices", headers={"Accept": "application/json"}).get_json()["devices"][0]["name"]


def device_id(app: Flask) -> str:
    (device,) = rows_of(app).revocation.devices("alice", None)
    return device.id


def test_a_session_lives_from_sign_in_to_revocation(url: str) -> None:
    app, _, sessions = make_app(url)
    clock, notices = move_clock(app), list[Notice]()
    sessions.notifier(notices.append)
    client = signed_in(app, "alice", claims={"role": "é📱"}, user_agent=FIREFOX)
    assert [notice.device_label for notice in notices] == ["Firefox on Linux"]
    for expected in (["UPDATE"], ["UPDATE"]):
        clock.move(milliseconds=MIN_AGE + 1)
        expire_short(client)
        client.get("/public")
        with statements(app) as seen:
            assert client.get("/recheck").get_json()["user_id"] == "alice"
        assert seen.verbs[: len(expected)] == expected or "SELECT" in seen.verbs
    assert client.post(f"/session/devices/{device_id(app)}/name", json={"name": "Mein Gerät"}).status_code == 204
    assert named(client) == "Mein Gerät"
    again = client.post("/sign-in", data={"user": "alice"})
    assert (again.status_code, len(notices)) == (200, 1)
    with app.app_context():
        sessions.revoke_user("alice")
    assert client.get("/protected").status_code == 401
    assert sorted(str(each.end_reason) for each in rows_of(app).revocation.history("alice")) == [
        "operator",
        "superseded",
    ]


def test_a_session_that_one_process_revoked_is_out_of_the_other_whatever_the_driver_calls_a_text(url: str) -> None:
    """On MariaDB the ids of the ended came as bytes, and the session went on until its short one expired."""
    app, _, sessions = make_app(url)
    other, _, _ = unprepared_app(url)
    clock = state_of(other).clock.read = move_clock(app)
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    assert asked(other, jar, short=True).cookies == {}
    with app.app_context():
        sessions.expire_short("alice")
    clock.move(seconds=1)
    assert set(asked(other, jar, short=True).cookies) == {SHORT}
    with app.app_context():
        sessions.revoke_user("alice")
    clock.move(seconds=1)
    assert asked(other, jar, short=True).status == 401


def test_ids_are_exact(url: str) -> None:
    """On MariaDB ``alice`` and ``alice `` saw and ended each other's sessions: collations ignore case, or pad."""
    app, _, sessions = make_app(url)
    client = signed_in(app, "alice")
    people = ["alice ", "Alice", "alicé", " alice"]
    for user_id in people:
        signed_in(app, user_id, client=app.test_client())
    with app.app_context():
        assert [len(sessions.devices(user_id)) for user_id in ["alice", *people]] == [1] * 5
        for user_id in people:
            sessions.revoke_user(user_id)
        assert [len(sessions.devices(user_id)) for user_id in ["alice", *people]] == [1, 0, 0, 0, 0]
    assert client.get("/recheck").get_json()["user_id"] == "alice"


def test_two_people_whose_ids_differ_by_a_space_share_a_browser(url: str) -> None:
    app, _, sessions = make_app(url)
    client = signed_in(app, "alice")
    assert client.post("/sign-in", json={"user": "alice "}).status_code == 200
    with app.app_context():
        assert [len(sessions.devices(user_id)) for user_id in ("alice", "alice ")] == [0, 1]


# ---- waits and errors


@pytest.fixture
def client(url: str) -> tuple[Flask, FlaskClient]:
    app, _, _ = make_app(url)
    return app, signed_in(app, "alice")


def test_a_locked_row_is_given_up_after_two_seconds(url: str, client: tuple[Flask, FlaskClient]) -> None:
    other = create_engine(url, poolclass=NullPool)
    with other.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE" if url.startswith("sqlite") else "SELECT 1")
        holder.execute(text("UPDATE corbado_session SET reopened = reopened"))
        since = Stopwatch()
        assert client[1].post("/sign-out").status_code == 503
        assert since.seconds < 3.5
        holder.rollback()


@pytest.mark.usefixtures("late_losses")
def test_a_connection_that_the_server_closed_is_replaced(url: str, client: tuple[Flask, FlaskClient]) -> None:
    server_only(url)
    other, app = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT"), client[0]
    postgres = url.startswith("postgresql")
    ask = "SELECT pg_backend_pid()" if postgres else "SELECT connection_id()"

    def own() -> Any:
        return rows_of(app).database.run(lambda connection: connection.exec_driver_sql(ask).scalar())

    stale = own()
    with other.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({stale}, 5000)" if postgres else f"KILL {stale}")
    assert own() != stale
    assert client[1].get("/recheck").status_code == 200


def test_missing_tables_are_said_to_be_missing(url: str) -> None:
    with pytest.raises(TablesMissing) as caught:
        database_at(url).run(lambda connection: connection.exec_driver_sql("SELECT id FROM corbado_session"))
    assert caught.value.__cause__ is not None


def test_a_server_that_is_not_there_is_down(url: str) -> None:
    server_only(url)
    with pytest.raises(StoreUnavailable, match="did not answer"):
        run_on(make_url(url).set(port=1))


def test_a_database_that_is_not_there_is_told_apart(url: str) -> None:
    server_only(url)
    with pytest.raises(StoreUnavailable, match="check the role, its password, and the name of the database") as caught:
        run_on(make_url(url).set(database="no_such_database"))
    assert caught.value.__cause__ is not None, "the log has what the driver said"


def test_a_role_that_is_not_there_is_told_apart(url: str) -> None:
    server_only(url)
    with pytest.raises(StoreUnavailable, match="check the role, its password"):
        run_on(make_url(url).set(username="nobody", password="wrong"))


def run_on(url: Any) -> None:
    database_at(url.render_as_string(hide_password=False)).run(
        lambda connection: connection.exec_driver_sql("SELECT 1")
    )


def test_a_role_without_permission_is_told_apart(url: str, client: tuple[Flask, FlaskClient]) -> None:
    """At cd6b537: "run init-db", which would not have helped."""
    server_only(url)
    name, other = "corbado_reader", create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    database, postgres = make_url(url).database, url.startswith("postgresql")
    with other.connect() as connection:
        if postgres:
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {name}")
        else:
            connection.exec_driver_sql(f"CREATE OR REPLACE USER {name}@'%%' IDENTIFIED BY ''")
            connection.exec_driver_sql("CREATE TABLE readable (a INTEGER)")
            connection.exec_driver_sql(f"GRANT SELECT ON {database}.readable TO {name}@'%%'")
    reader = make_url(url).set(username=name, password=None).render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailable, match="permission denied: GRANT SELECT, INSERT, UPDATE, DELETE"):
        database_at(reader).run(lambda connection: connection.exec_driver_sql("SELECT id FROM corbado_session"))


def test_a_value_that_the_column_cannot_hold_is_bad_data_and_is_quoted_nowhere(
    url: str, client: tuple[Flask, FlaskClient], caplog: pytest.LogCaptureFixture
) -> None:
    server_only(url)
    database = rows_of(client[0]).database
    table = database.tables.device
    with pytest.raises(BadData) as caught:
        database.run(lambda connection: connection.execute(table.update().values(browser="wrong" * 99)))
    assert "wrong" not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__ and "")))
    assert caught.value.__cause__ is None


@pytest.mark.skipif("mysql" not in DATABASES, reason="there is no MariaDB, and TEST_MYSQL_URL names none")
def test_a_device_is_named_in_any_letters_where_the_servers_default_charset_is_old(mysql_url: str) -> None:
    with create_engine(mysql_url, poolclass=NullPool).begin() as connection:
        connection.execute(text(f"ALTER DATABASE {make_url(mysql_url).database} CHARACTER SET latin1"))
    app, _, _ = make_app(mysql_url)
    client = signed_in(app, "alice")
    path = f"/session/devices/{device_id(app)}/name"
    assert client.post(path, json={"name": "📱"}).status_code == 204
    assert (
        "📱" in client.get("/session/devices", headers={"Accept": "application/json"}).get_json()["devices"][0]["name"]
    )


@pytest.mark.skipif("mysql" not in DATABASES, reason="there is no MariaDB, and TEST_MYSQL_URL names none")
def test_a_device_name_that_an_older_table_cannot_hold_is_a_400(
    mysql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At cd6b537 a 503 for ever."""
    app, _, _ = make_app(mysql_url)
    client = signed_in(app, "alice")
    with create_engine(mysql_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("ALTER TABLE corbado_device MODIFY name VARCHAR(80) CHARACTER SET latin1"))
    with caplog.at_level(logging.DEBUG, "flask_corbado_session"):
        answer = client.post(f"/session/devices/{device_id(app)}/name", json={"name": "📱"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")
    assert "📱" not in caplog.text


@pytest.mark.skipif("mysql" not in DATABASES, reason="there is no MariaDB, and TEST_MYSQL_URL names none")
def test_a_device_may_be_given_the_name_it_has_where_the_driver_counts_only_what_changed(mysql_url: str) -> None:
    """A 404: the flag that SQLAlchemy sets is gone where an app sets its own."""
    app, _, _ = make_app(mysql_url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"client_flag": 0}})
    client = signed_in(app, "alice")
    for path, status in ((device_id(app), 204), (device_id(app), 204), ("A" * 30, 404)):
        assert client.post(f"/session/devices/{path}/name", json={"name": "Laptop"}).status_code == status


def test_the_log_has_the_cause_of_a_503(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app, _, _ = unprepared_app("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    with caplog.at_level(logging.ERROR, "flask_corbado_session"):
        assert app.test_client().post("/sign-in", data={"user": "alice"}).status_code == 503
    assert "did not answer: OperationalError" in caplog.text
    assert "psycopg.OperationalError" in caplog.text
    assert "Connection refused" in caplog.text
    assert "alice" not in caplog.text
    assert "secret" not in caplog.text
