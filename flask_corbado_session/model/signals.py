"""What an app can listen to (blinker). The sender is always the app; every keyword is listed here.

A receiver runs after the change has been committed. What it raises reaches the view.
"""

from blinker import Namespace

_signals = Namespace()

session_started = _signals.signal(
    "corbado-session-started",
    doc="Somebody signed in: ``user_id``, ``session_id``, ``device_id``, ``context``.",
)

session_refreshed = _signals.signal(
    "corbado-session-refreshed",
    doc=(
        "The long session gave a new short one: ``user_id``, ``session_id``, ``kind`` (promote, reopen, rollback, "
        "hold, reissue), ``context`` and ``previous``: for a reopen the context that held the same token before, "
        "else None."
    ),
)

session_ended = _signals.signal(
    "corbado-session-ended",
    doc="A session ended in its own browser: ``user_id`` (None if unknown), ``session_id``, ``reason``.",
)

session_revoked = _signals.signal(
    "corbado-session-revoked",
    doc="Sessions were ended from elsewhere: ``user_id`` (None if for anyone), ``session_ids``, ``reason``.",
)

session_reuse_detected = _signals.signal(
    "corbado-session-reuse-detected",
    doc=(
        "A spent long token was used, so two hold the session, and it was ended: ``user_id``, ``session_id``, "
        "``context`` (who came with the spent token), ``previous`` (who was refreshed last)."
    ),
)

device_binding_failed = _signals.signal(
    "corbado-device-binding-failed",
    doc=(
        "A session that is bound to a key of its browser's came without a proof: ``user_id``, ``session_id``, "
        "``context`` (who came), ``previous`` (who was refreshed last), ``skipped`` (why the browser says it sent "
        "none, else None). Nothing was changed. Sent once a minute at most, per session and process."
    ),
)

device_added = _signals.signal(
    "corbado-device-added",
    doc="Somebody signed in on a device not seen before: ``user_id``, ``device_id``, ``session_id``, ``context``.",
)
