"""Where an unsafe request comes from, and where a redirect may go."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flask_corbado_session.web.origin import is_foreign, is_same_host, safe_next

HOST, OURS, THEIRS, IDP = "app.example.com", "https://app.example.com", "https://evil.example", "https://idp.example"
TRUSTED = frozenset({IDP})

# Sec-Fetch-Site, Origin -> foreign?
TABLE = [
    (None, None, False),  # no browser
    ("same-origin", None, False),
    ("same-origin", OURS, False),
    ("same-origin", THEIRS, False),  # a proxy may have rewritten Host; a page cannot forge Sec-Fetch-Site
    ("same-origin", "null", False),
    ("none", None, False),
    ("none", "null", False),
    ("same-site", None, True),
    ("same-site", OURS, True),
    ("cross-site", None, True),
    ("cross-site", OURS, True),
    ("cross-site", THEIRS, True),
    ("cross-site", "null", True),
    ("", OURS, True),
    ("SAME-ORIGIN", OURS, True),
    ("nonsense", None, True),
    (None, OURS, False),
    (None, "http://app.example.com", False),  # TLS may have been ended before us
    (None, "https://app.example.com:443", False),
    (None, "HTTPS://APP.EXAMPLE.COM", False),
    (None, THEIRS, True),
    (None, "null", True),
    (None, "", True),
    (None, "https://app.example.com:8443", True),
    (None, "https://app.example.com.evil.example", True),
    (None, "https://app.example.com@evil.example", True),
    (None, "https://user@app.example.com", True),
    (None, "https://evil.example/app.example.com", True),
    (None, "https://evil.example#app.example.com", True),
    (None, "https://sub.app.example.com", True),
    (None, "https://example.com", True),
    (None, "app.example.com", True),
    (None, "//app.example.com", True),
    (None, "file://app.example.com", True),
    (None, "chrome-extension://app.example.com", True),
    (None, "https://[::1", True),
    (None, "https://app.example.com https://evil.example", True),
    ("cross-site", IDP, False),
    ("same-site", IDP, False),
    (None, IDP, False),
    (None, "https://IDP.example", False),
    ("cross-site", "https://idp.example.evil.example", True),
    ("cross-site", "http://idp.example", True),
    ("cross-site", "https://idp.example:8443", True),
]


def test_an_unsafe_request_is_told_by_its_origin(subtests: pytest.Subtests) -> None:
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post"]:
        for fetch_site, origin, foreign in TABLE:
            with subtests.test(fetch_site=fetch_site, origin=origin, foreign=foreign, method=method):
                assert is_foreign(method, fetch_site, origin, HOST, TRUSTED) is foreign


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "get", ""])
def test_whatever_is_not_safe_is_told_by_its_origin(method: str) -> None:
    assert is_foreign(method, "cross-site", None, "app.example.com", ())
    assert is_foreign(method, None, "https://evil.example", "app.example.com", ())
    assert not is_foreign(method, "same-origin", "https://app.example.com", "app.example.com", ())


def test_a_safe_request_never_is(subtests: pytest.Subtests) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        for fetch_site, origin, foreign in TABLE:
            with subtests.test(fetch_site=fetch_site, origin=origin, foreign=foreign, method=method):
                assert is_foreign(method, fetch_site, origin, HOST, TRUSTED) is False


def test_a_host_is_compared_with_its_port(subtests: pytest.Subtests) -> None:
    rows: list[tuple[str, str, bool]] = [
        ("http://localhost:8000", "localhost:8000", True),
        ("http://localhost:8000/path?q", "localhost:8000", True),
        ("http://localhost", "localhost:80", True),
        ("https://localhost:443", "localhost", True),
        ("http://localhost:443", "localhost", False),
        ("http://localhost:8001", "localhost:8000", False),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        ("http://", "", False),
        ("javascript:alert(1)", "", False),
    ]
    for url, host, same in rows:
        with subtests.test(url=url, host=host, same=same):
            assert is_same_host(url, host) is same


# ---- next


HOSTILE = [
    "//evil.example", "///evil.example", "////evil.example", "//evil.example/%2f..", "//evil.example\\@host",
    "/\\evil.example", "\\/evil.example", "\\\\evil.example", "\\evil.example", "/\\/evil.example", "/\\\\evil.example",
    "/path\\..\\evil", "https:evil.example", "https:/evil.example", "https://evil.example", "https:///evil.example",
    "https:////evil.example", "http:\\\\evil.example", "HTTPS://EVIL.EXAMPLE", "ftp://evil.example", "ws://evil.example",
    "javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "javascript://%0aalert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "mailto:a@evil.example", "file:///etc/passwd",
    "about:blank", "blob:https://evil.example/x", "view-source:https://evil.example", "x:/y", "x:y",
    "https://host@evil.example", "https://host:pass@evil.example/", "//host@evil.example", "//evil.example:443",
    "https://host.evil.example", "https://evil.example#host", "https://evil.example?host", "https://evil.example/host",
    "\t//evil.example", "\n//evil.example", "\r\n//evil.example", "/\t/evil.example", "/\n/evil.example",
    "/\r/evil.example", "/\x00/evil.example", "\x00//evil.example", "\x01//evil.example", "\x7f//evil.example",
    " //evil.example", "//evil.example ", " https://evil.example", " /path", "/pa th", "/path\r\nSet-Cookie: a=b",
    "/path\nLocation: https://evil.example", "/path\x0b", "/path\x0c", "/path\u2028", "/path\u2029", "/path\x85",
    "/path\u00a0", "/path\u3000", "\ufeff//evil.example", "\u200b//evil.example", "/\u202egro.live",
    "/\u2028/evil.example", "\uff0f\uff0fevil.example", "\u2044\u2044evil.example", "\u2215\u2215evil.example",
    "\uff3cevil.example", "http://evil\u3002example", "https://\u2147vil.example", "https://evil.example\u2044.host",
    "//evil%E3%80%82example",
    "https://[::1]/", "//[::1]", "https://[::1", "https://[evil.example]/", "//[", "http://0x7f000001", "//2130706433",
    "path", "path/", "./path", "../path", "?next=//evil.example", "#//evil.example", "?", "#", ";//evil.example",
    "evil.example", "evil.example/path", "@evil.example", ":@evil.example", ":80", ".", "..", "*", "%2f%2fevil.example",
    "/.//evil.example", "/..//evil.example", "/././/evil.example", "/a/..//evil.example", "/a/b/../..//evil.example",
    "/%2e//evil.example", "/%2E%2e//evil.example", "/.%2e//evil.example", "/.\t//evil.example", "/.\\/evil.example",
    "/.//", "/..///evil.example", "/.//evil.example/..//evil.example",
    "", " ", "\t", "\x00", "/" + "a" * 2000, "http://", "https://", "http:", "http:///", "://evil.example", "/\ud800",
]  # fmt: skip
KEPT = [
    "/", "/dashboard", "/a/b?c=d&e=f#g", "/path?next=//evil.example", "/path?u=https://evil.example", "/path#//evil",
    "/@evil.example", "/:80", "/%2f/evil.example", "/%5cevil.example", "/a//b", "/a/../b", "/;a=b",
    "/a/.//b", "/./a", "/../a", "/...//a",
    "/café", "/日本語?q=ü", "/a%20b", "/a+b", "/~user", "/*", "/a:b", "/https://evil.example", "/?",
    "/\uff0f\uff0fevil.example",
]  # fmt: skip


def test_the_list_is_long_enough() -> None:
    assert len(set(HOSTILE)) >= 100


def where_it_leads(value: str, base: str = "https://host/deep/page") -> str:
    return urlsplit(urljoin(base, value)).netloc


def test_a_hostile_next_is_refused(subtests: pytest.Subtests) -> None:
    for value in HOSTILE:
        with subtests.test(value=value):
            assert safe_next(value) is None
            assert safe_next(value, frozenset({"https://spa.example.com"})) is None


def test_a_path_of_this_origin_is_kept(subtests: pytest.Subtests) -> None:
    for value in KEPT:
        with subtests.test(value=value):
            kept = safe_next(value)
            assert kept == value.removesuffix("?")
            assert where_it_leads(kept) == "host"


def test_what_is_no_text_is_refused(subtests: pytest.Subtests) -> None:
    rows: list[object] = [None, 5, True, b"/path", ["/path"], {"/path": 1}, object()]
    for value in rows:
        with subtests.test(value=value):
            assert safe_next(value) is None


ANYTHING = st.text() | st.text("/\\:@?#;.%[]\t\r\n evilhost2fFcC\u2028\uff0f", max_size=30)


@given(ANYTHING)
@example("/\\evil.example")
@example("////evil.example")
def test_whatever_is_accepted_stays_on_the_host(value: str) -> None:
    for text in (value, "/" + value, unquote(value)):
        kept = safe_next(text)
        if kept is not None:
            assert where_it_leads(kept) == where_it_leads(kept, "https://host/") == "host"
            assert as_a_browser_reads_it(kept) == "host"
            assert safe_next(kept) == kept


def as_a_browser_reads_it(location: str) -> str:
    """The host, by the steps of the URL standard that surprise: blanks cut off, tabs and newlines dropped, \\ is /."""
    location = location.strip("".join(map(chr, range(33))))
    location = location.translate({9: None, 10: None, 13: None}).replace("\\", "/")
    return where_it_leads(location)


APP = "https://spa.example.com"


def test_an_allowed_origin_may_be_named(subtests: pytest.Subtests) -> None:
    rows: list[tuple[str, str | None]] = [
        ("https://spa.example.com/", "https://spa.example.com/"),
        ("https://spa.example.com/path?q#f", "https://spa.example.com/path?q#f"),
        ("HTTPS://SPA.example.com/Path", "https://spa.example.com/Path"),
        ("https://spa.example.com", None),
        ("http://spa.example.com/", None),
        ("https://spa.example.com:8443/", None),
        ("https://spa.example.com.evil.example/", None),
        ("https://spa.example.com@evil.example/", None),
        ("https://user@spa.example.com/", None),
        ("//spa.example.com/", None),
        ("https:/spa.example.com/", None),
        ("https:spa.example.com/", None),
        ("https://spa.example.com\\@evil.example/", None),
        ("https://spa.example.com//evil.example", None),
        ("https://evil.example/https://spa.example.com/", None),
        ("/dashboard", "/dashboard"),
    ]
    for value, kept in rows:
        with subtests.test(value=value, kept=kept):
            assert safe_next(value, frozenset({APP})) == kept


@given(ANYTHING)
def test_no_other_origin_ever_is(value: str) -> None:
    for text in (value, f"https://{value}", f"{APP}{value}", f"//{value}"):
        kept = safe_next(text, frozenset({APP}))
        assert kept is None or as_a_browser_reads_it(kept) in ("host", "spa.example.com")
