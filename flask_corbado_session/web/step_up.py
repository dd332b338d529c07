"""Step-up: views for people who have proven lately who they are (RFC 9470), and how they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar, overload

from flask import redirect

from ..model.errors import StoreUnavailable
from ..model.outcome import Active, Refreshed, Started
from ..model.records import ShortSession
from . import resume
from .challenge import abort_unauthenticated, view_url, way_back
from .guards import guard, refusal
from .problems import InsufficientAuthentication, is_navigation
from .request import bearer_token, check_origin, find_outcome, presented_tokens, unavailable
from .state import RequestState, current_request_state

RECENT = 15 * 60
"""Seconds for which a sign-in is recent enough to end other sessions, where ``REAUTH_VIEW`` is set."""

View = TypeVar("View", bound=Callable[..., Any])


@overload
def fresh_login_required(view: View, /) -> View: ...
@overload
def fresh_login_required(*, max_age: float = 300, amr: Iterable[str] | None = None) -> Callable[[View], View]: ...
def fresh_login_required(view: View | None = None, /, *, max_age: float = 300, amr: Iterable[str] | None = None) -> Any:
    """Let the view run for who signed in, or confirmed it, within ``max_age`` seconds, by all methods of ``amr``.

    Anyone else is sent to ``REAUTH_VIEW`` (else ``LOGIN_VIEW``), with the form he sent remembered; a script gets the
    401 of RFC 9470, code ``insufficient_user_authentication``.
    """
    wanted = frozenset((amr,) if isinstance(amr, str) else amr or ())
    return guard(lambda: refusal() or step_up_response(max_age, wanted), view)


def step_up_response(max_age: float, amr: frozenset[str] = frozenset()) -> Any:
    """None for a signed-in user who proved it lately enough, else the answer that asks him to."""
    request_state = current_request_state()
    outcome = request_state.outcome
    short = outcome.short if isinstance(outcome, (Active, Refreshed, Started)) else None
    if short is not None and is_fresh(request_state, short, max_age, amr):
        return None
    view = request_state.state.settings.reauth_view or request_state.state.settings.login_view
    if view is None or not is_navigation() or bearer_token() is not None:
        raise InsufficientAuthentication(max_age, amr)
    answer = redirect("", 303)
    answer.location = view_url(view, next=resume.remember(request_state, short, answer) or way_back())
    return answer


def is_fresh(request_state: RequestState, short: ShortSession, max_age: float, amr: frozenset[str]) -> bool:
    """Whether the person proved who he is within ``max_age`` seconds, by all these methods."""
    if short.auth_time is None or not amr <= set(short.amr):
        return False
    # auth_time is whole seconds, rounded down
    return request_state.state.clock.now() - short.auth_time <= timedelta(seconds=max_age + 1)


def confirm_login(*, amr: Iterable[str] = ()) -> bool:
    """The signed-in person has just proven again who he is, by ``amr``: a new long session takes the old one's place.

    It has a new id; user, claims, device and remember-me stay; the old one is ended as ``superseded``. Returns True.
    """
    request_state = current_request_state()
    check_origin(request_state.state)
    outcome = find_outcome(request_state)
    if not isinstance(outcome, (Active, Refreshed, Started)) or outcome.short.session_id is None:
        abort_unauthenticated()  # there is nobody whose login could be confirmed
    lifecycle = request_state.state.with_database().lifecycle
    try:
        persistent, claims = lifecycle.carried_over(outcome.short.session_id) or (True, {})
        request_state.outcome = lifecycle.start(
            outcome.short.user_id,
            presented_tokens(request_state),
            persistent=persistent,
            claims=claims,
            amr=amr,
            superseding=outcome.short.session_id,
        )
    except StoreUnavailable as error:
        raise unavailable(error) from error
    return True
