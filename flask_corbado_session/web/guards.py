"""What a view says: who may come in, who has just signed in, who signs out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, TypeVar, overload
from uuid import UUID

from flask import current_app, has_request_context
from werkzeug.local import LocalProxy

from ..model.errors import StoreUnavailable
from ..model.outcome import Active, Anonymous, Ended, SignedOut, Started
from ..model.users import UserId, is_active, user_id_of
from ..sessions.ending import Ending
from ..sessions.presented import PresentedTokens
from . import resume, sockets
from .bearer import bearer_token
from .challenge import unauthenticated_response
from .kept_user import forget_user, keep_user
from .problems import LogoutIncomplete, Unauthenticated
from .proving import require_proof
from .request import check_origin, find_outcome, presented_tokens, short_of, unavailable
from .sockets import is_connection
from .state import RequestState, current_request, current_request_state

SHORTEST_PROOF_AGE = timedelta(seconds=10)
"""The shortest ``proof_max_age``. Chromium proves its key once for a request: one that took longer than this from there
to the view could not prove it again."""

View = TypeVar("View", bound=Callable[..., Any])


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(
    *, recheck: bool = False, proof_max_age: float | timedelta | None = None
) -> Callable[[View], View]: ...
def login_required(
    view: View | None = None, /, *, recheck: bool = False, proof_max_age: float | timedelta | None = None
) -> Any:
    """Let the view run for a signed-in user only; anyone else is redirected to sign in, or gets a 401.

    Used with or without parentheses, on sync and async views. ``OPTIONS`` passes: a preflight brings no cookies.

    :param view: the view, when used without parentheses.
    :param recheck: read the session's row even with a valid short session, for what must not wait the second that a
        revocation takes. The view then answers 503 while the database is down.
    :param proof_max_age: seconds, or a timedelta, since the browser last proved the key that its session is bound to;
        it is made to prove it now otherwise, and then sends the request again. A session that is not bound passes, as
        it does without ``CORBADO_SESSION_DEVICE_BINDING``. At least 10 seconds.
    :returns: the view, guarded; or a decorator, when called with parentheses.
    :raises RuntimeError: at the first request, with ``recheck=True`` in an app that has no database.
    :raises ValueError: for a ``proof_max_age`` under 10 seconds.
    """
    respond = _login_response_rechecked if recheck else login_response
    if proof_max_age is None:
        return guard(respond, view)
    age = as_timedelta(proof_max_age)
    if age < SHORTEST_PROOF_AGE:
        raise ValueError("proof_max_age must be at least 10 seconds: a browser proves its key once for a request")

    def respond_proven() -> Any:
        response = respond()
        if response is None:
            _require_proof(age)
        return response

    return guard(respond_proven, view)


def as_timedelta(age: float | timedelta) -> timedelta:
    """What a decorator was given as seconds, or as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def guard(respond: Callable[[], Any], view: Any = None) -> Any:
    """A decorator, for sync and async views, that answers with ``respond()`` unless that is None."""

    def decorate(view: Any) -> Any:
        is_async = iscoroutinefunction(view)

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                # not ``if response``: an empty string is an answer too, and the view must not run for nobody
                response = None if current_request().method == "OPTIONS" else respond()
                if response is not None:
                    return response
                return current_app.ensure_sync(view)(*args, **kwargs) if is_async else view(*args, **kwargs)
            except Unauthenticated:
                if not is_connection(current_request_state()):
                    raise
                return sockets.hang_up(args)

        return guarded

    return decorate if view is None else decorate(view)


def login_response() -> Any:
    """None for a signed-in user, else the response to an unauthenticated request."""
    request_state = current_request_state()
    if short_of(find_outcome(request_state)) is not None:
        request_state.is_protected = True
        return None
    return unauthenticated_response()


def _require_proof(max_age: timedelta) -> None:
    """Raises the answer that has the browser prove its key, if it has not lately."""
    request_state = current_request_state()
    short = short_of(request_state.outcome)
    if short is not None:
        require_proof(request_state, short, max_age)


def _login_response_rechecked() -> Any:
    request_state = current_request_state()
    state, outcome = request_state.app_state, find_outcome(request_state)
    if state.parts is None:
        raise RuntimeError(
            "login_required(recheck=True) reads the session's row, and this app's CorbadoSession has no db"
        )
    if isinstance(outcome, Active):
        session_id = outcome.short.session_id
        try:
            is_live = session_id is not None and state.parts.ending.is_live(session_id)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        if not is_live:
            request_state.outcome = Ended(session_id or "", "revoked")
    return login_response()


