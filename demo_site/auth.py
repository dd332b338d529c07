"""Sign in, sign up and sign out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from flask_corbado_session import current_session, login_user, logout_user

from .extensions import limiter, sessions
from .models import DEMO_ACCOUNTS, EMAIL_LENGTH, add_user, check_password, normalise_email, password_problem

blueprint = Blueprint("auth", __name__)


def has_failed(response: Response) -> bool:
    """Whether a form or a passkey was refused; only those count against a rate limit."""
    return response.status_code >= 400


sign_in_limit = limiter.shared_limit(
    lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], scope="sign-in", methods=["POST"], deduct_when=has_failed
)
"""One limit for passwords and passkeys."""
sign_up_limit = limiter.shared_limit(
    lambda: current_app.config["DEMO_SIGN_UP_LIMIT"], scope="sign-up", methods=["POST"]
)


@blueprint.route("/sign-in", methods=["GET", "POST"])
@sign_in_limit
def sign_in() -> ResponseReturnValue:
    """Show the form. With the right password, start a session and go to ``next``."""
    sessions.check_origin()
    if request.method == "GET":
        return _form("sign_in.html", signed_in_as=current_session.claims.get("email"))
    user = check_password(normalise_email(request.form.get("email", "")), request.form.get("password", ""))
    if user is None:
        return _form("sign_in.html", {"form": "Email or password is wrong."}), 422
    login_user(user, remember="remember" in request.form, amr=["pwd"])
    return _redirect_to_next()


@blueprint.route("/sign-up", methods=["GET", "POST"])
@sign_up_limit
def sign_up() -> ResponseReturnValue:
    """Show the form. With a new address and a valid password, add the user and sign them in."""
    sessions.check_origin()  # before the user is added, so that a form sent by another site changes nothing
    if request.method == "GET":
        return _form("sign_up.html", signed_in_as=current_session.claims.get("email"))
    email, password = normalise_email(request.form.get("email", "")), request.form.get("password", "")
    problem = password_problem(password)
    errors = {"email": "This is not an email address."} if email is None else {}
    if problem:
        errors["password"] = problem
    user = None if email is None or errors else add_user(email, password)
    if user is None:
        return _form("sign_up.html", errors or {"email": "There is already an account with this address."}), 422
    login_user(user, remember="remember" in request.form, amr=["pwd"], claims={"first_session": True})
    return _redirect_to_next()


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session of this browser."""
    logout_user()
    return redirect(url_for("pages.home", message="signed-out"), 303)


def _redirect_to_next() -> ResponseReturnValue:
    return redirect(sessions.next_url(default=url_for("account.dashboard")), 303)


def _form(template: str, errors: dict[str, str] | None = None, **values: Any) -> str:
    return render_template(
        template,
        errors=errors or {},
        email=request.form.get("email", "")[:EMAIL_LENGTH],
        remember=request.method == "GET" or "remember" in request.form,
        next=sessions.next_url(default=""),
        demo_accounts=DEMO_ACCOUNTS if current_app.config["DEMO_ACCOUNTS"] else None,
        **values,
    )
