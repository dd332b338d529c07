"""Sessions and devices as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..model.records import Device, LongSession


def iso(at: datetime | None) -> str | None:
    """A time as JSON has it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _device(device: Device) -> dict[str, Any]:
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
        "sessions": [_session(session) for session in device.sessions],
    }


def _session(session: LongSession) -> dict[str, Any]:
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
    }
