"""A real HTTP server on loopback that publishes what it is told to, fast, slow or broken, and counts who asked."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

from jwt.algorithms import get_default_algorithms

from tests.support.key_files import PRIVATE_MEMBERS, a_jwk
from tests.support.short_tokens import encode

Answer = Callable[[BaseHTTPRequestHandler], None]
KEYS, FEED = "/.well-known/jwks.json", "/session/revocations"


class Issuer:
    """Answers each path as ``answers`` says; ``asked`` holds the paths, with their queries, in order."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                with contextlib.suppress(OSError):  # whoever asked is gone
                    issuer.answers.get(self.path.partition("?")[0], status(404))(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that close() waits for them
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Issuer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and end every answer; nobody gets any more from then on."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self._server.server_address[1]
        return port

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def keys_url(self) -> str:
        """The JWKS."""
        return self.origin + KEYS

    @property
    def feed_url(self) -> str:
        """The revocations."""
        return self.origin + FEED

    def count(self, path: str) -> int:
        """How often this path was asked for."""
        return sum(url.partition("?")[0] == path for url in self.asked)

    def publish(self, *jwks: Any) -> None:
        """Show these keys, as they are."""
        self.answers[KEYS] = document({"keys": list(jwks)})

    # ---- answers that last

    def after(self, seconds: float, answer: Answer) -> Answer:
        """The answer, late."""

        def late(request: BaseHTTPRequestHandler) -> None:
            if not self.closing.wait(seconds):
                answer(request)

        return late

    def dripping(self, *parts: bytes, every: float = 0.1) -> Answer:
        """The parts, and then the last one again and again, with a pause after each."""

        def drip(request: BaseHTTPRequestHandler) -> None:
            for part in _endless(parts):
                request.wfile.write(part)
                if self.closing.wait(every):
                    return

        return drip


def _endless(parts: tuple[bytes, ...]) -> Iterator[bytes]:
    yield from parts
    while True:
        yield parts[-1]


def body(content: bytes, code: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    """An answer that is over at once."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def document(value: Any) -> Answer:
    """JSON."""
    return body(json.dumps(value).encode())


def status(code: int) -> Answer:
    """Nothing but a status."""
    return body(b"", code)


def redirect(to: str, code: int = 302) -> Answer:
    """Elsewhere."""
    return body(b"", code, Location=to)


# ---- keys and tokens


def public(jwk: dict[str, Any], **members: Any) -> dict[str, Any]:
    """What may be shown of a private JWK."""
    return {name: value for name, value in jwk.items() if name not in PRIVATE_MEMBERS} | members


def claims_at(at: datetime, issuer: str, **changed: Any) -> dict[str, Any]:
    """A short session's claims at that time; ``...`` takes one away."""
    seconds = int(at.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": "alice",
        "sid": "s" * 30,
        "iat": seconds,
        "nbf": seconds - 10,
        "exp": seconds + 900,
        "jti": "token-1",
        "auth_time": seconds,
        "amr": ["pwd"],
    }
    return {name: value for name, value in (claims | changed).items() if value is not ...}


def signed(claims: Any, jwk: dict[str, Any] | None = None, /, **header: Any) -> str:
    """A token signed with that private JWK, whatever it says; ``...`` takes a member of the header away."""
    jwk = jwk or a_jwk("RS256")
    head = {"alg": jwk["alg"], "kid": jwk["kid"], "typ": "JWT"} | header
    text = f"{encode({name: value for name, value in head.items() if value is not ...})}.{encode(claims)}"
    return f"{text}.{encode(_ALGORITHMS[jwk['alg']].sign(text.encode(), _private_key(json.dumps(jwk))))}"


_ALGORITHMS = get_default_algorithms()


@functools.cache
def _private_key(jwk: str) -> Any:
    """Read once: of an RSA key that takes 50 ms."""
    return _ALGORITHMS[json.loads(jwk)["alg"]].from_jwk(jwk)
