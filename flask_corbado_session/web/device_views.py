"""The devices page and its buttons: people see where they are signed in, and sign out of any of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from flask import jsonify, render_template, request, url_for

from ..model.records import Device, LongSession
from . import actions
from .as_json import device_json, session_json
from .client import see_other
from .current import current_session
from .guards import login_required
from .problems import BadRequestProblem, SessionNotFoundProblem
from .query import query_args
from .request import found_or_503
from .state import EXTENSION, app_state
from .step_up import RECENT, step_up_response

T = TypeVar("T")
DEVICES_A_PAGE = 20
SESSIONS_A_CARD = 10
"""How many of a device's sessions its card shows; a page of the device's own shows all of them, 50 at a time."""
ENDED_A_PAGE = 50
REUSE_NOTICE_AGE = timedelta(days=14)
"""How long the top of the page tells of a copied session."""
_NUMBER_LENGTH = 6


class Page(NamedTuple):
    """A part of a list, numbered from 1."""

    number: int
    last: int


class Card(NamedTuple):
    """A device with those of its sessions that are shown."""

    device: Device
    sessions: Sequence[LongSession]


@login_required
def devices() -> Any:
    """The devices page, or all of it as JSON. ``page`` and ``history`` (numbers) page through devices and ended
    sessions; ``device`` (an id) shows one device with all its sessions."""
    number, older = _number("page"), _number("history")
    devices = actions.list_devices()
    offset = (older - 1) * ENDED_A_PAGE
    ended = actions.list_history(limit=ENDED_A_PAGE + 1, offset=offset)
    has_more, ended = len(ended) > ENDED_A_PAGE, ended[:ENDED_A_PAGE]
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        return jsonify(
            devices=[device_json(device) for device in devices],
            history=[session_json(session) for session in ended],
            history_has_more=has_more,
        )
    one_device = query_args().get("device")
    cards, page = _cards(devices, number, one_device)
    here = partial(url_for, f"{EXTENSION}.devices", device=one_device)
    return render_template(
        "corbado_session/devices.html",
        cards=cards,
        page=page,
        page_url=lambda number: here(page=number),
        back=page.number if page.number > 1 and not one_device else None,
        one_device=one_device,
        live=sum(len(device.sessions) for device in devices),
        history=ended,
        history_page=Page(older, older + has_more),
        history_url=lambda number: here(history=number, _anchor="history"),
        reused=[session for session in ended if older == 1 and _is_recent_reuse(session)],
    )


def _cards(devices: Sequence[Device], number: int, device_id: str | None) -> tuple[list[Card], Page]:
    if device_id is None:
        shown, page = _paginate(devices, number, DEVICES_A_PAGE)
        return [Card(device, device.sessions[:SESSIONS_A_CARD]) for device in shown], page
    device = next((device for device in devices if device.id == device_id), None)
    if device is None:
        raise SessionNotFoundProblem
    sessions, page = _paginate(device.sessions, number, ENDED_A_PAGE)
    return [Card(device, sessions)], page


def _paginate(whole: Sequence[T], number: int, size: int) -> tuple[Sequence[T], Page]:
    """A page of a list; the last one for a number beyond it, for what stood there may have been ended since."""
    last = max(1, -(-len(whole) // size))
    number = min(number, last)
    return whole[(number - 1) * size : number * size], Page(number, last)


def _is_recent_reuse(session: LongSession) -> bool:
    recent = session.ended_at is not None and app_state().clock.now() - session.ended_at < REUSE_NOTICE_AGE
    return session.end_reason == "reuse" and recent


def _number(name: str) -> int:
    value = query_args().get(name, "1")
    if not (value.isascii() and value.isdigit() and len(value) <= _NUMBER_LENGTH and int(value) > 0):
        raise BadRequestProblem(f"The parameter {name!r} must be an integer from 1.", field=name)
    return int(value)


# ---- the buttons


@login_required
def rename_device(device_id: str) -> Any:
    """Give the device the name in the field ``name``; an empty one takes it away."""
    actions.rename_device(device_id, _field("name"))
    return _redirect_back()


@login_required
def revoke_device(device_id: str) -> Any:
    """End every session on the device."""
    if response := _require_recent_login(lambda: device_id == _current_device_id()):
        return response
    actions.revoke_device(device_id)
    return _redirect_back()


@login_required
def revoke_session(session_id: str) -> Any:
    """End one session."""
    if response := _require_recent_login(lambda: session_id == current_session.session_id):
        return response
    actions.revoke(session_id)
    return _redirect_back()


@login_required
def revoke_others() -> Any:
    """End every session but this one."""
    if response := _require_recent_login(lambda: False):
        return response
    actions.revoke_others()
    return _redirect_back()


def _require_recent_login(is_sign_out: Callable[[], bool]) -> Any:
    """With ``REAUTH_VIEW`` set, ending *other* sessions asks for a recent sign-in: it is where a thief would begin."""
    if app_state().settings.reauth_view is None or is_sign_out():
        return None
    return step_up_response(RECENT)


def _redirect_back() -> Any:
    """Back to the page for a form, nothing for a script."""
    try:
        number = _number("page")
    except BadRequestProblem:  # what was asked for is done by now
        number = 1
    return see_other(url_for(f"{EXTENSION}.devices", page=number if number > 1 else None))


def _field(name: str) -> str:
    try:
        body: Any = request.get_json(silent=True) if request.is_json else request.form
    except RecursionError:  # brackets within brackets, a hundred thousand of them
        body = None
    value = body.get(name, "") if hasattr(body, "get") else None
    if not isinstance(value, str):
        raise BadRequestProblem(f"The field {name!r} must be a string.", field=name)
    return value


def _current_device_id() -> str | None:
    session_id = current_session.session_id
    if session_id is None:
        return None
    revocation = app_state().with_database().revocation
    return found_or_503(lambda: revocation.device_id_of(session_id))
