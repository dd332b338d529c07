"""HTTP errors of the library: a page for a person who navigates, problem+json (RFC 9457) for everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import has_request_context, json, render_template
from werkzeug.exceptions import Forbidden, HTTPException, NotFound, ServiceUnavailable, Unauthorized

from ..model.errors import CorbadoSessionError, SessionNotFound
from .client import is_navigation

RETRY_AFTER = 2
"""Seconds; as long as the library itself waits for a database."""

TYPE_FOLDER = "/flask-corbado-session/errors/"
"""Where the ``type`` of a problem points: docs/errors/ of the built documentation. It is an identifier, so it stays."""


def problem_type(error_code: str) -> str:
    """The ``type`` of a problem (RFC 9457 §3.1.1)."""
    return f"{TYPE_FOLDER}{error_code}.html"


class Problem(CorbadoSessionError, HTTPException):
    """An error response with a machine-readable ``error_code``.

    An app may handle it with ``errorhandler`` like any HTTPException.

    :param description: a sentence for people; the class has a default.
    :param members: further members of the problem+json.
    """

    title = ""
    """What went wrong, in a few words; the same for every occurrence."""
    error_code = ""
    """What went wrong, for machines: the member ``code`` of the problem+json."""

    def __init__(self, description: str | None = None, **members: Any) -> None:
        super().__init__(description)
        self.members = members
        self.redirect_htmx_to: str | None = None
        """Where htmx is sent, which would ignore the body."""

    @property
    def type_uri(self) -> str:
        """The page of the documentation about this error: the member ``type`` of the problem+json (RFC 9457 §3.1.1).

        A path, on whatever host the app is: it identifies the error, and leads to the page where the app serves the
        built documentation at ``/flask-corbado-session``.
        """
        return problem_type(self.error_code)

    @property
    def data(self) -> dict[str, Any]:
        """The members of the problem+json, under the name from which Flask-RESTX and Flask-RESTful take a body.

        ``message`` is where their clients, and flask-smorest's, look for the text.
        """
        members = {
            "type": self.type_uri,
            "title": self.title,
            "status": self.code,
            "code": self.error_code,
            "detail": self.description,
        }
        return {**members, **self.members, "message": self.description}

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """Werkzeug's headers of this status, with the content type of the body.

        :param environ: Werkzeug passes the WSGI environment; not used.
        :param scope: Werkzeug passes the ASGI scope; not used.
        :returns: names and values.
        """
        kind = "text/html; charset=utf-8" if self._is_page() else "application/problem+json"
        headers = [header for header in super().get_headers(environ, scope) if header[0] != "Content-Type"]
        if self.redirect_htmx_to is not None:
            headers.append(("HX-Redirect", self.redirect_htmx_to))
        return [("Content-Type", kind), *headers]

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """The page or the problem+json.

        :param environ: Werkzeug passes the WSGI environment; not used.
        :param scope: Werkzeug passes the ASGI scope; not used.
        :returns: HTML for a person who navigates, else JSON.
        """
        if self._is_page():
            facts = {"title": self.title, "text": self.description, "code": self.error_code, "status": self.code}
            return render_template("corbado_session/error.html", **facts)
        return self.as_json()

    def as_json(self) -> str:
        """The problem+json (RFC 9457).

        :returns: its members, without the one that is only for API frameworks.
        """
        return json.dumps({name: value for name, value in self.data.items() if name != "message"})

    def _is_page(self) -> bool:
        return has_request_context() and is_navigation()


CHALLENGE = 'Bearer realm="session"'
"""RFC 6750 §3: one or more parameters follow the scheme, and no ``error`` where no token came."""


class Unauthenticated(Problem, Unauthorized):
    """Nobody is signed in. ``challenge`` is the ``WWW-Authenticate`` that every 401 has (RFC 9110 §11.6.1)."""

    title = "You are not signed in"
    error_code = "unauthenticated"
    description = "This needs a signed-in user; sign in and try again."

    def __init__(self, description: str | None = None, challenge: str = CHALLENGE, **members: Any) -> None:
        super().__init__(description, **members)
        self._challenge = challenge

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """With the challenge."""
        return [*super().get_headers(environ, scope), ("WWW-Authenticate", self._challenge)]


class InvalidBearer(Unauthenticated):
    """A bearer token came and was refused (RFC 6750 §3.1)."""

    title = "The token was not accepted"
    error_code = "invalid_token"

    def __init__(self, reason: str, text: str) -> None:
        # what RFC 6750 §3 allows there: no quotes, no backslashes, nothing but ASCII
        quoted = text.encode("ascii", "replace").decode().replace("\\", "").replace('"', "'")
        challenge = f'Bearer error="invalid_token", error_description="{quoted}"'
        super().__init__(f"The bearer token was refused: {text}.", challenge=challenge, reason=reason)


class InsufficientAuthentication(Unauthenticated):
    """The sign-in is too old for this, or not strong enough (RFC 9470 §3). ``max_age`` is in seconds."""

    title = "Please confirm that it is you"
    error_code = "insufficient_user_authentication"

    def __init__(self, max_age: float, amr: Iterable[str] = ()) -> None:
        text = f"This needs a sign-in within the last {max_age:g} seconds"
        methods = sorted(amr)
        text += f", by {', '.join(methods)}." if methods else "."
        challenge = f'Bearer error="{self.error_code}", error_description="{text}", max_age="{max_age:g}"'
        super().__init__(text, challenge=challenge, max_age=max_age, amr=methods)


class CsrfRejected(Problem, Forbidden):
    """A page of another origin sent an unsafe request."""

    title = "This request came from another site"
    error_code = "csrf_rejected"
    description = (
        "It was sent by a page of another origin, so nothing was done. Open the page on this site and try again; "
        "an operator can trust the other origin with CORBADO_SESSION_TRUSTED_ORIGINS."
    )


class Unavailable(Problem, ServiceUnavailable):
    """The database of the sessions did not answer. ``Retry-After`` says when to come back (RFC 9110 §10.2.3)."""

    title = "Please try again in a moment"
    error_code = "session_store_unavailable"
    description = "Your session could not be checked just now. You are still signed in; nothing was changed."

    def __init__(self, description: str | None = None, **members: Any) -> None:
        super().__init__(description, **members)
        self.retry_after = RETRY_AFTER


class ProofPending(Unavailable):
    """A bound session came whose browser could not prove its key just now, and says for what ``reason``. It goes on."""

    title = "Your browser could not confirm this device"
    error_code = "device_proof_pending"
    description = "You are still signed in. Please wait a moment and try again, or sign in again on this device."


class LogoutIncomplete(Unavailable):
    """This browser forgot the session, and the database could not be told."""

    title = "You are signed out in this browser only"
    error_code = "logout_incomplete"
    description = (
        "This browser has forgotten your session, but the server could not be told: a copy of it would still work. "
        "Sign in again in a moment and sign it out on your devices page."
    )


class ProofNeeded(Problem, Forbidden):
    """A browser is to prove the key of its session; the challenge stands in ``Secure-Session-Challenge``."""

    title = "A proof of the device's key is needed"
    error_code = "device_proof_required"
    description = "Answer the challenge with the key of this session."


class DeviceBindingRefused(Problem):
    """A browser's key was not registered; its session goes on unbound."""

    code = 400
    title = "The key was not registered"
    error_code = "device_binding_refused"
    description = "The key was not registered. The session goes on without one."


class SessionNotFoundProblem(Problem, NotFound, SessionNotFound):
    """No session or device of that id belongs to this user."""

    title = "There is no such session or device"
    error_code = "not_found"
    description = "No session or device of that id belongs to you; it may have been deleted already."


class NothingToResume(SessionNotFoundProblem):
    """No form waits in this browser for this user."""

    title = "Nothing is waiting to be sent"
    error_code = "nothing_to_resume"
    description = "The form has been sent already, or has waited longer than ten minutes. Please fill it in again."


class LinkSpent(Problem):
    """The link of a mail does not work, or no longer."""

    code = 410
    title = "This link no longer works"
    error_code = "link_spent"
    description = (
        "It was used already, has expired, or is incomplete. Sign in to see your devices, and sign out of any of them."
    )


class BodyTooLarge(Problem):
    """More was sent to a route of the library than any form of it holds."""

    code = 413
    title = "This request is too large"
    error_code = "body_too_large"
    description = "More than 64 KiB were sent, which no form here needs. Nothing was read, and nothing was done."


class BadRequestProblem(Problem):
    """What was sent can't be used; ``field`` names it."""

    code = 400
    title = "This request can't be used"
    error_code = "invalid_request"
