"""A document of the issuer is fetched within its time, size and host, and no answer can make it otherwise."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.verification.http import TIMEOUT, check_url, fetch_json
from flask_corbado_session.verification.single_flight import SingleFlight
from tests.support.certificates import tls_server
from tests.support.issuers import Answer, Issuer, body, document, redirect, status
from tests.support.stopwatch import Stopwatch

SECRET = "not-to-be-told"
SIZE_LIMIT = 1024 * 1024
HEAD = b"HTTP/1.0 200 OK\r\n"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def unavailable(url: str, timeout: float = 5.0) -> str:
    """What it says instead of an answer: short, printable and without a word of the peer's body."""
    with pytest.raises(StoreUnavailable) as caught:
        fetch_json(url, timeout)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300
    assert SECRET not in text
    return text


def test_json_is_fetched(issuer: Issuer) -> None:
    issuer.answers["/keys"] = document({"keys": ["é", 1, None]})
    assert fetch_json(issuer.origin + "/keys") == {"keys": ["é", 1, None]}
    assert issuer.asked == ["/keys"]


def test_it_says_who_asks_and_for_what(issuer: Issuer) -> None:
    seen: dict[str, str] = {}

    def look(request: Any) -> None:
        seen.update(request.headers)
        document([])(request)

    issuer.answers["/keys"] = look
    fetch_json(issuer.origin + "/keys")
    assert (seen["Accept"], seen["User-Agent"]) == ("application/json", "flask-corbado-session")
    assert "Cookie" not in seen
    assert "Authorization" not in seen


# ---- answers that are none

