"""Routes that an app with several hosts or subdomains serves on each of them, as one with a single host does.

The cookies belong to the host that set them, so that the session's routes have to be where its pages are. Werkzeug
serves a rule without a host on none (``host_matching``), and one without a subdomain on the bare domain alone.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, has_request_context, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from werkzeug.routing import BaseConverter

from .body_limit import limit_body

_NAME = "corbado_session_host"


class _AnyHost(BaseConverter):
    """Any host with its port, or any subdomain, the empty one too; not Werkzeug's ``<invalid>`` of another domain."""

    regex = "[^/<]*"
    part_isolating = True


class _SetupState(BlueprintSetupState):
    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, **options: Any) -> None:
        app = self.app
        if app.url_map.host_matching or (app.subdomain_matching and self.subdomain is None):
            app.url_map.converters.setdefault(_NAME, _AnyHost)
            where = "host" if app.url_map.host_matching else "subdomain"
            options.setdefault(where, f"<{_NAME}:{_NAME}>")
        super().add_url_rule(rule, endpoint, view_func, **options)


class AnyHostBlueprint(Blueprint):
    """A blueprint whose routes are on every host that the app serves, unless it is registered for a subdomain."""

    enable_openapi = False
    """APIFlask asks it of every blueprint that has a ``before_request``; Flask's own have no such attribute."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url_value_preprocessor(lambda _endpoint, values: values and values.pop(_NAME, None))
        self.url_defaults(_stay_on_this_host)
        self.before_request(limit_body)

    def make_setup_state(self, app: App, options: dict[str, Any], first_registration: bool = False) -> _SetupState:
        """How the rules are added."""
        return _SetupState(self, app, options, first_registration)


def _stay_on_this_host(endpoint: str, values: dict[str, Any]) -> None:
    if not current_app.url_map.is_endpoint_expecting(endpoint, _NAME):
        return
    domain = (current_app.config["SERVER_NAME"] or "").lower()
    host = request.host.lower() if has_request_context() else domain or "localhost"
    if not current_app.url_map.host_matching:
        host = host.removesuffix(f".{domain}") if host.endswith(f".{domain}") else ""
    values.setdefault(_NAME, host)
