"""Views and blueprints that are spared the origin check, because they check for themselves who sends to them."""

from __future__ import annotations

from typing import Any

from flask import current_app, request

_EXEMPT = "_corbado_session_csrf_exempt"


def is_exempt() -> bool:
    """Whether the view, its class, the class's method, or a blueprint around it is marked."""
    view = current_app.view_functions.get(request.endpoint or "")
    kind = getattr(view, "view_class", None)
    blueprints = [current_app.blueprints.get(name) for name in request.blueprints]
    marked = (view, kind, getattr(kind, request.method.lower(), None), *blueprints)
    return any(getattr(each, _EXEMPT, False) for each in marked)


def exempt_from_origin_check(view: Any) -> Any:
    """Mark a view or a blueprint that checks for itself who sends to it; functools.wraps carries the mark outwards."""
    setattr(view, _EXEMPT, True)
    return view
