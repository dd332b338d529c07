"""The rules without Flask, on a real database and with a clock that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blinker import NamedSignal
from sqlalchemy import MetaData, make_url

from flask_corbado_session import assembly
from flask_corbado_session.database.cleanup import Cleanup
from flask_corbado_session.database.devices import DeviceStore
from flask_corbado_session.database.engine import Database
from flask_corbado_session.database.sessions import SessionStore
from flask_corbado_session.database.tables import Tables
from flask_corbado_session.model import signals
from flask_corbado_session.model.clock import Clock
from flask_corbado_session.model.outcome import Active, Outcome, Refreshed, Started, Unproven
from flask_corbado_session.model.settings import Settings
from flask_corbado_session.sessions.ending import Ending
from flask_corbado_session.sessions.hooks import Hooks
from flask_corbado_session.sessions.parts import AppState
from flask_corbado_session.sessions.presented import PresentedTokens
from flask_corbado_session.sessions.revocation import Revocation
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.verification.ended import EndedSet
from flask_corbado_session.verification.short_sessions import ShortSessionAuthenticator

SECRET = "a secret of the tests, long enough"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Rules:
    """One process's rules."""

    state: AppState
    clock: MovingClock
    sender: object
    """What its signals are sent by."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.state.settings

    @property
    def hooks(self) -> Hooks:
        """The app's functions; a test puts its own there."""
        return self.state.hooks

    @property
    def database(self) -> Database:
        """The library's engine."""
        return self.state.with_database().database

    @property
    def tables(self) -> Tables:
        """The tables."""
        return self.database.tables

    @property
    def sessions(self) -> SessionStore:
        """The session table."""
        return SessionStore(self.database)

    @property
    def devices(self) -> DeviceStore:
        """The device table."""
        return DeviceStore(self.database, self.sessions)

    @property
    def cleanup(self) -> Cleanup:
        """What deletes and counts."""
        return Cleanup(self.database)

    @property
    def ending(self) -> Ending:
        """How sessions end."""
        return self.state.with_database().ending

    @property
    def revocation(self) -> Revocation:
        """How sessions are listed and revoked."""
        return self.state.with_database().revocation

    @property
    def short_sessions(self) -> ShortSessionAuthenticator:
        """How short sessions are verified."""
        return self.state.short_sessions

    @property
    def ended(self) -> EndedSet:
        """What this process knows to have ended."""
        ended = self.state.short_sessions.ended
        assert ended is not None
        return ended

    def start(self, user_id: str = "alice", presented: PresentedTokens | None = None, **given: Any) -> Started:
        """Sign in as a browser that says nothing of itself."""
        how: dict[str, Any] = {"persistent": True, "claims": {}, "amr": ("pwd",)} | given
        return self.state.with_database().sign_in.start(user_id, presented or PresentedTokens(), **how)

    def resolve(self, presented: PresentedTokens) -> Outcome:
        """The outcome of a request: its short session if that is valid, else what its long one gives."""
        short = self.short_sessions.first_valid(presented.short)
        if short is not None:
            return Active(short)
        outcome = self.state.with_database().refresh.refresh(presented)
        assert not isinstance(outcome, Unproven)  # device binding is off here
        return outcome

    def refresh(self, long_token: str, **presented: Any) -> Any:
        """The outcome of a request whose short session is gone."""
        return self.resolve(PresentedTokens(long=[long_token], **presented))

    def warm(self) -> None:
        """Bring the ended set up to date now, so that what follows is counted without it."""
        self.ended.bring_up_to_date()


def as_system_clock(read: Callable[[], datetime]) -> Callable[[], datetime]:
    """A clock that is compared with the database's as the system's own is."""
    read.is_real = True  # type: ignore[attr-defined]
    return read


def rules_on(
    database_url: str,
    clock: MovingClock | None = None,
    secrets: tuple[str, ...] = (SECRET,),
    **config: Any,
) -> Rules:
    """The rules of one process; the tables are made where they are missing."""
    moving, sender = clock or MovingClock(NOON), object()
    settings = Settings.from_config({f"CORBADO_SESSION_{name}": value for name, value in config.items()})
    database = database_at(database_url)
    database.metadata.create_all(database.engine)
    hooks = Hooks()
    state = assembly.on_database(
        settings, database, secret_keys=secrets, hooks=hooks, clock=Clock(moving), sender=sender
    )
    return Rules(state, moving, sender)


def database_at(database_url: str) -> Database:
    """The library's engine on a database, whose tables need not be there."""
    return Database(lambda: (make_url(database_url), {}), MetaData())


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
