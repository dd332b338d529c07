"""Sessions and devices as the routes answer them in JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..model.records import Device, LongSession, ShortSession


def iso(at: datetime | None) -> str | None:
    """A time in RFC 3339, UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def device_json(device: Device) -> dict[str, Any]:
    """A device with its sessions."""
    return {
        "id": device.id,
        "name": device.name,
        "label": device.label,
        "browser": device.browser,
        "system": device.system,
        "device_type": device.device_type,
        "first_seen_at": iso(device.first_seen_at),
        "last_seen_at": iso(device.last_seen_at),
        "is_current": device.is_current,
        "sessions": [session_json(session) for session in device.sessions],
    }


def session_json(session: LongSession) -> dict[str, Any]:
    """A long session."""
    previous = session.previous
    return {
        "session_id": session.session_id,
        "device_id": session.device_id,
        "created_at": iso(session.created_at),
        "last_seen_at": iso(session.last_seen_at),
        "expires_at": iso(session.expires_at),
        "auth_time": iso(session.auth_time),
        "amr": list(session.amr),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "ended_at": iso(session.ended_at),
        "end_reason": session.end_reason,
        "previous": None if previous is None else {"ip": previous.ip, "user_agent": previous.user_agent},
        "is_current": session.is_current,
        "bound": session.bound,
    }


def claims_json(short: ShortSession) -> dict[str, Any]:
    """The app's claims, with whose session it is."""
    return {**short.claims, "sub": short.user_id, "sid": short.session_id, "amr": list(short.amr)}


def short_session_json(short: ShortSession) -> dict[str, Any]:
    """A short session."""
    return {
        "user_id": short.user_id,
        "session_id": short.session_id,
        "claims": claims_json(short),
        "issued_at": iso(short.issued_at),
        "expires_at": iso(short.expires_at),
        "auth_time": iso(short.auth_time),
        "amr": list(short.amr),
    }
