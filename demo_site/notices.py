"""What people are told of their sessions, on the site and by mail: a new device, a copy of a session that was used.

The extension calls ``tell`` after its own commit. The short sessions of the user's other browsers are expired then, so
that each gets the claim ``notices`` within a second; a dashboard without that claim asks the database nothing.
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
"""How long a notice stands on the dashboard of whoever does not put it away."""
KEPT = 50
"""Mails of one user about new devices; those of copied sessions are all kept."""
_NAMED = 5
"""Notices the short session names at most, for it travels with each request."""


class Told(Base):
    """Something a user was told: a notice, and the mail that went out with it."""

    __tablename__ = "demo_told"

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
    told_at: Mapped[int]
    """Seconds since the epoch."""
    put_away: Mapped[bool] = mapped_column(default=False)

    @property
    def at(self) -> datetime:
        """When it was told."""
        return datetime.fromtimestamp(self.told_at, UTC)

    @property
    def is_due(self) -> bool:
        """Whether it is still to be shown."""
        return not self.put_away and time.time() - self.told_at < SHOWN_FOR.total_seconds()


@sessions.notifier
def tell(notice: Notice) -> None:
    """Keep the notice, and let the user's other browsers know at once. The first device of all is no news."""
    if notice.kind == "new_device" and _is_first_device(notice.user_id):
        return
    try:
        _keep(notice)
    except SQLAlchemyError:
        db.session.rollback()
        raise
    sessions.expire_short(notice.user_id, except_session_id=notice.session_id)


def _is_first_device(user_id: str) -> bool:
    return len(sessions.devices(user_id)) == 1 and not sessions.history(user_id, limit=1)


def _keep(notice: Notice) -> None:
    other = notice.previous
    db.session.add(
        Told(
            user_id=int(notice.user_id),
            kind=notice.kind,
            session_id=notice.session_id,
            device_id=notice.device_id,
            ip=notice.context.ip,
            user_agent=notice.context.user_agent,
            previous_ip=other.ip if other else None,
            previous_user_agent=other.user_agent if other else None,
            report_path=notice.report_path,
            told_at=int(time.time()),
        )
    )
    db.session.flush()
    mine = select(Told.id).where(Told.user_id == int(notice.user_id), Told.kind == "new_device")
    old = db.session.scalars(mine.order_by(Told.id.desc()).offset(KEPT).limit(KEPT)).all()
    db.session.execute(delete(Told).where(Told.id.in_(old)))
    db.session.commit()


def named(told: list[Told]) -> list[str]:
    """What the claim says of these: the sessions they are about, the latest first."""
    return [each.session_id for each in told if each.is_due][:_NAMED]


def due() -> list[Told]:
    """The notices for the person at this browser, copied sessions first; no statement unless the short session names
    one. Nobody is asked about the very device he is at."""
    if all(each == current_session.session_id for each in current_session.claims.get("notices", ())):
        return []
    here = current_session.device
    due = [each for each in current_user.told if each.is_due and not (here and each.device_id == here.id)]
    return sorted(due, key=lambda each: each.kind != "reuse")


def find_due(told_id: int) -> Told | None:
    """One of them."""
    return next((each for each in due() if each.id == told_id), None)


def put_away(told: Iterable[Told]) -> None:
    """Show these no more, anywhere; this browser's claims say so at once."""
    for each in told:
        each.put_away = True
    db.session.commit()
    sessions.refresh_claims()


def mails_of(user_id: str) -> list[Told]:
    """What went out to a user, the latest first."""
    return list(db.session.scalars(select(Told).where(Told.user_id == int(user_id)).order_by(Told.id.desc())))
