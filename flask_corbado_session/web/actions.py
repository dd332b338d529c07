"""What a signed-in person does with their sessions and devices, and what an app does with anyone's.

The methods of ``CorbadoSession`` and the routes both call these. In a request failures come as HTTP answers: 401, 403,
404, 503; outside one as plain exceptions.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import has_request_context

from ..model.errors import SessionNotFound
from ..model.outcome import Refreshed, SignedOut
from ..model.records import Device, EndReason, LongSession
from ..model.users import UserId, user_id_of
from ..sessions.revocation import Revocation
from .bearer import bearer_token
from .challenge import unauthenticated_problem
from .cookies import expired_short_cookie
from .guards import logout_user, writable_request_state
from .next_url import next_of_request
from .problems import Unauthenticated
from .request import check_origin, current_short, found_or_503, presented_tokens, refresh
from .state import app_state, current_request_state


class AnyUser:
    """The type of :data:`ANY_USER`."""

    def __repr__(self) -> str:
        return "ANY_USER"


ANY_USER = AnyUser()
"""Says explicitly that a session or device of any user may be changed; the reason of an end is then ``operator``."""


def list_devices(user_id: UserId | None = None) -> list[Device]:
    """The devices of a user, else of the signed-in one."""
    owner, current_id = _owner(user_id), _current_id()
    return found_or_503(lambda: _revocation().devices(owner, current_id))


def list_history(user_id: UserId | None = None, *, limit: int = 200, offset: int = 0) -> list[LongSession]:
    """The ended sessions of a user, else of the signed-in one."""
    owner = _owner(user_id)
    return found_or_503(lambda: _revocation().history(owner, limit, offset))


def rename_device(device_id: str, name: str, user_id: UserId | AnyUser | None = None) -> None:
    """Give a device a name."""
    owner = _acts_on(user_id)
    found_or_503(lambda: _revocation().rename_device(device_id, owner, name))


def revoke(session_id: str, user_id: UserId | AnyUser | None = None) -> None:
    """End one session; revoking the current one is signing out."""
    if session_id == _current_id() and user_id is None:
        logout_user()
        return
    owner = _acts_on(user_id)
    _revoke(lambda: _revocation().revoke(session_id, owner, _reason(user_id)))


def revoke_device(device_id: str, user_id: UserId | AnyUser | None = None) -> None:
    """End every session on a device."""
    owner = _acts_on(user_id)
    _revoke(lambda: _revocation().revoke_device(device_id, owner, _reason(user_id)))


def revoke_others() -> None:
    """End every session of the signed-in user but this one."""
    owner, current_id = _acts_on(None), _current_id()
    _revoke(lambda: _revocation().revoke_user(owner or "", "revoked", current_id))


def revoke_user(user_id: UserId, reason: EndReason = "operator", *, except_session_id: str | None = None) -> None:
    """End every session of a user, but for one."""
    _acts_on(ANY_USER)
    whose = user_id_of(user_id)
    _revoke(lambda: _revocation().revoke_user(whose, reason, except_session_id))


def refresh_claims() -> None:
    """Give this browser a short session with the claims of now, in this answer."""
    request_state = writable_request_state("refresh_claims()")
    short = current_short()
    if short is None or bearer_token() is not None:
        raise Unauthenticated("There is no session in this browser whose claims could be refreshed.")
    check_origin(request_state.app_state)
    if short.bound:  # its browser proves its key before the next request, and gets the claims of then
        request_state.old_cookies += (expired_short_cookie(request_state.app_state.settings),)
        return
    outcome = refresh(request_state, presented_tokens(request_state))
    if isinstance(outcome, Refreshed):
        request_state.outcome = outcome


def expire_short(user_id: UserId, *, except_session_id: str | None = None) -> None:
    """Have every browser of a user get a new short session before it is served again."""
    ending, whose = app_state().with_database().ending, user_id_of(user_id)
    found_or_503(lambda: ending.invalidate_short(whose, except_session_id))


def next_url(default: str = "/") -> str:
    """The ``next`` this request carries if it stays on this origin, else ``default``."""
    return next_of_request(app_state().settings) or default


def _revocation() -> Revocation:
    return app_state().with_database().revocation


def _owner(user_id: UserId | None) -> str:
    if user_id is not None:
        return user_id_of(user_id)
    if not has_request_context():
        raise SessionNotFound("nobody is signed in outside a request: name the user with user_id")
    short = current_short()
    if short is None:
        raise unauthenticated_problem(current_request_state())
    return short.user_id


def _acts_on(user_id: UserId | AnyUser | None) -> str | None:
    """Whose sessions may be changed; None is anyone's. A change is refused to pages of another origin."""
    if has_request_context():
        check_origin(app_state())
    return None if isinstance(user_id, AnyUser) else _owner(user_id)


def _revoke(revoke: Callable[[], list[str]]) -> None:
    current_id = _current_id()  # before it is ended: whoever asks first afterwards finds nobody
    ended = found_or_503(revoke)
    if current_id in ended:  # revoking the current session is signing out
        current_request_state().outcome = SignedOut(clears_cookies=bearer_token() is None)


def _current_id() -> str | None:
    short = current_short() if has_request_context() else None
    return None if short is None else short.session_id


def _reason(user_id: UserId | AnyUser | None) -> EndReason:
    return "revoked" if user_id is None else "operator"
