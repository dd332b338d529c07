"""What somebody signed in sees: dashboard, account, password."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from flask_corbado_session import current_session, current_user, login_required

from . import cost
from .auth import was_refused
from .extensions import db, limiter, sessions
from .models import wrong_password

blueprint = Blueprint("account", __name__)


@blueprint.get("/dashboard")
@login_required
def dashboard() -> str:
    """The first page of somebody signed in; it needs no statement."""
    return render_template("dashboard.html", statements=cost.so_far())


@blueprint.get("/account")
@login_required
def overview() -> str:
    """Both sessions, their lifetimes, and what requests cost."""
    identity_cost = cost.so_far()
    device = current_session.device
    running = device.sessions if device else ()
    return render_template(
        "account.html",
        now=datetime.now(UTC),
        long_session=next((each for each in running if each.is_current), None),
        identity_cost=identity_cost,
        page_cost=cost.so_far()[len(identity_cost) :],
        previous=cost.previous(current_session.session_id),
    )


@blueprint.route("/account/password", methods=["GET", "POST"])
@limiter.limit(lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], methods=["POST"], deduct_when=was_refused)
@login_required
def password() -> ResponseReturnValue:
    """The form; with the right password a new one. Other sessions end first: a failure then leaves all as it was."""
    if request.method == "GET":
        return render_template("password.html", errors={}, end_others=True)
    end_others = "end_others" in request.form
    errors = _wrong_fields()
    if errors:
        return render_template("password.html", errors=errors, end_others=end_others), 422
    if end_others:
        sessions.revoke_others()
    current_user.set_password(request.form["new_password"])
    db.session.commit()
    return redirect(url_for("account.dashboard", notice="password-changed"), 303)


def _wrong_fields() -> dict[str, str]:
    problem = wrong_password(request.form.get("new_password", ""))
    if problem:
        return {"new_password": problem}
    if not check_password_hash(current_user.password_hash, request.form.get("current_password", "")):
        return {"current_password": "This is not your password."}
    return {}
