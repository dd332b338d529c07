"""Step-up (RFC 9470): views that ask for a recent sign-in, and how the user confirms it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar, overload

from werkzeug.wrappers import Response

from ..database.rows import CarriedOver
from ..model.errors import StoreUnavailable
from ..model.records import ShortSession
from . import resume
from .bearer import bearer_token
from .challenge import abort_unauthenticated, return_path, sign_in_response, sign_in_url
from .client import is_htmx, is_navigation
from .current import end_disabled
from .guards import as_timedelta, guard, login_response, writable_request_state
from .problems import InsufficientAuthentication
from .request import check_origin, find_outcome, presented_tokens, short_of, unavailable
from .state import RequestState, current_request_state

RECENT = timedelta(minutes=15)
"""For how long a sign-in is recent enough to end other sessions, where ``REAUTH_VIEW`` is set."""

View = TypeVar("View", bound=Callable[..., Any])


@overload
def fresh_login_required(view: View, /) -> View: ...
@overload
def fresh_login_required(
    *, max_age: float | timedelta = 300, amr: Iterable[str] | None = None
) -> Callable[[View], View]: ...
def fresh_login_required(
    view: View | None = None, /, *, max_age: float | timedelta = 300, amr: Iterable[str] | None = None
) -> Any:
    """Let the view run for a user who signed in, or confirmed it, lately enough.

    Anyone else is redirected to ``REAUTH_VIEW`` (else ``LOGIN_VIEW``), and the form they sent is kept for them; a
    script gets the 401 of RFC 9470, code ``insufficient_user_authentication``.

    :param view: the view, when used without parentheses.
    :param max_age: seconds, or a timedelta, since the user last proved who they are.
    :param amr: authentication methods (RFC 8176) that must all have been used.
    :returns: the view, guarded; or a decorator, when called with parentheses.
    """
    required = frozenset((amr,) if isinstance(amr, str) else amr or ())
    age = as_timedelta(max_age)
    return guard(lambda: login_response() or step_up_response(age, required), view)


def step_up_response(max_age: timedelta, amr: frozenset[str] = frozenset()) -> Any:
    """None for a signed-in user who proved who they are lately enough, else the response that asks for it."""
    request_state = current_request_state()
    settings, short = request_state.app_state.settings, short_of(request_state.outcome)
    if short is not None and _is_fresh(request_state, short, max_age, amr):
        resume.drop_if_sent(request_state, short)
        return None
    view = settings.reauth_view or settings.login_view
    problem = InsufficientAuthentication(max_age.total_seconds(), amr)
    if view is None or bearer_token() is not None:
        raise problem
    if is_htmx():
        problem.redirect_htmx_to = sign_in_url(view, return_path())
    if not is_navigation():
        raise problem
    keeping = Response()
    response = sign_in_response(view, resume.remember(request_state, short, keeping) or return_path())
    response.headers.extend(("Set-Cookie", cookie) for cookie in keeping.headers.getlist("Set-Cookie"))
    return response


def _is_fresh(request_state: RequestState, short: ShortSession, max_age: timedelta, amr: frozenset[str]) -> bool:
    if short.auth_time is None or not amr <= set(short.amr):
        return False
    # auth_time is whole seconds, rounded down
    return request_state.app_state.clock.now() - short.auth_time <= max_age + timedelta(seconds=1)


def confirm_login(*, amr: Iterable[str] = ()) -> bool:
    """The signed-in user has just proven again who they are: a new long session takes the old one's place.

    It has a new id. User, claims, device and ``remember`` stay; the old session is ended as ``superseded``.

    :param amr: how they proved it (RFC 8176).
    :returns: True, as Flask-Login does.
    :raises Problem: a 401, when nobody is signed in; a 503, while the database does not respond.
    :raises RuntimeError: outside a request, or once the response has begun to leave.
    """
    request_state = writable_request_state("confirm_login()")
    check_origin(request_state.app_state)
    short = short_of(find_outcome(request_state))
    if short is None or short.session_id is None:
        abort_unauthenticated()  # there is nobody whose login could be confirmed
    if not request_state.app_state.hooks.user_exists(short.user_id):
        end_disabled(request_state, short)
        abort_unauthenticated()
    sign_in = request_state.app_state.with_database().sign_in
    try:
        before = sign_in.carried_over(short.session_id) or CarriedOver()
        request_state.outcome = sign_in.start(
            short.user_id,
            presented_tokens(request_state),
            persistent=before.persistent,
            claims=before.claims,
            lifetime=before.lifetime,
            amr=amr,
            superseding=short.session_id,
        )
    except StoreUnavailable as error:
        raise unavailable(error) from error
    return True
