"""The pages of a signed-in user: dashboard, account, password, security notices and emails."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from flask_corbado_session import confirm_login, current_session, current_user, fresh_login_required, login_required

from . import notices, query_log
from .auth import has_failed
from .extensions import db, limiter, sessions
from .models import password_problem
from .who import current_user_id

blueprint = Blueprint("account", __name__)
password_limit = limiter.shared_limit(
    lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], scope="password", methods=["POST"], deduct_when=has_failed
)
"""One limit for both password forms, against guessing the password in a browser that was left open."""


@blueprint.get("/dashboard")
@login_required
def dashboard() -> str:
    """The first page after signing in. It needs no database query unless there is an open notice."""
    open_notices = notices.open_notices()
    return render_template("dashboard.html", open_notices=open_notices, queries=query_log.queries_so_far())


@blueprint.get("/account")
@login_required
def overview() -> str:
    """Both sessions with their lifetimes and claims, and the database queries of this request and the one before."""
    identity_queries = query_log.queries_so_far()
    device = current_session.device
    device_sessions = device.sessions if device else ()
    return render_template(
        "account.html",
        now=datetime.now(UTC),
        long_session=next((session for session in device_sessions if session.is_current), None),
        identity_queries=identity_queries,
        page_queries=query_log.queries_so_far()[len(identity_queries) :],
        previous=query_log.previous_request(current_session.session_id),
    )


# ---- the password


@blueprint.route("/account/confirm", methods=["GET", "POST"])
@password_limit
@login_required
def confirm() -> ResponseReturnValue:
    """Step-up: ask for the password again, then continue with what needed it."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        if _is_password("password"):
            confirm_login(amr=["pwd"])
            return redirect(sessions.next_url(default=url_for("account.dashboard")), 303)
        errors = {"password": "This is not your password."}
    page = render_template("confirm.html", errors=errors, next=sessions.next_url(default=""))
    return page, 422 if errors else 200


@blueprint.route("/account/password", methods=["GET", "POST"])
@password_limit
@fresh_login_required(max_age=300)
def password() -> ResponseReturnValue:
    """Change the password. A new session replaces the current one.

    Everything that can fail comes before the change, so that a failure leaves the password as it was.
    """
    if request.method == "GET":
        return render_template("password.html", errors={}, end_others=True)
    end_others = "end_others" in request.form
    errors = _password_form_errors()
    if errors:
        return render_template("password.html", errors=errors, end_others=end_others), 422
    if end_others:
        sessions.revoke_others()
    confirm_login(amr=["pwd"])
    current_user.set_password(request.form["new_password"])
    db.session.commit()
    return redirect(url_for("account.dashboard", message="password-changed"), 303)


def _password_form_errors() -> dict[str, str]:
    problem = password_problem(request.form.get("new_password", ""))
    if problem:
        return {"new_password": problem}
    return {} if _is_password("current_password") else {"current_password": "This is not your password."}


def _is_password(field: str) -> bool:
    return check_password_hash(current_user.password_hash, request.form.get(field, "")[:1024])


# ---- security notices and emails


@blueprint.get("/account/outbox")
@login_required
def outbox() -> str:
    """The emails to the signed-in user. This page stands in for their mailbox, since the demo sends no email."""
    emails = notices.all_notices(current_user_id())
    return render_template("outbox.html", emails=emails, address=current_session.claims.get("email"))


@blueprint.post("/account/notices/<int:notice_id>/dismiss")
@login_required
def dismiss_notice(notice_id: int) -> ResponseReturnValue:
    """Dismiss a notice: the user has read it, or says that the new device is theirs."""
    notices.dismiss([notices.find_open(notice_id) or abort(404)])
    return redirect(url_for("account.dashboard"), 303)


@blueprint.post("/account/notices/dismiss")
@login_required
def dismiss_all_notices() -> ResponseReturnValue:
    """Dismiss every open notice."""
    notices.dismiss(notices.open_notices())
    return redirect(url_for("account.dashboard"), 303)


@blueprint.post("/account/notices/<int:notice_id>/sign-out")
@fresh_login_required(max_age=15 * 60)
def sign_out_device(notice_id: int) -> ResponseReturnValue:
    """Sign out the device that a notice is about: the user says that it is not theirs."""
    notice = notices.find_open(notice_id)
    if notice is None or not notice.device_id:
        abort(404)
    sessions.revoke_device(notice.device_id)
    notices.dismiss([notice])
    return redirect(url_for("account.dashboard", message="device-signed-out"), 303)
