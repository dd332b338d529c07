"""The app's functions as a request calls them: sync or async, the user kept with the request, links by the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import replace
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from flask import current_app, url_for

from ..model.records import Notice
from ..model.users import SessionUser, is_active
from ..sessions.hooks import Hooks
from .kept_user import NOT_LOADED, keep_user, kept_user
from .state import EXTENSION, app_state


class FlaskHooks(Hooks):
    """The hooks of one extension instance."""

    __slots__ = ()

    def call(self, hook: Callable[..., Any], *args: Any) -> Any:
        """Call one of the app's functions, which may be async, also from an async view."""
        if iscoroutinefunction(hook) and not _runs_a_loop():
            return current_app.ensure_sync(hook)(*args)
        result = hook(*args)
        return _awaited(result) if isawaitable(result) else result

    def load_user(self, user_id: str) -> Any:
        """The app's user, who then stays with the request context."""
        return load_user(user_id)

    def with_link(self, notice: Notice, disown_token: str | None) -> Notice:
        """The notice with the path of the page that disowns its device."""
        if disown_token is None or app_state().settings.url_prefix is None:
            return notice
        return replace(notice, report_path=url_for(f"{EXTENSION}.disown", token=disown_token))


def load_user(user_id: str) -> Any:
    """The app's user, asked for once a request, or None for one it no longer knows, or who is not active."""
    hooks = app_state().hooks
    if hooks.user_loader is None:
        return SessionUser(user_id)
    user = kept_user(user_id)
    if user is NOT_LOADED:
        user = hooks.call(hooks.user_loader, user_id)
        if not is_active(user):  # not kept: of two cookies of one name the other may be someone else's
            return None
        keep_user(user_id, user)
    return user


def _runs_a_loop() -> bool:
    """Whether this thread runs an event loop: under an async view."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _awaited(awaitable: Awaitable[Any]) -> Any:
    """What an awaitable gives, on a loop in a thread of its own: one thread runs one loop at a time."""

    async def wait() -> Any:
        return await awaitable

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(copy_context().run, asyncio.run, wait()).result()
