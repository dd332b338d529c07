"""One asymmetric key as a JWK (RFC 7517): made, read, written, and shown by its public members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from .key import KEY_TYPES, Key, SigningAlgorithm, thumbprint

KeyState = Literal["next", "signing", "retiring", "expired"]

LEAST_RSA_BITS = 2048
_LAST_SECOND = 253402300799  # the year 9999, where datetime ends
_EPOCH = datetime.fromtimestamp(0, UTC)

_IMPLEMENTATIONS = get_default_algorithms()
_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its times: it signs from ``signs_from`` on (None: always) and is published until
    ``published_until`` (None: open)."""

    key: Key
    public_jwk: Mapping[str, Any]
    private_jwk: Mapping[str, Any] = field(repr=False)
    signs_from: datetime | None = None
    published_until: datetime | None = None

    @property
    def kid(self) -> str:
        """The RFC 7638 thumbprint."""
        return self.key.kid

    @property
    def starts_at(self) -> datetime:
        """``signs_from``, or the epoch where that is None."""
        return self.signs_from or _EPOCH

    def is_published(self, now: datetime) -> bool:
        """Whether its tokens are still accepted."""
        return self.published_until is None or now < self.published_until

    def is_active(self, now: datetime) -> bool:
        """Whether it may sign."""
        return self.starts_at <= now and self.is_published(now)


def newest_active(keys: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """The key that signs: of two that start at the same time the later in the file, never the oldest
    (CVE-2025-47278)."""
    newest: SigningKey | None = None
    for key in keys:
        if key.is_active(now) and (newest is None or key.starts_at >= newest.starts_at):
            newest = key
    return newest


def state_of(signing_key: SigningKey, keys: Iterable[SigningKey], now: datetime) -> KeyState:
    """Whether a key of a file waits to sign, signs, only verifies any more, or is expired."""
    if not signing_key.is_published(now):
        return "expired"
    if signing_key.starts_at > now:
        return "next"
    return "signing" if signing_key is newest_active(keys, now) else "retiring"


# ---- making and writing


def new_jwk(algorithm: SigningAlgorithm) -> dict[str, Any]:
    """A new private JWK. An RSA key has all its CRT members, which some readers require."""
    private: Any
    if algorithm == "RS256":
        private = rsa.generate_private_key(65537, LEAST_RSA_BITS)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    jwk = _to_members(algorithm, private)
    return {**jwk, "kid": thumbprint(jwk), "alg": algorithm, "use": "sig"}


def to_jwk(signing_key: SigningKey) -> dict[str, Any]:
    """The private JWK as the file holds it; its times are whole seconds since the epoch."""
    times = {"signs_from": signing_key.signs_from, "published_until": signing_key.published_until}
    return {**signing_key.private_jwk, **{name: int(at.timestamp()) for name, at in times.items() if at is not None}}


def _to_members(algorithm: SigningAlgorithm, key: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = _IMPLEMENTATIONS[algorithm].to_jwk(key, as_dict=True)
    return {name: jwk[name] for name in (*_PUBLIC[jwk["kty"]], *_PRIVATE) if name in jwk}


# ---- reading. Each ValueError completes the sentence "key 2 …", and holds nothing of the key


def read_jwk(jwk: object) -> SigningKey:
    """The key of a private JWK; ValueError says what is wrong with it."""
    if not isinstance(jwk, dict):
        raise ValueError("is not a JSON object")
    algorithm = _check_shape(jwk)
    kid = thumbprint(jwk)
    if jwk.get("kid") != kid:
        raise ValueError(f"must have its RFC 7638 thumbprint as kid, which is {kid}")
    private = load_key({name: jwk[name] for name in (*_PUBLIC[jwk["kty"]], *_PRIVATE) if name in jwk}, algorithm)
    # the public members must be those of the private key, and in their one spelling
    public_jwk = _to_members(algorithm, private.public_key())
    if any(jwk[name] != value for name, value in public_jwk.items()):
        raise ValueError(f"is no usable {algorithm} key")
    key = Key(kid, algorithm, private.public_key(), private)
    named = {"kid": kid, "alg": algorithm, "use": "sig"}
    signs_from, published_until = _read_times(jwk)
    private_jwk = {**_to_members(algorithm, private), **named}
    return SigningKey(key, {**public_jwk, **named}, private_jwk, signs_from, published_until)


def _check_shape(jwk: dict[str, Any]) -> SigningAlgorithm:
    if jwk.get("kty") == "oct" or "k" in jwk:
        raise ValueError("is symmetric: whoever may verify with it could sign")
    algorithm = next((name for name in KEY_TYPES if name == jwk.get("alg")), None)
    if algorithm is None:
        raise ValueError(f"must have one of {', '.join(KEY_TYPES)} as alg")
    kty, crv = KEY_TYPES[algorithm]
    if jwk.get("kty") != kty or jwk.get("crv") != crv:
        raise ValueError(f"must have {f'kty {kty} and crv {crv}' if crv else f'kty {kty} and no crv'} for {algorithm}")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("must have sig as use, or none")
    for name in (*_PUBLIC[kty], "d"):
        if not isinstance(jwk.get(name), str):
            part = "private part, the" if name == "d" else "public"
            raise ValueError(f"lacks its {part} member {name}")
    return algorithm


def load_key(jwk: Mapping[str, Any], algorithm: SigningAlgorithm) -> Any:
    """cryptography's key of a private or public JWK; ValueError says that it is unusable or too short."""
    try:
        key: Any = _IMPLEMENTATIONS[algorithm].from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, ArithmeticError):
        raise ValueError(f"is no usable {algorithm} key") from None
    if algorithm == "RS256" and key.key_size < LEAST_RSA_BITS:
        raise ValueError(f"has {key.key_size} bits, and RSA needs at least {LEAST_RSA_BITS}")
    return key


def _read_times(jwk: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    signs_from, published_until = (_time(jwk, name) for name in ("signs_from", "published_until"))
    if published_until is not None and published_until <= (signs_from or _EPOCH):
        raise ValueError("must be published_until a time after its signs_from")
    return signs_from, published_until


def _time(jwk: dict[str, Any], name: str) -> datetime | None:
    seconds = jwk.get(name)
    if seconds is None:
        return None
    if type(seconds) is not int or not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(f"must have whole seconds since 1970 as {name}, or none")
    return datetime.fromtimestamp(seconds, UTC)
