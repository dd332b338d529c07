"""The app's functions as a request calls them: sync or async, the user kept with the request, links by the routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import current_app, url_for

from ..model.records import Notice
from ..model.users import SessionUser
from ..sessions.hooks import Hooks
from .state import EXTENSION, NOT_LOADED, app_state, current_request_state


@dataclass(slots=True)
class FlaskHooks(Hooks):
    """The hooks of one extension instance."""

    def call(self, hook: Callable[..., Any], *args: Any) -> Any:
        """Call one of the app's functions, which may be async."""
        return current_app.ensure_sync(hook)(*args)

    def user_exists(self, user_id: str) -> bool:
        """Whether the app still knows this user; who was loaded stays with the request."""
        return self.user_loader is None or load_user(user_id) is not None

    def with_link(self, notice: Notice, disown_token: str | None) -> Notice:
        """The notice with the path of the page that disowns its device."""
        if disown_token is None or app_state().settings.url_prefix is None:
            return notice
        return replace(notice, report_path=url_for(f"{EXTENSION}.disown", token=disown_token))


def load_user(user_id: str) -> Any:
    """The app's user, asked for once a request, or None for one it no longer knows."""
    request_state = current_request_state()
    hooks = request_state.app_state.hooks
    if hooks.user_loader is None:
        return SessionUser(user_id)
    if request_state.user is NOT_LOADED:
        user = hooks.call(hooks.user_loader, user_id)
        if user is None:  # not kept: of two cookies of one name the other may be someone else's
            return None
        request_state.user = user
    return request_state.user
