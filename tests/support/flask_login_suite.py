"""Runs Flask-Login's own tests against this package: ``python -m tests.support.flask_login_suite TESTS RESULTS``.

Their apps have no database, so each gets one here, and what test clients need. Nothing else of them is changed.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_corbado_session.flask_login import LoginManager, install


class App(flask.Flask):
    """A Flask app with a database in which the tables are made already."""

    database_url = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # as they expect it, an error in a view is a 500, which TESTING alone would raise
        self.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=False, SQLALCHEMY_DATABASE_URI=self.database_url)

        class Base(DeclarativeBase):
            pass

        SQLAlchemy(model_class=Base).init_app(self)


def make_tables() -> None:
    """In the one database of all their apps."""
    app = App(__name__)
    app.config["SECRET_KEY"] = "only for the tables"
    LoginManager(app)
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()


def provide_semantic_version() -> None:
    """They ask it for nothing but the version of Python, which they then do not look at."""
    try:
        __import__("semantic_version")
    except ImportError:
        module = types.ModuleType("semantic_version")
        vars(module)["Version"] = types.SimpleNamespace
        sys.modules["semantic_version"] = module


class Results:
    """A pytest plugin that keeps the name and outcome of every test."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst of set-up, test and tear-down."""
        name = "::".join(report.nodeid.split("::")[1:])
        if report.when == "call" or report.outcome != "passed":
            self.of[name] = report.outcome


def main(tests: Path, written_to: Path) -> None:
    """Run the tests of a file."""
    App.database_url = f"sqlite:///{written_to.parent / 'suite.sqlite'}"
    install()
    make_tables()
    provide_semantic_version()
    flask.Flask = App  # type: ignore[misc]
    results = Results()
    # a configuration of its own: neither ours nor that of the unpacked source applies
    ini = written_to.with_suffix(".ini")
    ini.write_text("[pytest]\n")
    options = [str(tests), "-c", str(ini), "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *sys.argv[3:]]
    pytest.main(options, plugins=[results])
    written_to.write_text(json.dumps(results.of))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