def login_user(
    user: UserId | object,
    remember: bool = True,
    *,
    claims: Mapping[str, Any] | None = None,
    amr: Iterable[str] = (),
    lifetime: timedelta | None = None,
    fresh: bool = True,
    force: bool = False,
) -> bool:
    """Sign a user in: a new long session in this browser. The one it presented is ended as ``superseded``.

    :param user: a user id, or an object with ``get_id()`` or ``id``; ``current_user`` too.
    :param remember: False gives cookies that end with the browser's own session.
    :param claims: JSON that stays with the session and stands in each of its short sessions.
    :param amr: how the user proved who they are (RFC 8176), such as ``["pwd", "otp"]``; stays with the session.
    :param lifetime: how long the session lasts at most; ``CORBADO_SESSION_LONG_LIFETIME`` is the limit.
    :param fresh: False for a user who has not proved just now who they are, such as a remembered one: step-up asks.
    :param force: sign in a user whose ``is_active`` is false, too; a loader that returns them ends the session at the
        next touch or refresh.
    :returns: True; False for a user whose ``is_active`` is false: nothing was written then. An id alone is not asked.
    :raises ValueError: names the claim that does not fit in a cookie, or is reserved; nothing was written.
    :raises TypeError: for a user without an id, such as a row that was not flushed yet.
    :raises RuntimeError: outside a request, or once the response has begun to leave.
    """
    while isinstance(user, LocalProxy):
        user = user._get_current_object()
    user_id = user_id_of(user)
    if lifetime is not None and lifetime <= timedelta(0):
        raise ValueError("lifetime must be longer than nothing")
    request_state = writable_request_state("login_user()")
    check_origin(request_state.app_state)
    is_id = isinstance(user, (str, int, UUID))
    if not (force or is_id or is_active(user)):
        return False
    sign_in, before = request_state.app_state.with_database().sign_in, request_state.outcome
    try:
        request_state.outcome = sign_in.start(
            user_id,
            presented_tokens(request_state),
            persistent=bool(remember),
            claims=claims or {},
            amr=amr,
            lifetime=lifetime,
            fresh=fresh,
            # the second sign-in of this request: no browser will have the cookies of the first one
            superseding=before.short.session_id if isinstance(before, Started) else None,
        )
    except StoreUnavailable as error:
        request_state.outcome = request_state.outcome or Anonymous()
        raise unavailable(error) from error
    forget_user()
    if not is_id and request_state.app_state.hooks.user_loader is not None:
        keep_user(user_id, user)
    resume.drop_unless_of(request_state, user_id)
    return True


def logout_user() -> bool:
    """Sign out in this browser: the long session ends everywhere, both cookies are cleared. One UPDATE.

    When the database can't be told, the cookies go all the same and the response is a 503 ``logout_incomplete``.
    A request with a bearer token ends the bearer's session alone, and touches no cookie; a bearer token that is not
    valid gets its 401, for it would end nothing.

    :returns: True, as Flask-Login does.
    :raises RuntimeError: outside a request, or once the response has begun to leave.
    """
    request_state = writable_request_state("logout_user()")
    parts = request_state.app_state.with_database()
    check_origin(request_state.app_state)
    if bearer_token() is not None:
        return _sign_out_bearer(request_state, parts.ending)
    short, presented = short_of(request_state.outcome), presented_tokens(request_state)
    request_state.outcome = SignedOut()
    forget_user()
    resume.drop(request_state)
    try:
        for old_logins in request_state.app_state.old_logins:
            old_logins.sign_out()
        parts.ending.sign_out(presented, short.session_id if short else None)
    except StoreUnavailable as error:
        unavailable(error)
        raise LogoutIncomplete from error
    return True


def _sign_out_bearer(request_state: RequestState, ending: Ending) -> bool:
    """End the session of the bearer token, which may be another person's than the cookies."""
    outcome = find_outcome(request_state)
    if isinstance(outcome, Anonymous) and outcome.bearer_code is not None:
        unauthenticated_response()
    short = short_of(outcome)
    if short is not None and short.session_id is not None:
        try:
            ending.sign_out(PresentedTokens(), short.session_id)
        except StoreUnavailable as error:
            raise unavailable(error) from error
    request_state.outcome = SignedOut(clears_cookies=False)
    forget_user()
    return True


def writable_request_state(caller: str) -> RequestState:
    """The state of this request for what sets or clears cookies; RuntimeError where it is too late for that."""
    if not has_request_context():
        raise RuntimeError(f"{caller} sets or clears cookies, so it needs a request: call it in a view")
    request_state = current_request_state()
    if request_state.response_started or is_connection(request_state):
        raise RuntimeError(f"{caller} sets or clears cookies, and the response has begun to leave: call it earlier")
    return request_state
