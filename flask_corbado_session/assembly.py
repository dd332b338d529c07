"""Which parts an app is made of: all of them on a database, or those that verify what another host signed.

No Flask in here: tests build the same parts without a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .database.cleanup import Cleanup
from .database.devices import DeviceStore
from .database.engine import Database
from .database.rotation import Rotation
from .database.sessions import SessionStore
from .keys.key import KeyRing, SecretKeys, weakness
from .model.clock import Clock
from .model.errors import SettingsError
from .model.settings import DEFAULT_ISSUER, PREFIX, Settings
from .sessions.ahead import RefreshAhead
from .sessions.connected import ConnectedSessions
from .sessions.ending import Ending
from .sessions.hooks import Hooks
from .sessions.minting import Minter
from .sessions.new_device import DisownLinks
from .sessions.parts import AppState, DatabaseParts
from .sessions.refresh import Refresh
from .sessions.revocation import Revocation
from .sessions.sign_in import SignIn
from .tokens.long import DeviceTokenSigner, LongTokenSigner
from .tokens.short import ShortTokenVerifier
from .verification.ended import EndedSessionCache, EndedSet
from .verification.short_sessions import ShortSessionAuthenticator

if TYPE_CHECKING:
    from .keys.ring import KeyFile


def on_database(
    settings: Settings,
    database: Database,
    *,
    secret_keys: Sequence[str | bytes],
    keys: KeyRing | None = None,
    hooks: Hooks,
    clock: Clock | None = None,
    sender: object,
) -> AppState:
    """The parts of an app that starts sessions; without ``keys``, ``SECRET_KEY`` signs. ``sender`` is its signals'."""
    clock, keys = clock or Clock(), keys or SecretKeys(secret_keys, lambda: _whose(settings, database))
    database.skew.clock = clock
    sessions, long_tokens = SessionStore(database), LongTokenSigner(secret_keys)
    devices = DeviceStore(database, sessions)
    ended = EndedSet(sessions.changes_since, clock, settings.revocation_interval, settings.short_lifetime)
    verifier = ShortTokenVerifier(keys, settings.issuer, settings.audience)
    short_sessions = ShortSessionAuthenticator(verifier, ended, clock)
    minter, ended_cache = Minter(settings, keys, verifier), EndedSessionCache(clock)
    rotation = Rotation(database, settings.idle_lifetime, binds=settings.device_binding)
    disown_links = DisownLinks(secret_keys, clock, devices, ended, sender)
    ending = Ending(clock, long_tokens, short_sessions, sessions, ended_cache, sender)
    device_tokens = DeviceTokenSigner(secret_keys)
    sign_in = SignIn(
        settings, clock, minter, long_tokens, device_tokens, sessions, devices, ending, disown_links, hooks, sender
    )
    refresh = Refresh(settings, clock, minter, long_tokens, rotation, ended_cache, ending, hooks, sender)
    bound = None
    if settings.device_binding:
        from .database.binding import BindingStore  # which few apps switch on
        from .sessions.bound import BoundSessions

        bound = BoundSessions(settings, clock, secret_keys, long_tokens, BindingStore(database), refresh, ended, sender)
    parts = DatabaseParts(
        database,
        sign_in,
        refresh,
        RefreshAhead(settings, clock, refresh),
        ending,
        Revocation(settings, clock, sessions, devices, Cleanup(database), ended, sender),
        disown_links,
        ended_cache,
        ConnectedSessions(clock, long_tokens, rotation, ending, hooks, refresh.mint),
        bound,
    )
    return AppState(settings, clock, keys, secret_keys, short_sessions, hooks, parts, reads_cookies=True)


def verifying(settings: Settings, config: Mapping[str, Any], *, hooks: Hooks, clock: Clock | None = None) -> AppState:
    """The parts of an app without a database: it verifies the issuer's short sessions, which come as bearer.

    Cookies are read only where the app says which: by ``SHORT_COOKIE``, or by the ``COOKIE_DOMAIN`` it shares.
    """
    from .verification.verifier import ShortSessionVerifier  # with urllib3, which an app with a database does not need

    for name in ("ISSUER", "JWKS_URL"):
        if not config.get(PREFIX + name):
            raise SettingsError(
                f"{PREFIX}{name} must be set where CorbadoSession() has no db: whose "
                "sessions they are, and where the public keys stand; an app that starts sessions has CorbadoSession(db)"
            )
    clock = clock or Clock()
    verifier = ShortSessionVerifier(
        issuer=settings.issuer,
        jwks_url=settings.jwks_url or "",
        audience=settings.audience,
        revocations_url=settings.revocations_url,
        revocation_interval=settings.revocation_interval,
        clock=clock,
    )
    reads_cookies = bool(config.get(f"{PREFIX}SHORT_COOKIE") or settings.cookie_domain)
    return AppState(settings, clock, verifier.keys, (), verifier.short_sessions, hooks, None, reads_cookies)


def _whose(settings: Settings, database: Database) -> str:
    """What tells the keys of this app from those of others under the same ``SECRET_KEY``: where its long sessions are.

    Or an app would take for its user 1 whom another app signed in as its user 1. Nothing where the app has an issuer of
    its own: each token names that, and two apps that are to accept each other's set the same.
    """
    return database.address if settings.issuer == DEFAULT_ISSUER else ""


def key_ring(settings: Settings, folder: str, clock: Clock, *, load: bool) -> KeyFile | None:
    """The ring of ``CORBADO_SESSION_KEYS_FILE``, or None without one. A relative path begins at ``folder``.

    With ``load`` the file is read at once: :class:`KeyFileError` if it is missing or broken.
    """
    if settings.keys_file is None:
        return None
    from .keys.ring import KeyFile  # which an app that signs with SECRET_KEY does not need

    keys = KeyFile(Path(folder) / settings.keys_file, clock)
    if load:
        keys.load()
    return keys


def secret_keys(config: Mapping[str, Any], *, allow_weak: bool) -> list[str | bytes]:
    """``SECRET_KEY`` first, then ``SECRET_KEY_FALLBACKS``; :class:`SettingsError` for a weak one, unless allowed."""
    secret: Any = config.get("SECRET_KEY")
    weak = weakness(secret)
    is_key = isinstance(secret, (str, bytes)) and secret
    if weak is not None and (not is_key or not allow_weak):
        raise SettingsError(
            f"SECRET_KEY {weak}; make one with `python -c 'import secrets; print(secrets.token_hex())'` "
            "and keep it out of the source; for development, set app.debug or app.testing before init_app"
        )
    fallbacks = config.get("SECRET_KEY_FALLBACKS") or []
    if not isinstance(fallbacks, (list, tuple)) or not all(isinstance(key, (str, bytes)) and key for key in fallbacks):
        # a string would be taken for a list of its letters, each of them a key that anyone can guess
        raise SettingsError("SECRET_KEY_FALLBACKS must be a list of former SECRET_KEYs, or None")
    if any(map(weakness, fallbacks)) and not allow_weak:
        raise SettingsError("SECRET_KEY_FALLBACKS holds a key that anyone can guess: remove it")
    return [secret, *fallbacks]
