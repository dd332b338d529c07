"""How an old login becomes a session of ours, once, and which ones never do.

An old cookie can be copied, and most carry no date. So none of a user is moved any more once a session of theirs has
ended here, by whatever way: the copy could be older than the end. What ended is known for ``RETENTION``, and
therefore nothing is moved for longer than that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from flask import Flask, has_request_context
from werkzeug.exceptions import HTTPException

from ..database.old_logins import OldLoginStore
from ..model import signals
from ..model.errors import CorbadoSessionError, NotOnThisApp, StoreUnavailable
from ..model.outcome import Outcome, Started
from ..model.users import is_active, user_id_of
from ..sessions.parts import AppState
from ..sessions.presented import PresentedTokens
from ..web.bearer import bearer_token
from ..web.hooks import load_user
from ..web.request import check_origin, presented_tokens, unavailable
from ..web.state import EXTENSION, current_request_state
from .source import OldLogin, Source

log = logging.getLogger("flask_corbado_session")
FindUser = Callable[[str], Any]


class Moving:
    """Moves one kind of login, in one app, until a date."""

    def __init__(
        self, state: AppState, sender: Flask, sources: Sequence[Source], until: date, find_user: FindUser | None
    ) -> None:
        parts = state.with_database()
        self._state = state
        self._sources = sources
        self.until = _in_utc(until)
        """From when on nothing is moved."""
        self._find_user = find_user
        self._sign_in, self._ending, self._revocation = parts.sign_in, parts.ending, parts.revocation
        latest = state.clock.now() + state.settings.retention
        if self.until > latest:
            raise ValueError(
                f"until={until} is further away than CORBADO_SESSION_RETENTION ({state.settings.retention.days} days):"
                " by then it would be forgotten who has signed out here, and a copied cookie could sign in again."
                f" Say {latest.date()} or an earlier day, or keep the history for longer"
            )
        self._store = self._revocation.old_logins = self._revocation.old_logins or OldLoginStore(parts.database)
        signals.session_started.connect(self._take_away_at_sign_in, sender=sender)

    def move(self) -> Outcome | None:
        """Start a session for the old login of this request, and take that away, in the same response."""
        login = self._find()
        if login is None:
            return None
        check_origin(self._state)
        try:
            return self._start(login, presented_tokens(current_request_state()))
        except StoreUnavailable as error:
            raise unavailable(error) from error
        except (CorbadoSessionError, HTTPException):
            raise
        except Exception:  # a function of the app's: a public page that shows a name is not to fail for this
            log.exception("an old login could not be moved, so its user is not signed in")
            return None

    def sign_out(self) -> None:
        """Take the old login of this request away, and let no copy of it be moved any more."""
        login = self._find() if bearer_token() is None else None
        if login is None:
            return
        self._take_away()
        user_id = self._user_id(login)
        if user_id is not None:
            self._store.refuse(user_id, self._state.clock.now())

    def _find(self) -> OldLogin | None:
        if self._state.clock.now() >= self.until:
            return None
        found = [login for source in self._sources if (login := source.find()) is not None]
        if not found:
            return None
        persistent = any(login.persistent for login in found if login.user_id == found[0].user_id)
        return replace(found[0], persistent=persistent)

    def _start(self, login: OldLogin, presented: PresentedTokens) -> Started | None:
        user_id = self._user_id(login)
        if user_id is None or self._is_refused(user_id, login) or not self._may_sign_in(user_id):
            self._take_away()
            return None
        started = self._sign_in.start(
            user_id, presented, persistent=login.persistent, claims={}, amr=(), fresh=False, notify=False
        )
        if self._is_refused(user_id, login):  # they were signed out meanwhile, by somebody who did not see this session
            self._ending.sign_out(presented, started.short.session_id)
            self._take_away()
            return None
        return started

    def _user_id(self, login: OldLogin) -> str | None:
        """The id by which the app knows the user now; None for one it no longer finds."""
        if self._find_user is None:
            return login.user_id
        user = self._state.hooks.call(self._find_user, login.user_id)
        if isinstance(user, (str, int, UUID)):
            return str(user)
        return user_id_of(user) if is_active(user) else None

    def _may_sign_in(self, user_id: str) -> bool:
        """Whether the app knows this user and has not disabled them; who was loaded stays with the request."""
        return self._state.hooks.user_loader is None or load_user(user_id) is not None

    def _is_refused(self, user_id: str, login: OldLogin) -> bool:
        last_end = self._store.last_end(user_id, self._state.clock.now())
        return last_end is not None and (login.issued_at is None or login.issued_at <= last_end)

    def _take_away(self) -> None:
        cookies = [cookie for source in self._sources for cookie in source.take_away()]
        request_state = current_request_state()
        request_state.old_cookies = tuple(dict.fromkeys([*request_state.old_cookies, *cookies]))

    def _take_away_at_sign_in(self, _sender: object, **_facts: Any) -> None:
        if has_request_context():
            self._take_away()


def register(app: Flask, sources: Callable[[AppState], Sequence[Source]], until: date, find_user: Any = None) -> None:
    """Have this app move the logins of these sources."""
    try:
        state: AppState = app.extensions[EXTENSION]
    except KeyError:
        raise NotOnThisApp from None
    state.old_logins.append(Moving(state, app, sources(state), until, find_user))


def _in_utc(until: date) -> datetime:
    if not isinstance(until, datetime):
        return datetime.combine(until, time(), UTC)
    if until.tzinfo is None:
        raise ValueError("until must be a date, or a datetime with a time zone")
    return until
