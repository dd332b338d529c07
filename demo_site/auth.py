"""Sign in, sign up, sign out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from flask_corbado_session import current_session, login_user, logout_user

from .extensions import limiter, sessions
from .models import EMAIL_LENGTH, PREPARED, User, add_user, check_password, normalise_email, wrong_password

blueprint = Blueprint("auth", __name__)


def was_refused(response: Response) -> bool:
    """Only what failed counts against a rate limit."""
    return response.status_code != 303


@blueprint.route("/sign-in", methods=["GET", "POST"])
@limiter.limit(lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], methods=["POST"], deduct_when=was_refused)
def sign_in() -> ResponseReturnValue:
    """The form; with the right password a new session, and on to ``next``."""
    sessions.check_origin()
    if request.method == "GET":
        return _form("sign_in.html", signed_in_as=current_session.claims.get("email"))
    user = check_password(normalise_email(request.form.get("email", "")), request.form.get("password", ""))
    if user is None:
        return _form("sign_in.html", {"form": "Email or password is wrong."}), 422
    return _welcome(user)


@blueprint.route("/sign-up", methods=["GET", "POST"])
@limiter.limit(lambda: current_app.config["DEMO_SIGN_UP_LIMIT"], methods=["POST"])
def sign_up() -> ResponseReturnValue:
    """The form; with a new address and a sound password a new user, signed in."""
    sessions.check_origin()  # before a user is added: what a foreign page sends leaves no trace
    if request.method == "GET":
        return _form("sign_up.html", signed_in_as=current_session.claims.get("email"))
    email, password = normalise_email(request.form.get("email", "")), request.form.get("password", "")
    problem = wrong_password(password)
    errors = {"email": "This is not an email address."} if email is None else {}
    if problem:
        errors["password"] = problem
    user = None if email is None or errors else add_user(email, password)
    if user is None:
        return _form("sign_up.html", errors or {"email": "There is an account with this address already."}), 422
    return _welcome(user)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session."""
    logout_user()
    return redirect(url_for("pages.home", notice="signed-out"), 303)


def _welcome(user: User) -> ResponseReturnValue:
    login_user(user, remember="remember" in request.form, amr=["pwd"])
    return redirect(sessions.next_url(default=url_for("account.dashboard")), 303)


def _form(template: str, errors: dict[str, str] | None = None, **values: Any) -> str:
    return render_template(
        template,
        errors=errors or {},
        email=request.form.get("email", "")[:EMAIL_LENGTH],
        remember=request.method == "GET" or "remember" in request.form,
        next=sessions.next_url(default=""),
        prepared=PREPARED if current_app.config["DEMO_PREPARED_USER"] else None,
        **values,
    )
