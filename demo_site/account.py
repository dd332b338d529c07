"""What somebody signed in sees: dashboard, account, password, and what he was told."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from flask_corbado_session import confirm_login, current_session, current_user, fresh_login_required, login_required

from . import cost, notices
from .auth import was_refused
from .extensions import db, limiter, sessions
from .models import wrong_password

blueprint = Blueprint("account", __name__)
guesses = limiter.shared_limit(
    lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], scope="password", methods=["POST"], deduct_when=was_refused
)
"""For whoever found a browser open and guesses at its owner's password, whichever form he tries."""


@blueprint.get("/dashboard")
@login_required
def dashboard() -> str:
    """The first page of somebody signed in; it needs no statement, unless there is something to tell."""
    due = notices.due()
    return render_template("dashboard.html", due=due, statements=cost.so_far())


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


# ---- the password


@blueprint.route("/account/confirm", methods=["GET", "POST"])
@guesses
@login_required
def confirm() -> ResponseReturnValue:
    """Step-up: the password once more, then on to where it was asked for."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        if _is_password("password"):
            confirm_login(amr=["pwd"])
            return redirect(sessions.next_url(default=url_for("account.dashboard")), 303)
        errors = {"password": "This is not your password."}
    page = render_template("confirm.html", errors=errors, next=sessions.next_url(default=""))
    return page, 422 if errors else 200


@blueprint.route("/account/password", methods=["GET", "POST"])
@guesses
@fresh_login_required(max_age=300)
def password() -> ResponseReturnValue:
    """The form; with the right password a new one, and a new session in the place of this one. What can fail comes
    before the change: a failure then leaves the password as it was."""
    if request.method == "GET":
        return render_template("password.html", errors={}, end_others=True)
    end_others = "end_others" in request.form
    errors = _wrong_fields()
    if errors:
        return render_template("password.html", errors=errors, end_others=end_others), 422
    if end_others:
        sessions.revoke_others()
    confirm_login(amr=["pwd"])
    current_user.set_password(request.form["new_password"])
    db.session.commit()
    return redirect(url_for("account.dashboard", notice="password-changed"), 303)


def _wrong_fields() -> dict[str, str]:
    problem = wrong_password(request.form.get("new_password", ""))
    if problem:
        return {"new_password": problem}
    return {} if _is_password("current_password") else {"current_password": "This is not your password."}


def _is_password(field: str) -> bool:
    return check_password_hash(current_user.password_hash, request.form.get(field, "")[:1024])


# ---- what he was told


@blueprint.get("/account/outbox")
@login_required
def outbox() -> str:
    """The mails to the signed-in user; this stands in for his mailbox, since the demo sends none."""
    mails = notices.mails_of(current_session.user_id)
    return render_template("outbox.html", mails=mails, email=current_session.claims.get("email"))


@blueprint.post("/account/notices/<int:told_id>/put-away")
@login_required
def put_away(told_id: int) -> ResponseReturnValue:
    """It was the person himself, or he has read it."""
    notices.put_away([notices.find_due(told_id) or abort(404)])
    return redirect(url_for("account.dashboard"), 303)


@blueprint.post("/account/notices/put-away")
@login_required
def put_all_away() -> ResponseReturnValue:
    """The same of whatever there is to tell."""
    notices.put_away(notices.due())
    return redirect(url_for("account.dashboard"), 303)


@blueprint.post("/account/notices/<int:told_id>/sign-out")
@fresh_login_required(max_age=15 * 60)
def sign_out_device(told_id: int) -> ResponseReturnValue:
    """It was not: every session of that device ends."""
    told = notices.find_due(told_id)
    if told is None or not told.device_id:
        abort(404)
    sessions.revoke_device(told.device_id)
    notices.put_away([told])
    return redirect(url_for("account.dashboard", notice="device-ended"), 303)
