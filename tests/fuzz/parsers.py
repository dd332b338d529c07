"""Fuzz targets without a request: tokens, links, origins, what an issuer answers, and what operators search for."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from itsdangerous import Signer
from jwt.algorithms import ECAlgorithm

from flask_corbado_session.binding.headers import skipped_reason, string
from flask_corbado_session.binding.proofs import SIZE_LIMIT, InvalidProof, read_refresh, read_registration
from flask_corbado_session.keys.file import KeyFileError, parse
from flask_corbado_session.keys.jwk import new_jwk
from flask_corbado_session.model.clock import Clock
from flask_corbado_session.model.errors import InvalidShortSession, StoreUnavailable
from flask_corbado_session.model.records import Changes
from flask_corbado_session.operators import api_query, search
from flask_corbado_session.operators.attempts import network_of
from flask_corbado_session.sessions.user_agent import clean_user_agent, describe
from flask_corbado_session.testing import MovingClock
from flask_corbado_session.tokens.ids import new_id
from flask_corbado_session.tokens.long import DeviceTokenSigner, LongTokenSigner, first_token
from flask_corbado_session.tokens.short import ShortTokenVerifier
from flask_corbado_session.verification.ended import EndedSet
from flask_corbado_session.verification.remote_keys import read_keys
from flask_corbado_session.verification.verifier import LONGEST_SHORT_LIFETIME, read_feed
from flask_corbado_session.web.origin import is_foreign, is_same_host, safe_next
from tests.support.rules import NOON, SECRET
from tests.support.short_tokens import CLAIMS, HEADER, ISSUER, KEYS, encode, sign, token

from .target import Target, fields, text

HOST = "app.example.com"
LONG, DEVICE = LongTokenSigner([SECRET]), DeviceTokenSigner([SECRET])
SHORT = ShortTokenVerifier(KEYS, ISSUER, None, own=True)
ELSEWHERE = ShortTokenVerifier(KEYS, ISSUER, None, own=False)


def long_token(data: bytes) -> bool:
    """The long cookie's value: a token, or None. What is a token is written in one way."""
    value = text(data)
    read = LONG.load(value)
    assert read is None or LONG.dump(read) == value
    return read is not None


def long_token_body(data: bytes) -> bool:
    """A body of any length that our own key has signed."""
    signer = Signer([SECRET], salt="flask-corbado-session.long", key_derivation="hmac", digest_method=hashlib.sha256)
    value = signer.sign(encode(data)).decode()
    read = LONG.load(value)
    assert read is None or 1 <= read.generation < 2**31
    return read is not None


def device_token(data: bytes) -> bool:
    """The device cookie's value: a hash, or None."""
    read = DEVICE.load(text(data))
    assert read is None or len(read) == 32
    return read is not None


def short_token(data: bytes) -> bool:
    """The short cookie's value, or a bearer token."""
    return _verified(text(data))


def short_token_content(data: bytes) -> bool:
    """A header and a payload, on two lines, that our own key has signed: an issuer is a stranger to a service."""
    header, _, payload = data.partition(b"\n")
    return _verified(sign(f"{encode(header)}.{encode(payload)}"))


def _verified(value: str) -> bool:
    accepted = []
    for verifier in (SHORT, ELSEWHERE):
        try:
            short = verifier.verify(value, NOON)
        except InvalidShortSession as error:
            _check_message(error, value)
        else:
            assert short.user_id
            assert short.expires_at > NOON
            accepted.append(verifier)
    return SHORT in accepted


def _check_message(error: Exception, secret: str = "") -> None:
    """An error's message is of a bounded length, so that it fits a header, and tells no token."""
    assert 0 < len(str(error)) < 600
    assert len(secret) < 30 or secret not in str(error)


def next_url(data: bytes) -> bool:
    """A ``next``: a path of this host, as a browser reads it, or None."""
    value = safe_next(text(data))
    if value is None:
        return False
    led_to = urlsplit(urljoin(f"https://{HOST}/sign-in", value.replace("\\", "/").lstrip()))
    assert (led_to.scheme, led_to.netloc) == ("https", HOST)
    assert value.isprintable()
    return True


