"""How a :class:`Problem` is answered in an app that has error handlers of its own."""

from __future__ import annotations

from typing import Any

from flask import current_app

from .problems import Problem

_API_FRAMEWORKS = frozenset({"apiflask", "flask_smorest"})
"""Their handlers of HTTPException make a body of status and name alone."""


def answer(problem: Problem) -> Any:
    """Answer with the problem itself, or by the handler that the app has for its kind.

    The handler that an API framework has for every HTTPException is none of the app's: it would lose ``code``,
    ``reason`` and the challenge.
    """
    handlers = current_app.error_handler_spec[None][None]
    kinds = type(problem).__mro__
    for kind in kinds[kinds.index(Problem) + 1 :]:
        if issubclass(kind, Exception) and (handler := handlers.get(kind)) is not None:
            return problem if _is_of_a_framework(handler) else current_app.ensure_sync(handler)(problem)
    return problem


def _is_of_a_framework(handler: Any) -> bool:
    origin = _package(handler)
    # APIFlask's calls whatever `app.error_processor` was given, which may be the app's own
    own = getattr(current_app, "error_callback", None) if origin == "apiflask" else None
    return origin in _API_FRAMEWORKS and (own is None or _package(own) == origin)


def _package(function: Any) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]
