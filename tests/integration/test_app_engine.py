"""The library's engine connects as the app's own does, wherever the app says how, and stores what it answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData, NullPool, QueuePool, create_engine, event, make_url, text
from sqlalchemy.orm import DeclarativeBase

from flask_corbado_session import CorbadoSession, SettingsError, StoreUnavailable, login_required, login_user
from flask_corbado_session.testing import signed_in
from tests.support.apps import SECRET_KEY, rows_of

APP_NAME = "-c application_name=the_app"


def app_on(
    url: Any = None,
    *,
    db: SQLAlchemy | None = None,
    last_word: dict[str, Any] | None = None,
    ready: bool = True,
    instance_path: str | None = None,
    **config: Any,
) -> Flask:
    app, db = Flask(__name__, instance_path=instance_path), db or SQLAlchemy()
    app.config.update({"TESTING": True, "SECRET_KEY": SECRET_KEY, "SQLALCHEMY_DATABASE_URI": url} | config)
    db.init_app(app)
    CorbadoSession(db, engine_options=last_word).init_app(app)
    app.add_url_rule("/", view_func=login_required(lambda: "in"), endpoint="home")

    @app.post("/sign-in")
    def sign_in() -> str:
        login_user("alice")
        return "in"

    if ready:
        rows_of(app).database.create_tables()
    return app


def own(app: Flask) -> Engine:
    return rows_of(app).database.engine


def asked(app: Flask, statement: str) -> Any:
    return rows_of(app).database.run(lambda connection: connection.execute(text(statement)).scalar())


def is_stored(app: Flask, url: str) -> bool:
    """Whether a sign-in that is answered is in the database, as another process sees it."""
    client = app.test_client()
    assert client.post("/sign-in").status_code == 200
    assert client.get("/").status_code == 200
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM corbado_session")).scalar() == 1


# ---- options


@pytest.mark.parametrize("where", ["constructor", "config", "bind", "bind over constructor"])
def test_the_options_are_the_apps_wherever_it_gives_them(sqlite_url: str, where: str) -> None:
    options = {"pool_recycle": 7, "connect_args": {"cached_statements": 3}}
    bind = {"url": sqlite_url, **options}
    app = {
        "constructor": lambda: app_on(sqlite_url, db=SQLAlchemy(engine_options=options)),
        "config": lambda: app_on(sqlite_url, SQLALCHEMY_ENGINE_OPTIONS=options),
        "bind": lambda: app_on(SQLALCHEMY_BINDS={None: bind}),
        "bind over constructor": lambda: app_on(
            db=SQLAlchemy(engine_options={"pool_recycle": 8}), SQLALCHEMY_BINDS={None: bind}
        ),
    }[where]()
    assert own(app).pool._recycle == 7
    assert signed_in(app, "alice").get("/").text == "in"


def test_the_url_may_stand_among_the_options(sqlite_url: str) -> None:
    app = app_on(db=SQLAlchemy(engine_options={"url": sqlite_url}))
    assert is_stored(app, sqlite_url)


def test_options_that_came_as_text_are_read_as_flask_sqlalchemy_reads_them(sqlite_url: str) -> None:
    app = app_on(sqlite_url, SQLALCHEMY_ENGINE_OPTIONS={"pool_recycle": "7", "pool_pre_ping": "true"})
    assert own(app).pool._recycle == 7


def test_the_extensions_own_engine_options_have_the_last_word(postgres_url: str) -> None:
    last_word = {
        "pool_size": 2,
        "max_overflow": 1,
        "connect_args": {"options": "-c statement_timeout=7s", "connect_timeout": 9},
        "isolation_level": "SERIALIZABLE",
        "execution_options": {"isolation_level": "SERIALIZABLE"},
    }
    app = app_on(postgres_url, last_word=last_word, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"options": APP_NAME}})
    pool = own(app).pool
    assert isinstance(pool, QueuePool)
    assert (pool.size(), pool._max_overflow) == (2, 1)
    shown = [asked(app, f"SHOW {name}") for name in ("statement_timeout", "lock_timeout", "transaction_isolation")]
    assert (shown, asked(app, "SHOW application_name")) == (["7s", "2s", "read committed"], "the_app")
    assert is_stored(app, postgres_url)


def test_the_extensions_own_engine_options_may_name_another_database(sqlite_url: str, postgres_url: str) -> None:
    app = app_on(sqlite_url, last_word={"url": postgres_url})
    assert own(app).dialect.name == "postgresql"
    assert is_stored(app, postgres_url)


@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": "SERIALIZABLE"},
        {"execution_options": {"isolation_level": "SERIALIZABLE"}},
        {"connect_args": {"isolation_level": "DEFERRED"}},
        {"connect_args": {"autocommit": False}},
    ],
    ids=str,
)
def test_a_sign_in_that_answered_is_stored_whatever_isolation_the_options_ask_for(
    database_url: str, options: dict[str, Any]
) -> None:
    """At cd6b537 an app with execution_options of SERIALIZABLE lost every one on SQLite, and none was to be had on
    PostgreSQL."""
    if "connect_args" in options and not database_url.startswith("sqlite"):
        pytest.skip("sqlite3's own arguments")
    assert is_stored(app_on(database_url, last_word=options), database_url)
    if "connect_args" not in options:
        assert is_stored(app_on(database_url, SQLALCHEMY_ENGINE_OPTIONS=options), database_url) is False  # two by now


def test_a_url_that_asks_for_another_isolation_is_not_heard(sqlite_url: str) -> None:
    assert is_stored(app_on(f"{sqlite_url}?isolation_level=IMMEDIATE"), sqlite_url)


# ---- listeners and creators


@pytest.fixture
def every_engine() -> Iterator[list[Any]]:
    """A listener on the class Engine, which turns autocommit off; and how often it ran."""
    ran: list[Any] = []

    def turn_off(connection: Any, record: Any) -> None:
        ran.append(connection)
        if isinstance(connection, sqlite3.Connection):
            connection.isolation_level = "DEFERRED"
        elif callable(connection.autocommit):  # PyMySQL's
            connection.autocommit(False)
        else:
            connection.autocommit = False

    event.listen(Engine, "connect", turn_off)
    yield ran
    event.remove(Engine, "connect", turn_off)


def test_a_listener_on_every_engine_that_turns_autocommit_off_loses_no_sign_in(
    database_url: str, every_engine: list[Any]
) -> None:
    app = app_on(database_url)
    assert len(every_engine) == 1, "not a second time as the app's own"
    assert is_stored(app, database_url)


def test_the_apps_do_connect_listener_is_called_for_each_connection(postgres_url: str) -> None:
    """It adds a token that is good for minutes, say."""
    app = app_on(postgres_url, ready=False)
    tokens = iter(range(1, 9))
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine

    @event.listens_for(engine, "do_connect")
    def add_token(dialect: Any, record: Any, args: Any, params: dict[str, Any]) -> None:
        params["application_name"] = f"token-{next(tokens)}"

    assert asked(app, "SHOW application_name") == "token-1"
    assert asked(app, "SHOW statement_timeout") == "2s"
    rows_of(app).database.dispose()
    assert asked(app, "SHOW application_name") == "token-2"


def test_a_do_connect_listener_may_connect_by_itself(postgres_url: str) -> None:
    app = app_on(postgres_url, ready=False)
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, params: dict[str, Any]) -> Any:
        return dialect.loaded_dbapi.connect(*args, **{**params, "options": APP_NAME})

    assert asked(app, "SHOW application_name") == "the_app"
    assert asked(app, "SHOW statement_timeout") == "2s", "set by a statement"
    rows_of(app).database.create_tables()
    assert is_stored(app, postgres_url)


def test_the_apps_connect_listener_is_called_and_has_no_say_in_isolation(postgres_url: str) -> None:
    app = app_on(postgres_url, ready=False)
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.autocommit = False
        connection.execute("CREATE SCHEMA IF NOT EXISTS of_the_app")
        connection.execute("SET search_path = of_the_app")
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        connection.execute("SET statement_timeout = '1min'")
        connection.commit()

    shown = [asked(app, f"SHOW {name}") for name in ("search_path", "transaction_isolation", "statement_timeout")]
    assert shown == ["of_the_app", "read committed", "2s"]
    rows_of(app).database.create_tables()
    assert is_stored(app, f"{postgres_url}?options=-csearch_path%3Dof_the_app")


def test_the_apps_creator_makes_the_connections(postgres_url: str) -> None:
    import psycopg

    plain = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    app = app_on(
        "postgresql+psycopg://",
        SQLALCHEMY_ENGINE_OPTIONS={"creator": lambda: psycopg.connect(plain, application_name="created")},
    )
    shown = [asked(app, f"SHOW {name}") for name in ("application_name", "statement_timeout", "lock_timeout")]
    assert shown == ["created", "2s", "2s"]
    assert is_stored(app, postgres_url)


def test_a_creator_of_sqlite_connections_serves_every_thread(sqlite_url: str) -> None:
    path = str(make_url(sqlite_url).database)
    app = app_on("sqlite://", SQLALCHEMY_ENGINE_OPTIONS={"creator": lambda: sqlite3.connect(path)})
    assert is_stored(app, sqlite_url)
    assert asked(app, "PRAGMA busy_timeout") == 2000


def test_the_apps_tls_arguments_are_kept(postgres_url: str) -> None:
    app = app_on(postgres_url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"sslmode": "require"}}, ready=False)
    with pytest.raises(Exception, match=r"did not answer: OperationalError") as caught:
        asked(app, "SELECT 1")
    assert "SSL" in str(caught.value.__cause__)


# ---- metadata


def test_the_tables_stand_in_the_schema_of_the_metadata(postgres_url: str) -> None:
    """At cd6b537 a KeyError at import."""
    with create_engine(postgres_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE SCHEMA auth"))
    db = SQLAlchemy(metadata=MetaData(schema="auth"))
    CorbadoSession(db)  # a second extension on the same metadata finds them
    app = app_on(postgres_url, db=db)
    assert signed_in(app, "alice").get("/").text == "in"
    assert asked(app, "SELECT count(*) FROM auth.corbado_session") == 1


def test_a_base_class_with_metadata_of_its_own_has_the_tables(sqlite_url: str) -> None:
    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

    app = app_on(sqlite_url, db=SQLAlchemy(model_class=Base))
    assert "corbado_session" in Base.metadata.tables
    assert is_stored(app, sqlite_url)


def test_an_app_whose_only_database_has_a_name_keeps_its_sessions_there(sqlite_url: str) -> None:
    app = app_on(SQLALCHEMY_BINDS={"people": {"url": sqlite_url, "pool_recycle": 7}})
    assert own(app).pool._recycle == 7
    assert is_stored(app, sqlite_url)


def test_an_app_with_several_named_databases_and_no_default_is_asked_which(sqlite_url: str) -> None:
    binds = {"people": sqlite_url, "goods": "sqlite://"}
    with pytest.raises(SettingsError, match=r"no default database, but 'people', 'goods': .*engine_options="):
        own(app_on(SQLALCHEMY_BINDS=binds, ready=False))
    assert is_stored(app_on(SQLALCHEMY_BINDS=binds, last_word={"url": sqlite_url}), sqlite_url)


# ---- drivers


@pytest.mark.parametrize(
    "form",
    [
        "sqlite:///{path}",
        "sqlite+pysqlite:///{path}",
        "sqlite:///file:{path}?uri=true",
        "sqlite:///file:{path}?mode=rwc&uri=true",
        "sqlite:///relative.sqlite",
        "sqlite:///{path}?timeout=30&cached_statements=5",
    ],
)
def test_sqlite_is_at_home_in_every_form_of_a_file(form: str, tmp_path: Path) -> None:
    url, path = form.format(path=tmp_path / "test.sqlite"), tmp_path / "test.sqlite"
    app = app_on(url, instance_path=str(tmp_path))
    if "relative" in form:
        path = tmp_path / "relative.sqlite"
    assert is_stored(app, f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:"])
def test_sqlite_is_at_home_in_every_form_of_memory(url: str) -> None:
    app = app_on(url, ready=False)
    assert signed_in(app, "alice").get("/").text == "in"
    assert asked(app, "SELECT count(*) FROM corbado_session") == 1


def test_a_file_that_may_only_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "test.sqlite"
    app_on(f"sqlite:///{path}")
    app = app_on(f"sqlite:///file:{path}?mode=ro&uri=true", ready=False)
    with pytest.raises(StoreUnavailable, match="permission denied"):
        asked(app, "DELETE FROM corbado_session RETURNING 1")


def test_an_async_driver_is_refused_with_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r"psycopg_async is an async driver.*write postgresql\+psycopg://"):
        app_on("postgresql+psycopg_async://127.0.0.1:1/none")


def test_an_async_driver_is_refused_at_first_use_where_the_database_is_set_up_later() -> None:
    app, db = Flask(__name__), SQLAlchemy()
    app.config.update(
        TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI="postgresql+psycopg_async://127.0.0.1:1/none"
    )
    CorbadoSession(db).init_app(app)
    db.init_app(app)
    with pytest.raises(SettingsError, match="async driver"):
        own(app)
