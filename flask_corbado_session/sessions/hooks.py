"""What the app registered for the extension to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.records import Notice


@dataclass(slots=True)
class Callbacks:
    """What the app gave the extension's instance to call; shared by all apps of that instance."""

    user_loader: Callable[[str], Any] | None = None
    claims_loader: Callable[[str], Mapping[str, Any]] | None = None
    unauthorized_handler: Callable[[], Any] | None = None
    notifier: Callable[[Notice], Any] | None = None
    ip_locator: Callable[[str], str | None] | None = None


@dataclass(slots=True)
class Loaders:
    """What the app is asked at each refresh, and told, after the row's own commit."""

    user_exists: Callable[[str], bool] = lambda user_id: True
    claims: Callable[[str], Mapping[str, Any]] = lambda user_id: {}
    notify: Callable[[Notice, str | None], None] = lambda notice, link: None
    """Told after the commit, with the token of the link that disowns a new device."""
