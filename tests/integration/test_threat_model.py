"""What docs/threat-model.md says and no other test shows: what each secret is worth alone. And its table itself."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from flask_corbado_session.testing import signed_in
from flask_corbado_session.tokens.long import LongTokenSigner, first_token
from tests.support.apps import SECRET_KEY, make_app, rows_of
from tests.support.jars import DEVICE, LONG, SHORT
from tests.support.key_files import a_jwk, key_file
from tests.support.named_tests import DOCS, missing_in, named_in
from tests.support.services import ISSUER, bearer
from tests.support.site import Site, cookie_of, look_up_ended

PAGE = DOCS / "threat-model.md"


def spellings(value: Any) -> Iterator[str]:
    """A value of a row in each way in which it could stand in a cookie."""
    if isinstance(value, (bytes, memoryview)):
        raw = bytes(value)
        yield from (raw.hex(), b64encode(raw).decode(), urlsafe_b64encode(raw).rstrip(b"=").decode())
    elif value is not None:
        yield str(value)


def test_nothing_that_lies_in_the_database_signs_anybody_in(sqlite_url: str) -> None:
    site = Site(sqlite_url)
    site.signed_in()
    database = rows_of(site.app).database
    values = set()
    with database.engine.connect() as connection:
        for table in (database.tables.session, database.tables.device):
            for row in connection.execute(select(table)):
                values |= {spelled for value in row for spelled in spellings(value)}
    assert len(values) > 15
    look_up_ended(site.app)
    for value in values:
        for name in (SHORT, LONG, DEVICE):
            client = site.nobody()
            client.set_cookie(name, value)
            assert client.get("/protected").status_code == 401
        assert site.nobody().get("/protected", headers=bearer(value)).status_code == 401


def test_the_secret_key_alone_gives_no_long_session(sqlite_url: str) -> None:
    """Whoever has it signs a token of anybody's session, and lacks that session's secret."""
    site = Site(sqlite_url)
    alice = site.signed_in()
    session_id, _ = site.ids()
    client = site.nobody()
    client.set_cookie(LONG, LongTokenSigner([SECRET_KEY]).dump(first_token(session_id)[0]))
    assert client.get("/protected").status_code == 401
    site.clock.move(minutes=20)
    assert (alice.get("/protected").status_code, site.end_reasons()) == (200, [])


def test_without_a_key_file_the_secret_key_alone_signs_short_sessions(sqlite_url: str, tmp_path: Path) -> None:
    """A limit, said on the page: a view that reads the row is what refuses them."""
    site = Site(sqlite_url, CORBADO_SESSION_ISSUER=ISSUER)
    client = site.nobody()
    client.set_cookie(SHORT, _signed_elsewhere(tmp_path))
    assert client.get("/protected").get_json()["user_id"] == "root"
    assert client.get("/recheck").status_code == 401


def test_with_a_key_file_the_secret_key_alone_gives_no_short_session_either(sqlite_url: str, tmp_path: Path) -> None:
    file = key_file(tmp_path / "keys.json", a_jwk("ES256"))
    site = Site(sqlite_url, CORBADO_SESSION_ISSUER=ISSUER, CORBADO_SESSION_KEYS_FILE=str(file))
    client = site.nobody()
    client.set_cookie(SHORT, _signed_elsewhere(tmp_path))
    assert client.get("/protected").status_code == 401


def _signed_elsewhere(folder: Path) -> str:
    """A short session of root's, made by whoever knows the key and the issuer, on a database of their own."""
    app, _, _ = make_app(f"sqlite:///{folder / 'elsewhere.sqlite'}", CORBADO_SESSION_ISSUER=ISSUER)
    return cookie_of(signed_in(app, "root"))


def test_a_new_secret_key_without_fallbacks_ends_every_session_at_once(sqlite_url: str) -> None:
    """What to do when it was stolen: the next start of the app accepts nothing that the old key signed."""
    old, _, _ = make_app(sqlite_url)
    client = signed_in(old, "alice")
    new, _, _ = make_app(sqlite_url, SECRET_KEY="another secret key, made just now")
    for name in (SHORT, LONG):
        stranger = new.test_client()
        stranger.set_cookie(name, cookie_of(client, name))
        assert stranger.get("/protected").status_code == 401


# ---- the page


def test_every_test_that_the_threat_model_names_exists() -> None:
    assert missing_in(PAGE.read_text()) == []


def test_every_defence_of_the_threat_model_is_shown_by_a_test() -> None:
    threats = re.findall(r"^\| [A-Z]\d+ \|.*$", PAGE.read_text(), re.MULTILINE)
    assert len(threats) > 25
    assert [threat.split("|")[1].strip() for threat in threats if not named_in(threat)] == []
