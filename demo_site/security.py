"""The security headers of every response."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, Response, request

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def init_app(app: Flask, calls: Iterable[str] = ()) -> None:
    """Add the headers to every response; ``calls`` are the other origins that the app's scripts call."""
    # browsers also check form-action when a form redirects, so it must allow the origins that `next` may name
    origins = app.config.get("CORBADO_SESSION_CORS_ORIGINS") or ()
    form_targets = origins.replace(",", " ").split() if isinstance(origins, str) else origins
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {_sources(calls)}; form-action {_sources(form_targets)}; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {"Content-Security-Policy": policy, **HEADERS}

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response


def _sources(origins: Iterable[str]) -> str:
    return " ".join(("'self'", *origins))
