"""The rules without Flask: lifecycle and overview on a real database, with a clock that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blinker import NamedSignal
from flask_corbado_session.sessions.lifecycle import Lifecycle
from sqlalchemy import MetaData, make_url

from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.rotation import Rotation
from flask_corbado_session.database.sessions import Store
from flask_corbado_session.database.tables import Tables, tables_in
from flask_corbado_session.keys.key import SecretKeys
from flask_corbado_session.model import signals
from flask_corbado_session.model.clock import Clock
from flask_corbado_session.model.outcome import Refreshed, Started
from flask_corbado_session.model.settings import Settings
from flask_corbado_session.sessions.hooks import Loaders
from flask_corbado_session.sessions.new_device import DisownLinks
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.sessions.revocation import Revocation
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.tokens.short import ShortTokenVerifier
from flask_corbado_session.verification.ended import EndedSet
from flask_corbado_session.verification.short_sessions import ShortSessionAuthenticator

SECRET = "a secret of the tests, long enough"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Rules:
    """One process's rules; ``sender`` is what its signals are sent by."""

    clock: MovingClock
    settings: Settings
    database: Database
    tables: Tables
    store: Store
    ended: EndedSet
    shorts: ShortSessionAuthenticator
    lifecycle: Lifecycle
    overview: Revocation
    loaders: Loaders
    sender: object = field(default_factory=object)

    def start(self, user_id: str = "alice", presented: PresentedTokens | None = None, **given: Any) -> Started:
        """Sign in as a browser that says nothing of itself."""
        how: dict[str, Any] = {"persistent": True, "claims": {}, "amr": ("pwd",)} | given
        return self.lifecycle.start(user_id, presented or PresentedTokens(), **how)

    def refresh(self, long_token: str, **presented: Any) -> Any:
        """What comes of a request whose short session is gone."""
        return self.lifecycle.resolve(PresentedTokens(long=[long_token], **presented))

    def warm(self) -> None:
        """Bring the ended set up to date now, so that what follows is counted without it."""
        self.ended.bring_up_to_date()


def rules_on(
    database_url: str,
    clock: MovingClock | None = None,
    secrets: tuple[str, ...] = (SECRET,),
    **config: Any,
) -> Rules:
    """The rules of one process; the tables are made where they are missing."""
    moving = clock or MovingClock(NOON)
    time = Clock(moving)
    settings = Settings.from_config({f"CORBADO_SESSION_{name}": value for name, value in config.items()})
    metadata = MetaData()
    tables = tables_in(metadata)
    database = Database(lambda: (make_url(database_url), _no_options()), metadata)
    metadata.create_all(database.engine)
    store, keys, sender, loaders = Store(database, tables), SecretKeys(secrets), object(), Loaders()
    ended = EndedSet(store.changes_since, time, settings.revocation_interval, settings.short_lifetime)
    shorts = ShortSessionAuthenticator(ShortTokenVerifier(keys, settings.issuer, settings.audience), ended, time)
    rotation = Rotation(database, tables, settings.idle_lifetime)
    disowning = DisownLinks(secrets, time, store, ended)
    lifecycle = Lifecycle(settings, time, keys, secrets, shorts, store, rotation, disowning, loaders, sender)
    overview = Revocation(settings, time, store, ended, sender)
    parts = (moving, settings, database, tables, store, ended, shorts, lifecycle, overview, loaders, sender)
    return Rules(*parts)


def presented(of: Started | Refreshed, *, short: bool = True, **more: Any) -> PresentedTokens:
    """What a browser sends that got this answer; ``short=False`` once the short session's cookie has run out."""
    long = [of.long_token] if of.long_token is not None else []
    device = [of.device_token] if isinstance(of, Started) else []
    return PresentedTokens(short=[of.short_token] if short else [], long=long, device=device, **more)


@contextmanager
def database_down(database: Database, sqlite_url: str) -> Iterator[None]:
    """The SQLite file is not to be opened meanwhile; the same one is there again afterwards."""
    path = Path(str(make_url(sqlite_url).database))
    away = path.with_suffix(".away")
    database.dispose()
    path.rename(away)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        away.rename(path)


@contextmanager
def heard(sender: object) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Every signal this sender gives meanwhile: its name without the prefix, and its keywords."""
    said: list[tuple[str, dict[str, Any]]] = []
    with ExitStack() as stack:
        for signal in (value for value in vars(signals).values() if isinstance(value, NamedSignal)):
            name = signal.name.removeprefix("corbado-")
            stack.enter_context(signal.connected_to(_note(said, name), sender))
        yield said


def _note(said: list[tuple[str, dict[str, Any]]], name: str) -> Callable[..., None]:
    return lambda _, **facts: said.append((name, facts))


def _no_options() -> Mapping[str, Any]:
    return {}