def origin(data: bytes) -> bool:
    """Method, Sec-Fetch-Site, Origin and Host: is it another page's?"""
    method, fetch_site, sent, host = fields(data, 4)
    foreign = is_foreign(
        method or "POST", fetch_site or None, sent or None, host, frozenset({"https://trusted.example"})
    )
    assert isinstance(is_same_host(sent, host), bool)
    if not foreign and not fetch_site and sent and method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
        assert sent.lower() == "https://trusted.example" or host.lower().partition(":")[0] in sent.lower()
    return not foreign


def jwks(data: bytes) -> bool:
    """The key set of an issuer: keys, or StoreUnavailable."""
    try:
        keys = read_keys(_document(data))
    except StoreUnavailable:
        return False
    assert all(kid and key.private is None and key.algorithm != "HS256" for kid, key in keys.items())
    return True


def feed(data: bytes) -> bool:
    """A page of an issuer's revocation feed, taken into a set: whatever it says, the set answers afterwards."""
    try:
        page = read_feed(_document(data))
    except StoreUnavailable:
        return False
    ended = EndedSet(lambda _: Changes(), Clock(MovingClock(NOON)), LONGEST_SHORT_LIFETIME, LONGEST_SHORT_LIFETIME)
    ended.add(page.ended)
    for session_id, at in page.not_before.items():
        ended.invalidate_before([session_id], at)
        ended.is_stale(session_id, NOON)
    return True


def proof(data: bytes) -> bool:
    """A browser's proof, of a registration and of a refresh."""
    value = text(data)
    try:
        read_refresh(value, _REGISTERED)
    except InvalidProof as error:
        _check_message(error, value)
    return _is_registration(value)


def proof_content(data: bytes) -> bool:
    """A header and a payload, on two lines, signed by the key that stands in a browser's own header."""
    header, _, payload = data.partition(b"\n")
    signed = f"{encode(header)}.{encode(payload)}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(signed.encode(), _BROWSERS_KEY)
    return _is_registration(f"{signed}.{encode(signature)}")


def _is_registration(value: str) -> bool:
    try:
        registration = read_registration(value)
    except InvalidProof as error:
        _check_message(error, value)
        return False
    assert len(registration.jwk) <= SIZE_LIMIT
    return True


def binding_header(data: bytes) -> bool:
    """The headers of device binding that a browser sends beside a proof."""
    value = data.decode("latin-1")
    reason, session_id = skipped_reason(value, "a-session"), string(value)
    assert reason is None or (0 < len(reason) <= 32 and reason.isascii())
    return session_id is not None


def key_file(data: bytes) -> bool:
    """The key file: no stranger's, but a broken one must be named and not raise anything else."""
    try:
        return bool(parse(data, Path("keys.json")))
    except KeyFileError as error:
        _check_message(error)
        return False


def operator_search(data: bytes) -> bool:
    """The search of the operator pages."""
    try:
        found = search.parse(text(data), tuple(search.READERS))
    except search.FilterError as error:
        _check_message(error)
        return False
    return bool(found)


def api_filters(data: bytes) -> bool:
    """The query of the operator API."""
    try:
        api_query.read_query(parse_qs(text(data), keep_blank_values=True, max_num_fields=200))
    except api_query.QueryError as error:
        _check_message(error)
        return False
    except ValueError:  # of parse_qs: too many fields, which Werkzeug refuses before us
        return False
    return True


def user_agent(data: bytes) -> bool:
    """A user agent, described for the devices page."""
    value = clean_user_agent(text(data))
    described = describe(value)
    assert value is None or (len(value) <= 512 and value.isprintable())
    assert max(len(described.browser), len(described.system)) <= 64
    return value is not None


def address(data: bytes) -> bool:
    """The address of who failed to prove who they are."""
    network = network_of(text(data))
    assert len(network) < 64
    return network != "unknown"


