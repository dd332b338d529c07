"""What the app registers for the extension to call, and what the rules ask of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..model.records import Notice
from ..model.users import is_active

log = logging.getLogger("flask_corbado_session")
T = TypeVar("T")

UserLoader = Callable[[str], Any]
ClaimsLoader = Callable[[str], "Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None"]
Notifier = Callable[[Notice], object]
IpLocator = Callable[[str], str | None]


class UserLoaderFailed(Exception):
    """The app's ``user_loader`` raised (the cause). Nobody is signed out by that. Caught inside the package."""


@dataclass(slots=True, eq=False)
class Hooks:
    """The app's functions, as the decorators of the extension's instance registered them; shared by all its apps.

    The methods are the rules' one call back up. ``web/hooks.py`` adapts them to a request: async functions, the user
    kept with the request, the path of a notice's link.
    """

    user_loader: UserLoader | None = None
    claims_loader: ClaimsLoader | None = None
    unauthorized_handler: Callable[[], Any] | None = None
    anonymous_user: Callable[[], Any] | None = None
    notifier: Notifier | None = None
    ip_locator: IpLocator | None = None

    def user_exists(self, user_id: str) -> bool:
        """Whether the app still knows this user, and they are active; asked at each refresh, after the row's own
        commit. Raises :class:`UserLoaderFailed`."""
        if self.user_loader is None:
            return True
        try:
            return is_active(self.load_user(user_id))
        except Exception as error:
            raise UserLoaderFailed from error

    def load_user(self, user_id: str) -> Any:
        """What the app's ``user_loader`` returns."""
        return None if self.user_loader is None else self.call(self.user_loader, user_id)

    def claims(self, user_id: str) -> Mapping[str, Any]:
        """The app's claims of this user; asked before a sign-in writes anything, and at each refresh."""
        return {} if self.claims_loader is None else (self.call(self.claims_loader, user_id) or {})

    def notify(self, notice: Notice, disown_token: str | None) -> None:
        """Have the app send a notice; what its notifier raises must not undo a sign-in."""
        if self.notifier is None:
            return
        try:
            self.call(self.notifier, self.with_link(notice, disown_token))
        except Exception:
            log.exception("the notifier failed on a notice of kind %s", notice.kind)

    def call(self, hook: Callable[..., Any], *args: Any) -> Any:
        """Call one of the app's functions."""
        return hook(*args)

    def with_link(self, notice: Notice, disown_token: str | None) -> Notice:
        """The notice with the path of the page that disowns its device, where there is such a page."""
        return notice
