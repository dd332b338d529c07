"""What a view says: who may come in, who has just signed in, who signs out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Any, TypeVar, overload
from uuid import UUID

from flask import current_app, has_request_context

from ..model.errors import StoreUnavailable
from ..model.outcome import Active, Anonymous, Ended, Refreshed, SignedOut, Started
from ..model.users import user_id_of
from .challenge import unauthenticated
from .problems import LogoutIncomplete
from .request import bearer_token, check_origin, find_outcome, presented_tokens, unavailable
from .state import NOT_LOADED, RequestState, current_request_state

View = TypeVar("View", bound=Callable[..., Any])


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(*, recheck: bool = False) -> Callable[[View], View]: ...
def login_required(view: View | None = None, /, *, recheck: bool = False) -> Any:
    """Let the view run for a signed-in user only; anyone else gets the sign-in page or a 401.

    ``recheck=True`` reads the row even with a valid short session: for what must not wait the second a revocation
    takes. It answers 503 while the database is down.
    """
    return guard(_login_response_rechecked if recheck else refusal, view)


def guard(refuse: Callable[[], Any], view: Any = None) -> Any:
    """A decorator, for sync and async views, that answers with ``refuse()`` unless that is None."""

    def decorate(view: Any) -> Any:
        is_async = iscoroutinefunction(view)

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            answer = refuse()
            if answer is not None:
                return answer
            return current_app.ensure_sync(view)(*args, **kwargs) if is_async else view(*args, **kwargs)

        return guarded

    return decorate if view is None else decorate(view)


def refusal() -> Any:
    """None for a signed-in user, else what nobody is answered."""
    request_state = current_request_state()
    if isinstance(find_outcome(request_state), (Active, Refreshed, Started)):
        request_state.required = True
        return None
    return unauthenticated()


def _login_response_rechecked() -> Any:
    request_state = current_request_state()
    if request_state.state.rows is None:
        raise RuntimeError(
            "login_required(recheck=True) reads the session's row, and this app's CorbadoSession has no db"
        )
    lifecycle, outcome = request_state.state.rows.lifecycle, find_outcome(request_state)
    if isinstance(outcome, Active):
        session_id, ended = outcome.short.session_id, request_state.state.shorts.ended
        try:
            if ended is not None and ended.is_failing:
                raise StoreUnavailable("the row could not be read again: the database did not answer just now")
            alive = session_id is not None and lifecycle.is_alive(session_id)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        if not alive:
            request_state.outcome = Ended(session_id or "", "revoked")
    return refusal()


def login_user(
    user: Any, remember: bool = True, *, claims: Mapping[str, Any] | None = None, amr: Iterable[str] = ()
) -> bool:
    """Sign somebody in: a new long session in this browser; the one it presented is ended as ``superseded``.

    ``user`` is a user id, or an object with ``get_id()`` or ``id``. ``remember=False`` gives cookies that go with the
    browser's own session. ``claims`` (JSON) and ``amr`` (RFC 8176) stay with the session. Returns True, as Flask-Login
    does. ValueError says which claim does not fit in a cookie.
    """
    user_id = user_id_of(user)
    request_state = _writable_request_state("login_user()")
    check_origin(request_state.state)
    try:
        request_state.outcome = request_state.state.with_database().lifecycle.start(
            user_id, presented_tokens(request_state), persistent=bool(remember), claims=claims or {}, amr=amr
        )
    except StoreUnavailable as error:
        request_state.outcome = request_state.outcome or Anonymous()
        raise unavailable(error) from error
    has_loader = request_state.state.callbacks.user_loader is not None
    request_state.user = user if has_loader and not isinstance(user, (str, int, UUID)) else NOT_LOADED
    return True


def logout_user() -> bool:
    """Sign out in this browser: the long session ends everywhere, both cookies go. One UPDATE; True.

    When the database can't be told, the cookies go all the same and the answer is 503 ``logout_incomplete``.
    A bearer token's session is ended too; one that does not hold gets its 401, for nothing would be ended by it.
    """
    request_state = _writable_request_state("logout_user()")
    rows = request_state.state.with_database()
    check_origin(request_state.state)
    outcome = request_state.outcome if bearer_token() is None else find_outcome(request_state)
    if isinstance(outcome, Anonymous) and outcome.bearer_code is not None:
        unauthenticated()
    short = outcome.short if isinstance(outcome, (Active, Refreshed, Started)) else None
    presented = presented_tokens(request_state)
    request_state.outcome, request_state.user = SignedOut(), NOT_LOADED
    try:
        rows.lifecycle.end(presented, short.session_id if short else None)
    except StoreUnavailable as error:
        unavailable(error)
        raise LogoutIncomplete from error
    return True


def _writable_request_state(what: str) -> RequestState:
    if not has_request_context():
        raise RuntimeError(f"{what} sets or clears cookies, so it needs a request: call it in a view")
    request_state = current_request_state()
    if request_state.answered:
        raise RuntimeError(f"{what} sets or clears cookies, and the answer has begun to leave: call it earlier")
    return request_state
