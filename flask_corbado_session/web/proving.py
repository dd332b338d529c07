"""A bound session that came without a proof: the browser is given an occasion to prove its key, if it can have one.

A browser proves its key before it sends a request, when the short session's cookie is missing. It does not for a link
on another site's page, nor for a cookie that is there although we no longer accept it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import NoReturn

from flask import make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..binding import headers
from ..model.outcome import Ended, Unproven
from ..model.records import ShortSession
from ..model.settings import BURST_WINDOW
from .challenge import requested_path
from .cookies import expired_short_cookie
from .problems import InsufficientAuthentication, ProofPending
from .sockets import is_connection
from .state import RequestState

log = logging.getLogger("flask_corbado_session")


def resolve(request_state: RequestState, unproven: Unproven) -> Ended:
    """The outcome of a bound session without a proof; raises the answer that gives the browser an occasion for one.

    Without one the person signs in again. The session itself goes on, for its owner may have the key elsewhere.
    """
    bound = request_state.app_state.with_database().bound
    if bound is None or is_connection(request_state) or request_state.is_answered:
        return Ended(unproven.session_id, "unproven")
    skipped = headers.skipped_reason(request.headers.get(headers.SKIPPED), unproven.session_id)
    if _came_from_elsewhere():  # the proof may have been skipped for that alone
        _ask_from_here(request_state)
    if skipped is None and _sent_short_cookie(request_state) and _is_browser():
        _ask_again(request_state)
    if skipped is None and _is_browser() and _was_just_proven(unproven):
        _ask_from_here(request_state)
        raise ProofPending(reason="overtaken")
    outcome = bound.report(unproven, skipped)
    if skipped is not None:
        # it has the key, it says, and could not prove it just now. If that is a lie, it gains the liar nothing
        raise ProofPending(reason=skipped)
    log.warning("a session that is bound to its device came without a proof of the key, and was not refreshed")
    return outcome


def require_proof(request_state: RequestState, short: ShortSession, max_age: timedelta) -> None:
    """Have the browser prove its key, if the last proof of this bound session is older; then it sends the request
    again. A session that is not bound passes."""
    if not short.bound or request_state.app_state.clock.now() - short.issued_at <= max_age + timedelta(seconds=1):
        return  # issued_at is whole seconds, rounded down
    if is_connection(request_state) or not _sent_short_cookie(request_state):
        # to a socket nothing is answered, and the page of a bearer token can't be made to prove anything
        raise InsufficientAuthentication(max_age.total_seconds())
    if _came_from_elsewhere():
        _ask_from_here(request_state)
    _ask_again(request_state)


def _ask_again(request_state: RequestState) -> NoReturn:
    """Have the same request sent again, body and all. Its cookie is gone by then, so that the browser proves first."""
    again = redirect(requested_path(), 307)
    raise _answer(request_state, again)


def _ask_from_here(request_state: RequestState) -> None:
    """A page of ours in between, from which the browser goes on: that request it sends itself, so that it proves first.

    What is no page, or brings files, can't be sent again this way.
    """
    if request.headers.get("Sec-Fetch-Mode") != "navigate":
        return
    is_form = request.method == "POST" and not request.files
    if request.method != "GET" and not is_form:
        return
    path, fields = requested_path(), list(request.form.items(multi=True)) if is_form else None
    page = make_response(render_template("corbado_session/proving.html", path=path, fields=fields))
    if not is_form:
        page.headers["Refresh"] = f"0; url={path}"
    raise _answer(request_state, page)


def _answer(request_state: RequestState, response: Response) -> HTTPException:
    """An exception without a code, which no error handler of the app's takes for its own."""
    if _sent_short_cookie(request_state):
        response.headers.add("Set-Cookie", expired_short_cookie(request_state.app_state.settings))
    return HTTPException(response=response)


def _sent_short_cookie(request_state: RequestState) -> bool:
    return request_state.app_state.settings.short_cookie in request.cookies


def _was_just_proven(unproven: Unproven) -> bool:
    """Whether the browser proved its key a moment ago, and this request lost a race: the answer to another one took the
    new cookie away, or its own cookie ran out on the way. A browser holds a request back for a proof once."""
    return abs(unproven.age) <= BURST_WINDOW


def _came_from_elsewhere() -> bool:
    """Whether a page of another origin sent it, a sibling host's too: for such a request no browser proves anything."""
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def _is_browser() -> bool:
    return request.headers.get("Sec-Fetch-Site") in ("same-origin", "none")
