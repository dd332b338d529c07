"""Security notices: a sign-in on a new device, or the use of a copied session.

A notice is shown on the dashboard and sent by email. The extension calls ``store_notice`` after its own commit. The
short sessions of the user's other browsers are then expired, so that each of them gets the claim ``notices`` within a
second. A dashboard without that claim does not query the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import ForeignKey, String, Text, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from flask_corbado_session import Notice, current_session, current_user

from .extensions import Base, db, sessions

SHOWN_FOR = timedelta(days=14)
"""How long the dashboard shows a notice that is not dismissed."""
KEPT = 50
"""How many notices of new devices are kept per user. Notices of copied sessions are all kept."""
_MAX_IN_CLAIM = 5
"""How many notices the claim lists at most: the short session travels with each request."""


class StoredNotice(Base):
    """A notice to a user, and the content of the email about it."""

    __tablename__ = "demo_notice"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("demo_user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    session_id: Mapped[str] = mapped_column(String(30))
    device_id: Mapped[str] = mapped_column(String(30))
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(512))
    previous_ip: Mapped[str | None] = mapped_column(String(45))
    previous_user_agent: Mapped[str | None] = mapped_column(String(512))
    report_path: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[int]
    """Seconds since the epoch."""
    dismissed: Mapped[bool] = mapped_column(default=False)

    @property
    def at(self) -> datetime:
        """When it was sent."""
        return datetime.fromtimestamp(self.sent_at, UTC)

    @property
    def is_open(self) -> bool:
        """Whether the dashboard still shows it."""
        return not self.dismissed and time.time() - self.sent_at < SHOWN_FOR.total_seconds()


@sessions.notifier
def store_notice(notice: Notice) -> None:
    """Store a notice, and let the user's other browsers show it at once. A user's first device needs no notice."""
    if notice.kind == "new_device" and _is_first_device(notice.user_id):
        return
    try:
        _store(notice)
    except SQLAlchemyError:
        db.session.rollback()
        raise
    sessions.expire_short(notice.user_id, except_session_id=notice.session_id)


def _is_first_device(user_id: str) -> bool:
    return len(sessions.devices(user_id)) == 1 and not sessions.history(user_id, limit=1)


def _store(notice: Notice) -> None:
    previous = notice.previous
    db.session.add(
        StoredNotice(
            user_id=int(notice.user_id),
            kind=notice.kind,
            session_id=notice.session_id,
            device_id=notice.device_id,
            ip=notice.context.ip,
            user_agent=notice.context.user_agent,
            previous_ip=previous.ip if previous else None,
            previous_user_agent=previous.user_agent if previous else None,
            report_path=notice.report_path,
            sent_at=int(time.time()),
        )
    )
    db.session.flush()
    _delete_old(int(notice.user_id))
    db.session.commit()


def _delete_old(user_id: int) -> None:
    newest_first = (
        select(StoredNotice.id)
        .where(StoredNotice.user_id == user_id, StoredNotice.kind == "new_device")
        .order_by(StoredNotice.id.desc())
    )
    old = db.session.scalars(newest_first.offset(KEPT).limit(KEPT)).all()
    db.session.execute(delete(StoredNotice).where(StoredNotice.id.in_(old)))


def claim_of(notices: list[StoredNotice]) -> list[str]:
    """The value of the claim ``notices``: the ids of the sessions that open notices are about."""
    return [notice.session_id for notice in notices if notice.is_open][:_MAX_IN_CLAIM]


def open_notices() -> list[StoredNotice]:
    """The notices to show in this browser, copied sessions first.

    Costs no query unless the claim lists one. A device does not show the notice about itself.
    """
    if all(session_id == current_session.session_id for session_id in current_session.claims.get("notices", ())):
        return []
    device = current_session.device
    notices = [
        notice for notice in current_user.notices if notice.is_open and not (device and notice.device_id == device.id)
    ]
    return sorted(notices, key=lambda notice: notice.kind != "reuse")


def find_open(notice_id: int) -> StoredNotice | None:
    """One of the open notices, by its id."""
    return next((notice for notice in open_notices() if notice.id == notice_id), None)


def dismiss(notices: Iterable[StoredNotice]) -> None:
    """Stop showing these notices in any browser. This browser's claims are refreshed at once."""
    for notice in notices:
        notice.dismissed = True
    db.session.commit()
    sessions.refresh_claims()


def all_notices(user_id: str) -> list[StoredNotice]:
    """Every stored notice to a user, the latest first."""
    stmt = select(StoredNotice).where(StoredNotice.user_id == int(user_id)).order_by(StoredNotice.id.desc())
    return list(db.session.scalars(stmt))
