"""A browser taken apart: its cookies, requests and answers, each moved by the test; and the rows as they lie."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import NullPool, create_engine, text

from flask_corbado_session.testing import MovingClock
from tests.support.oracle import Row

SHORT = "__Host-cbo_short_session"
LONG = "__Host-cbo_long_session"
DEVICE = "__Host-cbo_device"


class Answer(NamedTuple):
    """What came back: the status, the JSON body, and each Set-Cookie (None deletes)."""

    status: int
    body: Any
    headers: Mapping[str, str]
    cookies: dict[str, str | None]

    def __repr__(self) -> str:
        return f"<answer {self.status} with {len(self.cookies)} cookies>"


class Sent(NamedTuple):
    """A request on its way, with the cookies it left with."""

    path: str
    method: str
    cookies: dict[str, str]
    user_agent: str
    ip: str
    form: dict[str, str]

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} with {', '.join(self.cookies)}>"

    @property
    def headers(self) -> dict[str, str]:
        """The headers a browser sends."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"User-Agent": self.user_agent, "Cookie": cookies, "Accept": "application/json"}


@dataclass
class Jar:
    """The cookies of one browser."""

    cookies: dict[str, str] = field(default_factory=dict, repr=False)
    user_agent: str = "Owner/1.0"
    ip: str = "192.0.2.1"

    def sends(self, path: str = "/protected", method: str = "GET", *, short: bool = False, **form: str) -> Sent:
        """A request; without ``short`` the short session's cookie has run out."""
        kept = {name: value for name, value in self.cookies.items() if short or name != SHORT}
        return Sent(path, method, kept, self.user_agent, self.ip, form)

    def take(self, answer: Answer) -> Answer:
        """Keep the cookies of an answer that has arrived."""
        for name, value in answer.cookies.items():
            if value is None:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def copy(self, user_agent: str = "Thief/6.6", ip: str = "203.0.113.6") -> Jar:
        """The same cookies in the browser of somebody else."""
        return Jar(dict(self.cookies), user_agent, ip)


def processed(app: Flask, sent: Sent) -> Answer:
    """What the app answers."""
    response = app.test_client(use_cookies=False).open(
        sent.path, method=sent.method, headers=sent.headers, data=sent.form, environ_base={"REMOTE_ADDR": sent.ip}
    )
    headers = dict(response.headers)
    return Answer(
        response.status_code, response.get_json(silent=True), headers, _cookies(response.headers.getlist("Set-Cookie"))
    )


def asked(app: Flask, jar: Jar, path: str = "/protected", method: str = "GET", **how: Any) -> Answer:
    """Send, process and deliver at once."""
    return jar.take(processed(app, jar.sends(path, method, **how)))


def served(port: int, sent: Sent, timeout: float = 10) -> Answer:
    """What the server on this port of loopback answers; OSError if it does not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        body = "&".join(f"{name}={value}" for name, value in sent.form.items())
        more = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(sent.method, sent.path, body or None, {**sent.headers, **more})
        response = connection.getresponse()
        content = response.read()
        given = response.headers.get_all("Set-Cookie") or []
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(
            response.status, json.loads(content) if is_json else None, dict(response.headers), _cookies(given)
        )
    finally:
        connection.close()


def _cookies(headers: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for header in headers:
        name, _, rest = header.partition("=")
        value, *attributes = rest.split(";")
        found[name] = None if "Max-Age=0" in [each.strip() for each in attributes] else value
    return found


def payload(short: str) -> dict[str, Any]:
    """The claims of a short session's token; its signature is not looked at."""
    body = short.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


class SessionRows:
    """The table ``corbado_session`` as it lies in the database, by a connection of the test's own."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._connection = self._engine.connect()

    def all(self) -> dict[str, dict[str, Any]]:
        """Every row by its id."""
        rows = self._connection.execute(text("SELECT * FROM corbado_session")).mappings()
        return {as_text(row["id"]): {name: as_text(value, name) for name, value in row.items()} for row in rows}

    def one(self) -> dict[str, Any]:
        """The only row."""
        (row,) = self.all().values()
        return row

    def put(self, session_id: str, **columns: Any) -> None:
        """Write columns, as a failover or the passing of time does."""
        changes = ", ".join(f"{name} = :{name}" for name in columns)
        self.run(f"UPDATE corbado_session SET {changes} WHERE id = :which", which=session_id, **columns)

    def let_pass(self, ms: int) -> None:
        """Make every session's last step ``ms`` older than it is."""
        self.run("UPDATE corbado_session SET rotated_at = rotated_at - :ms", ms=ms)

    def count_changes(self) -> None:
        """From now on count every row that is changed, whoever changes it."""
        self.run("CREATE TABLE counted (generation INTEGER)")
        insert = "INSERT INTO counted VALUES (NEW.generation);"
        when = "CREATE TRIGGER count_change AFTER UPDATE ON corbado_session FOR EACH ROW"
        if self._engine.dialect.name != "postgresql":
            self.run(f"{when} BEGIN {insert} END")
        else:
            body = f"BEGIN {insert} RETURN NEW; END"
            self.run(f"CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
            self.run(f"{when} EXECUTE FUNCTION count_change()")

    def changes(self) -> int:
        """How many there have been."""
        counted: int = self._connection.execute(text("SELECT count(*) FROM counted")).scalar_one()
        return counted

    def run(self, statement: str, **values: Any) -> None:
        """Run a statement."""
        self._connection.execute(text(statement), values)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> SessionRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def as_text(value: Any, name: str = "id") -> Any:
    """A text, which MySQL's VARBINARY gives as bytes."""
    return value.decode() if isinstance(value, bytes) and name in ("id", "user_id", "device_id") else value


def as_row(row: Mapping[str, Any]) -> Row:
    """What the transition asks of a row."""
    return Row(row["generation"], bytes(row["token_hash"]), row["rotated_at"], row["reopened"])


def owner_of_a_session(app: Flask, clock: MovingClock) -> Jar:
    """The jar of alice, who signed in a short lifetime ago: her next refresh moves the row on."""
    jar = Jar()
    asked(app, jar, "/sign-in", "POST", user="alice")
    clock.move(minutes=15)
    return jar
