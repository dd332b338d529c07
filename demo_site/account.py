"""The pages of a signed-in user: dashboard, account, password, security notices and emails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from flask_corbado_session import confirm_login, current_session, current_user, fresh_login_required, login_required

from . import notices, passkey_store, query_log
from .auth import has_failed
from .extensions import db, limiter, sessions
from .models import password_problem
from .who import current_user_id

blueprint = Blueprint("account", __name__)
password_limit = limiter.shared_limit(
    lambda: current_app.config["DEMO_SIGN_IN_LIMIT"], scope="password", methods=["POST"], deduct_when=has_failed
)
"""One limit for both password forms and for passkeys, against guessing in a browser that was left open."""
OFFERED_FOR = timedelta(minutes=5)
"""A passkey is offered in a short session that was issued so soon after a sign-in."""


@blueprint.get("/dashboard")
@login_required
def dashboard() -> str:
    """The first page after signing in. It needs no database query unless there is an open notice."""
    open_notices = notices.open_notices()
    return render_template(
        "dashboard.html",
        open_notices=open_notices,
        offers_passkey=_offers_passkey(),
        queries=query_log.queries_so_far(),
    )


def _offers_passkey() -> bool:
    """Whether to offer a passkey: to whom has none and has just signed in with their password. Costs no query.

    "Just" is told by the short session: it is of the sign-in itself, or not much younger.
    """
    signed_in_at, issued_at = current_session.auth_time, current_session.issued_at
    is_recent = signed_in_at is not None and issued_at is not None and issued_at - signed_in_at < OFFERED_FOR
    return is_recent and current_session.amr == ("pwd",) and "passkey" not in current_session.claims


@blueprint.get("/account")
@login_required
def overview() -> str:
    """Both sessions with their lifetimes and claims, and the database queries of this request and the one before."""
    identity_queries = query_log.queries_so_far()
    device = current_session.device
    device_sessions = device.sessions if device else ()
    session_queries = query_log.queries_so_far()
    holder = passkey_store.find_holder(current_user_id())
    passkeys = holder.passkeys if holder else []
    return render_template(
        "account.html",
        now=datetime.now(UTC),
        long_session=next((session for session in device_sessions if session.is_current), None),
        identity_queries=identity_queries,
        page_queries=session_queries[len(identity_queries) :],
        passkeys=passkeys,
        passkey_holder=holder,
        is_last_passkey_kept=len(passkeys) == 1 and not current_user.has_password,
        passkey_queries=query_log.queries_so_far()[len(session_queries) :],
        previous=query_log.previous_request(current_session.session_id),
    )


# ---- the password


@blueprint.route("/account/confirm", methods=["GET", "POST"])
@password_limit
@login_required
def confirm() -> ResponseReturnValue:
    """Step-up: ask for the password or a passkey, then continue with what needed it."""
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

    Who has just used a passkey is not asked for the current password: they may have none, or have forgotten it.
    Everything that can fail comes before the change, so that a failure leaves the password as it was.
    """
    by_passkey = _is_by_passkey()
    if request.method == "GET":
        return render_template("password.html", errors={}, end_others=True, by_passkey=by_passkey)
    end_others = "end_others" in request.form
    errors = _password_form_errors(by_passkey)
    if errors:
        return render_template("password.html", errors=errors, end_others=end_others, by_passkey=by_passkey), 422
    if end_others:
        sessions.revoke_others()
    confirm_login(amr=current_session.amr if by_passkey else ["pwd"])
    current_user.set_password(request.form["new_password"])
    db.session.commit()
    return redirect(url_for("account.dashboard", message="password-changed"), 303)


def _is_by_passkey() -> bool:
    """Whether this session was signed in, or confirmed last, with a passkey."""
    return not {"hwk", "swk"}.isdisjoint(current_session.amr)


def _password_form_errors(by_passkey: bool) -> dict[str, str]:
    problem = password_problem(request.form.get("new_password", ""))
    if problem:
        return {"new_password": problem}
    return {} if by_passkey or _is_password("current_password") else {"current_password": "This is not your password."}


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