def _document(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # what fetch_json makes StoreUnavailable
        return None


@functools.cache
def _public_keys() -> bytes:
    public = [{name: value for name, value in new_jwk(kind).items() if name != "d"} for kind in ("ES256", "EdDSA")]
    return json.dumps({"keys": public}).encode()


_TOKEN, _ = first_token(new_id())
_VALUE = LONG.dump(_TOKEN).encode()
_FEED = {"ended": ["a" * 30], "not_before": {"b" * 30: 1}, "until": 2, "more": False}
_CONTENTS: list[Any] = [CLAIMS, {**CLAIMS, "aud": ["x"], "nbf": 10**12, "amr": "pwd"}, [], 1e400]

_BROWSERS_KEY = ec.generate_private_key(ec.SECP256R1())
_BROWSERS_JWK: dict[str, Any] = ECAlgorithm.to_jwk(_BROWSERS_KEY.public_key(), as_dict=True)
_REGISTERED = json.dumps({**_BROWSERS_JWK, "alg": "ES256"})
_PROOF = json.dumps({"typ": "dbsc+jwt", "alg": "ES256", "jwk": _BROWSERS_JWK}).encode() + b'\n{"jti": "challenge"}'


def _signed_proof() -> bytes:
    header, _, payload = _PROOF.partition(b"\n")
    signed = f"{encode(header)}.{encode(payload)}"
    return f"{signed}.{encode(ECAlgorithm(ECAlgorithm.SHA256).sign(signed.encode(), _BROWSERS_KEY))}".encode()


TARGETS = [
    Target("proof", proof, (_signed_proof(), b"a.b.c", b"")),
    Target("proof_content", proof_content, (_PROOF, b'{"alg": "ES256", "jwk": {}}\n{}', b"{}\n[]", b"[\n1")),
    Target("binding_header", binding_header, (b'"abc"', b"unreachable;id=x", b'"', b"\xff")),
    Target("long_token", long_token, (_VALUE, _VALUE[:-1] + b"=", b"." * 175, b"")),
    Target("long_token_body", long_token_body, (b"a" * 30 + bytes(16) + b"\0\0\0\1" + bytes(48), b"a" * 98, b"")),
    Target("device_token", device_token, (DEVICE.new()[0].encode(), b".", b"A" * 22 + b"." + b"A" * 43)),
    Target("short_token", short_token, (token().encode(), b"a.b.c", b"..", b"eyJhbGciOiJub25lIn0.e30.")),
    Target(
        "short_token_content",
        short_token_content,
        tuple(json.dumps(HEADER).encode() + b"\n" + json.dumps(claims).encode() for claims in _CONTENTS),
    ),
    Target("next", next_url, (b"/orders?page=2#last", b"//evil.example", b"/\\evil.example", b"/.//evil.example")),
    Target(
        "origin",
        origin,
        (
            b"POST\nsame-origin\nhttps://app.example.com\napp.example.com",
            b"POST\n\nhttps://app.example.com:443\napp.example.com",
            b"POST\n\nhttp://[::1\n[::1]",
            b"POST\n\nnull\napp.example.com:99999",
        ),
    ),
    Target(
        "jwks", jwks, (_public_keys(), b'{"keys": []}', b'{"keys": [{"kty": "RSA", "kid": "1", "n": "AQ", "e": "AQ"}]}')
    ),
    Target("feed", feed, (json.dumps(_FEED).encode(), b'{"ended": [], "until": 1e9}', b'{"ended": {}, "until": -1}')),
    Target("key_file", key_file, (json.dumps({"keys": [new_jwk("EdDSA")]}).encode(), b'{"keys": [{}]}', b"[")),
    Target(
        "operator_search",
        operator_search,
        (b"user:alice status:live before:2026-01-01", b'user:"a ""b"" c" ip:10.0.0.1', b"after:0001-01-01T00:00+14:00"),
    ),
    Target(
        "api_filters",
        api_filters,
        (
            b"sort=created:asc&filter[]=status:eq:active&page=1&pageSize=9",
            b"filter[]=created:gt:2026-01-01T00:00Z&page=0",
        ),
    ),
    Target(
        "user_agent",
        user_agent,
        (
            b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
            b"\x1b[31m",
            b"",
        ),
    ),
    Target("address", address, (b"2001:db8::1%eth0", b"::ffff:192.0.2.1", b"192.0.2.1", b"unix:")),
]