BROKEN: dict[str, tuple[Answer, str]] = {
    "500": (body(SECRET.encode(), 500), "Internal Server Error"),
    "404": (status(404), "Not Found"),
    "401": (body(b"{}", 401, WWW_Authenticate="Basic"), "Unauthorized"),
    "304": (status(304), "Not Modified"),
    "204": (status(204), "0 bytes of something else"),
    "empty": (body(b""), "0 bytes of something else"),
    "HTML": (body(f"<!doctype html>{SECRET}".encode(), kind="text/html"), "bytes of something else"),
    "half a document": (body(b'{"keys": ["' + SECRET.encode()), "bytes of something else"),
    "not UTF-8": (body(b'{"keys": "\xff\xfe"}'), "bytes of something else"),
    "nested deep": (body(b"[" * 200_000 + b"]" * 200_000), "bytes of something else"),
    "a number of a megabyte": (body(b"9" * 1_000_000), "bytes of something else"),
    "compressed": (body(gzip.compress(b"[]"), Content_Encoding="gzip"), "bytes of something else"),
    "compressed, though it says no": (body(gzip.compress(b"[]")), "bytes of something else"),
    "10 MB": (body(b"[" + b" " * 10_000_000 + b"]"), f"more than {SIZE_LIMIT} bytes"),
    "10 MB of unknown length": (
        lambda request: request.wfile.write(HEAD + b"\r\n" + b" " * 10_000_000),  # type: ignore[dict-item]
        f"more than {SIZE_LIMIT} bytes",
    ),
    "no HTTP": (lambda request: request.wfile.write(b"SSH-2.0\r\n\r\n"), "BadStatusLine"),  # type: ignore[dict-item]
    "gone at once": (lambda request: None, "closed connection"),
    "a terrible reason": (
        lambda request: request.wfile.write(b"HTTP/1.0 500 \x1b[31mred\x07\r\n\r\n"),  # type: ignore[dict-item]
        "x1b[31mred",
    ),
    "a header that does not end": (
        lambda request: request.wfile.write(HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),  # type: ignore[dict-item]
        "LineTooLong",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_is_said_so(issuer: Issuer, name: str) -> None:
    issuer.answers["/keys"], words = BROKEN[name]
    text = unavailable(issuer.origin + "/keys")
    assert words in text
    assert issuer.origin in text


def test_a_megabyte_is_still_read(issuer: Issuer) -> None:
    issuer.answers["/keys"] = body(b"[" + b" " * (SIZE_LIMIT - 2) + b"]")
    assert fetch_json(issuer.origin + "/keys") == []


def test_an_issuer_that_is_not_there_is_said_so() -> None:
    with Issuer() as gone:
        pass
    assert "refused" in unavailable(gone.origin + "/keys")


def test_a_host_that_does_not_exist_is_said_so() -> None:
    assert "nowhere.invalid gave no answer" in unavailable("http://nowhere.invalid/keys")


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Any) -> None:
    with Issuer(tls_server(tmp_path)) as issuer:
        issuer.answers["/keys"] = document([])
        assert "CERTIFICATE_VERIFY_FAILED" in unavailable(issuer.origin + "/keys")
    assert issuer.asked == []


# ---- time: however the peer drips, the whole is over in time


def drips(issuer: Issuer) -> dict[str, Answer]:
    return {
        "never": issuer.after(60, status(200)),
        "the status line": issuer.dripping(b"HTTP/1.0 2", b"0"),
        "the headers": issuer.dripping(HEAD, b"X: y\r\n"),
        "within a header": issuer.dripping(HEAD + b"X: ", b"y"),
        "the body": issuer.dripping(HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        "the body of unknown length": issuer.dripping(HEAD + b"\r\n", b" "),
        "the chunks": issuer.dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        "the length of a chunk": issuer.dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        "the body of a redirect": issuer.dripping(
            b"HTTP/1.0 302 Found\r\nLocation: /keys\r\nContent-Length: 1000\r\n\r\n", b" "
        ),
        "one redirect after the other": issuer.after(0.15, redirect("/keys")),
    }


@pytest.mark.parametrize(
    "name",
    [
        "never",
        "the status line",
        "the headers",
        "within a header",
        "the body",
        "the body of unknown length",
        "the chunks",
        "the length of a chunk",
        "the body of a redirect",
        "one redirect after the other",
    ],
)
def test_a_peer_that_drips_does_not_outlast_the_timeout(issuer: Issuer, name: str) -> None:
    """A timeout of the socket alone begins anew with every byte: the headers could drip for hours."""
    issuer.answers["/keys"] = drips(issuer)[name]
    since = Stopwatch()
    unavailable(issuer.origin + "/keys", 0.3)
    assert since.seconds < 2


@pytest.mark.parametrize("begin", [b"HTTP/1.0 2", HEAD + b"X: y", HEAD + b"Content-Length: 1000\r\n\r\n "])
def test_a_peer_that_falls_silent_is_given_up_at_the_deadline(issuer: Issuer, begin: bytes) -> None:
    """It drips for most of the time, and then says nothing: the last read must not have the whole time again."""

    def drip_then_silence(request: Any) -> None:
        request.wfile.write(begin)
        for _ in range(8):
            issuer.closing.wait(0.1)
            request.wfile.write(b" ")
        issuer.closing.wait(60)

    issuer.answers["/keys"] = drip_then_silence
    since = Stopwatch()
    assert "not done in time" in (text := unavailable(issuer.origin + "/keys", 1.0)) or "timed out" in text
    assert since.elapsed > 0.9
    assert since.seconds < 1.5


def test_an_idle_peer_that_answers_a_redirect_late_has_what_is_left_of_the_time(issuer: Issuer) -> None:
    issuer.answers |= {"/keys": issuer.after(0.7, redirect("/there")), "/there": issuer.after(60, status(200))}
    since = Stopwatch()
    unavailable(issuer.origin + "/keys", 1.0)
    assert since.elapsed > 0.9
    assert since.seconds < 1.5


def test_the_timeout_is_three_seconds() -> None:
    assert TIMEOUT == 3.0


def test_a_slow_answer_within_the_time_is_taken(issuer: Issuer) -> None:
    issuer.answers["/keys"] = issuer.after(0.3, document([1]))
    assert fetch_json(issuer.origin + "/keys", 2) == [1]


# ---- direction


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/there", "there", "{origin}/there", "?x=1"])
def test_a_redirect_within_the_host_is_followed(issuer: Issuer, to: str, code: int) -> None:
    issuer.answers["/there"] = document([1])

    def here(request: Any) -> None:
        (document([1]) if "?" in request.path else redirect(to.format(origin=issuer.origin), code))(request)

    issuer.answers["/here"] = here
    assert fetch_json(issuer.origin + "/here") == [1]


ELSEWHERE = [
    "http://127.0.0.1:{other}/keys",
    "//127.0.0.1:{other}/keys",
    "http://localhost:{port}/keys",
    "http://127.0.0.1:{port}@localhost:{other}/keys",
    "http://user@127.0.0.1:{port}/keys",
    "http://127.0.0.1.nip.invalid:{port}/keys",
    "https://127.0.0.1:{port}/keys",
    "file:///etc/hostname",
    "file://127.0.0.1:{port}/etc/hostname",
    "ftp://127.0.0.1:{port}/keys",
    "data:application/json,[]",
    "http://[::1",
    "\\\\127.0.0.1:{other}\\keys",
    "http://127.0.0.1:{port} .evil/",
    "",
]


@pytest.mark.parametrize("to", ELSEWHERE)
def test_a_redirect_off_the_host_is_refused(issuer: Issuer, to: str) -> None:
    with Issuer() as other:
        other.answers["/keys"] = document(["stolen"])
        issuer.answers["/here"] = redirect(to.format(port=issuer.port, other=other.port))
        unavailable(issuer.origin + "/here")
    assert other.asked == []
    assert issuer.count("/keys") == 0


def test_redirects_end(issuer: Issuer) -> None:
    issuer.answers["/here"] = redirect("/here")
    assert "too many redirects" in unavailable(issuer.origin + "/here")
    assert issuer.count("/here") == 5


BAD_URLS = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.com/keys",
    "data:application/json,[]",
    "javascript:1",
    "gopher://example.com",
    "//example.com/keys",
    "/keys",
    "keys",
    "",
    "http://",
    "http:///keys",
    "http://example.com:port/keys",
    "http://example.com:70000/keys",
    "https:keys",
    "http://[::1/keys",
    f"https://user:{SECRET}@example.com/keys",
    f"https://{SECRET}@example.com/keys",
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("asked", [check_url, fetch_json])
def test_only_http_and_https_are_spoken(url: str, asked: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match=r"http or https URL|Invalid IPv6") as caught:
        asked(url)
    assert SECRET not in str(caught.value)


def test_a_proxy_of_the_environment_is_asked(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", issuer.origin)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    issuer.answers["http://issuer.example/keys"] = document([1])
    assert fetch_json("http://issuer.example/keys") == [1]


def test_a_proxy_is_told_its_user_and_password(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def look(request: Any) -> None:
        seen.append(request.headers["Proxy-Authorization"])
        document([1])(request)

    monkeypatch.setenv("http_proxy", issuer.origin.replace("://", "://alice:p%77@"))
    issuer.answers["http://issuer.example/keys"] = look
    assert fetch_json("http://issuer.example/keys") == [1]
    assert seen == ["Basic YWxpY2U6cHc="]


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://alice:{}@[::1", "the proxy that the environment names is no URL"),
        ("socks5://alice:{}@127.0.0.1", "Proxy URL had unsupported scheme socks5"),
        ("http://alice:{}@127.0.0.1:1", "Connection refused"),
    ],
)
def test_a_proxy_that_can_not_be_used_is_said_so_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy.format(SECRET))
    assert words in unavailable("http://issuer.example/keys")


def test_a_host_that_needs_no_proxy_is_asked_itself(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    issuer.answers["/keys"] = document([1])
    assert fetch_json(issuer.origin + "/keys") == [1]


# ---- one at a time


class Work:
    """Something that takes until it is let go."""

    def __init__(self) -> None:
        self.go, self.runs = threading.Event(), 0

    def __call__(self) -> None:
        self.runs += 1
        self.go.wait(10)


def test_fifty_threads_start_one_flight_and_none_waits_for_it() -> None:
    work = Work()
    flight = SingleFlight(work)
    threads = [threading.Thread(target=flight.start) for _ in range(50)]
    since = Stopwatch()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert since.seconds < 1.0
    assert not flight.wait(0)
    work.go.set()
    assert flight.wait(5)
    assert work.runs == 1


def test_the_next_flight_starts_when_the_last_has_landed() -> None:
    work = Work()
    work.go.set()
    flight = SingleFlight(work)
    for runs in (1, 2, 3):
        flight.start()
        assert flight.wait(5)
        assert work.runs == runs


def test_a_pause_counts_from_the_last_start() -> None:
    work = Work()
    work.go.set()
    flight = SingleFlight(work)
    flight.start(pause=0.2)
    flight.wait(5)
    flight.start(pause=0.2)
    assert work.runs == 1
    time.sleep(0.25)
    flight.start(pause=0.2)
    assert flight.wait(5)
    assert work.runs == 2


def test_nobody_waits_where_none_is_under_way() -> None:
    assert SingleFlight(lambda: None).wait(0)


def test_a_flight_that_crashes_is_over_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: Queue[object] = Queue()
    monkeypatch.setattr(threading, "excepthook", told.put)

    def crash() -> None:
        raise RuntimeError("out of the sky")

    flight = SingleFlight(crash)
    for _ in range(2):
        flight.start()
        assert flight.wait(5)
        assert "out of the sky" in str(told.get(timeout=5))
