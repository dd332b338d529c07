"""Flask-Login's signals. The sender is the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from blinker import ANY, NamedSignal, Namespace

from .differences import PROTECTION, warn

ReceiverT = TypeVar("ReceiverT", bound=Callable[..., Any])
_signals = Namespace()

user_logged_in = _signals.signal("logged-in", doc="Somebody signed in: ``user``.")
user_logged_out = _signals.signal("logged-out", doc="Somebody signed out: ``user``, who may be anonymous.")
user_loaded_from_cookie = _signals.signal(
    "loaded-from-cookie",
    doc="The long session's cookie gave a new short session, and its user was loaded: ``user``.",
)
user_loaded_from_request = _signals.signal(
    "loaded-from-request",
    doc="The ``request_loader`` returned a user: ``user``.",
)
user_login_confirmed = _signals.signal("login-confirmed", doc="The signed-in user has proved again who they are.")
user_unauthorized = _signals.signal("unauthorized", doc="``LoginManager.unauthorized()`` was called.")
user_needs_refresh = _signals.signal("needs-refresh", doc="``LoginManager.needs_refresh()`` was called.")
user_accessed = _signals.signal("accessed", doc="``current_user`` was touched for the first time in a request.")


class _NeverSent(NamedSignal):
    """A signal that nothing sends; whoever waits for it is told."""

    def connect(self, receiver: ReceiverT, sender: Any = ANY, weak: bool = True) -> ReceiverT:
        """Connect, and warn."""
        warn(
            f"the signal {self.name}",
            f"it is never sent, since {PROTECTION}; listen to flask_corbado_session.session_reuse_detected",
        )
        return super().connect(receiver, sender, weak)


session_protected = _NeverSent("session-protected", doc="Never sent.")


def __getattr__(name: str) -> NoReturn:
    if name == "user_loaded_from_header":
        raise AttributeError("user_loaded_from_header was deprecated by Flask-Login: use user_loaded_from_request")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
