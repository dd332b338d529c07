"""Public failures around redirects, hosts, other origins and headers, each against our app in the way it happened.

Which advisories there must be tests of is listed in ``tests/unit/test_advisories.py``.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from urllib.parse import quote, urljoin, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_corbado_session import current_user
from flask_corbado_session.model.errors import StoreUnavailable
from flask_corbado_session.verification.http import fetch_json
from flask_corbado_session.verification.remote_keys import RemoteKeys, read_keys
from tests.support.bound_site import BoundSite
from tests.support.issuers import KEYS, Answer, Issuer, body, document
from tests.support.jars import DEVICE, LONG, SHORT
from tests.support.key_files import a_jwk
from tests.support.services import make_service
from tests.support.site import Site, cookie_of

HERE = "https://www.example.com"


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in()


# ---- redirects


def leads_to(alice: FlaskClient, text: str) -> str:
    """The host that a browser would be on, however this ``next`` is sent, and whether as a redirect or as a link."""
    hosts = set()
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    for how in ({"data": {"next": text}}, {"query_string": {"next": text}}, {"query_string": f"next={text}"}):
        answer = alice.post("/session/logout", base_url=HERE, headers=headers, **how)
        assert answer.status_code == 303
        hosts.add(_host_of(answer.headers["Location"]))
    link = alice.post("/sign-in", base_url=HERE, data={"user": "alice", "next": text}).get_json()["next"]
    (host,) = {*hosts, _host_of(link)}
    return host


def _host_of(location: str) -> str:
    """Where a browser goes: it reads a backslash as a slash and drops tabs and line ends (WHATWG URL)."""
    location = location.replace("\\", "/").translate({9: None, 10: None, 13: None}).strip()
    while location.startswith("///"):
        location = location[1:]
    parts = urlsplit(urljoin(HERE, location))
    assert not parts.path.startswith("//")  # which the next redirect, made of this path, would take for a host
    return parts.hostname or ""


def check_stays(alice: FlaskClient, *texts: str) -> None:
    for text in texts:
        assert leads_to(alice, text) == "www.example.com", text


def test_cve_2020_28724_two_slashes_lead_nowhere_else(alice: FlaskClient) -> None:
    """Werkzeug: ``//evil.example`` in the path was made a redirect to that host."""
    check_stays(alice, "//evil.example", "//evil.example/%2f..", "////evil.example", "/.//evil.example/")
    answer = alice.get("//evil.example", base_url=HERE, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers.get("Location")) == (404, None)


def test_cve_2020_28724_a_request_that_is_sent_again_stays_on_its_host(sqlite_url: str) -> None:
    """The path asked for may begin with two slashes: as an address that would be another host's."""
    site = BoundSite(sqlite_url)
    site.app.before_request(lambda: (bool(current_user), None)[1])
    cookies = site.expired().jar.header()
    for path in ("//evil.example/", "//evil.example//a?b=c", "///evil.example/"):
        from_elsewhere = _navigated(site, path, Cookie=cookies, Sec_Fetch_Site="cross-site")
        again = _navigated(site, path, Cookie=f"{cookies}; {SHORT}=expired", Sec_Fetch_Site="none")
        assert (from_elsewhere.status_code, again.status_code) == (200, 307)
        for address in (from_elsewhere.headers["Refresh"].partition("url=")[2], again.headers["Location"]):
            assert urlsplit(urljoin(HERE, address)).netloc == "www.example.com"
        assert 'href="//' not in from_elsewhere.text


def _navigated(site: Site, path: str, **headers: str) -> TestResponse:
    """What a browser is answered that goes to this path of the site, slashes and all."""
    path, _, query = path.partition("?")
    named = {name.replace("_", "-"): value for name, value in {**headers, "Sec_Fetch_Mode": "navigate"}.items()}
    environ = {"PATH_INFO": path, "QUERY_STRING": query}
    client = site.app.test_client(use_cookies=False)
    return client.get("/", base_url=HERE, headers=named, environ_overrides=environ)


def test_cve_2021_32618_many_slashes_and_backslashes_lead_nowhere_else(alice: FlaskClient) -> None:
    """Flask-Security: a check of the netloc found none in ``\\\\\\evil.example`` or ``/////evil.example``."""
    check_stays(alice, "\\\\\\evil.example", "\\/\\/evil.example", "/////evil.example", "http:///evil.example")


def test_cve_2023_49438_a_slash_and_a_backslash_lead_nowhere_else(alice: FlaskClient) -> None:
    """Flask-Security: the regular expression that mended the former let these pass."""
    check_stays(alice, "/\\evil.example", "/\\/evil.example", "\\/evil.example", "/\t/evil.example", "/\n/evil.x")


def test_cve_2021_23401_an_address_is_not_unquoted_into_another(alice: FlaskClient) -> None:
    """Flask-User: ``make_safe_url`` took scheme and netloc away, and what was left began with slashes."""
    check_stays(alice, "https:////evil.example", "x:////evil.example", "/%5cevil.example", "%2f%2fevil.example")


def test_cve_2021_23393_nor_is_what_was_left_of_one(alice: FlaskClient) -> None:
    """Flask-Unchained: the same with backslashes."""
    check_stays(alice, "\\\\\\evil.example/a", "https:\\\\evil.example", "https:evil.example", "https:/evil.x/a")


def test_cve_2021_32805_the_scheme_and_the_host_count_whatever_stands_before(alice: FlaskClient) -> None:
    """Flask-AppBuilder: the ``next`` of its login was not looked at."""
    check_stays(alice, " https://evil.example", "\x00//evil.example", "https://www.example.com@evil.example/")
    check_stays(alice, "https://www.example.com.evil.example/", "javascript:alert(1)//", "https://evil.example")


def test_ghsa_w2j7_a_host_that_ends_like_ours_is_not_one_of_ours(sqlite_url: str) -> None:
    """Flask-Security, issue 1222: with subdomains allowed, ``https://evil.example\\.example.com`` was one."""
    site = Site(sqlite_url, CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    alice = site.signed_in(base_url=HERE)
    assert leads_to(alice, "https://shop.example.com/cart") == "shop.example.com"
    ends = ["evil.net\\.example.com", "evil.net%5C.example.com", "evil.net%2f.example.com", "evil.net#.example.com"]
    ends += [
        "evil.net?.example.com",
        "evilexample.com",
        "example.com.evil.net",
        "x@evil.net",
        "evil.net:80\\@example.com",
    ]
    ends += [
        "evil.net%23.example.com",
        "evil.net%00.example.com",
        "evil.net;.example.com",
        "[::1].example.com",
        ".example.com",
    ]
    ends += [
        "evil.net\uff0f.example.com",
        "evil.net\u2100.example.com",
        "shop.example.com\uff03",
        "evil.net^.example.com",
    ]
    ends += ["x..example.com", "a" * 64 + ".example.com", "xn--\u00fc.example.com", "-.example.com"]  # no 500 either
    check_stays(alice, *(f"https://{end}/" for end in ends))


# ---- hosts


def test_ghsa_3529_no_address_of_a_mail_is_built_from_a_header(site: Site) -> None:
    """Supabase: the links of its mails began with ``X-Forwarded-Host``."""
    paths: list[str] = []
    site.sessions.notifier(lambda notice: paths.append(notice.report_path or ""))
    for headers in ({"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}, {"Host": "evil.example"}):
        assert site.nobody().post("/sign-in", data={"user": "alice"}, headers=headers).status_code == 200
    assert len(paths) == 3
    assert all(path.startswith("/session/disown/") and "evil" not in path for path in paths)


def test_open_mercato_2686_no_redirect_is_built_from_a_host_header(sqlite_url: str) -> None:
    """Its sign-in redirect was absolute, on the host that the request named."""
    site = Site(sqlite_url, CORBADO_SESSION_LOGIN_VIEW="public", CORBADO_SESSION_COOKIE_DOMAIN="example.com")
    for host in ("evil.example", "evil.example:443", "www.example.com.evil.example"):
        headers = {"Host": host, "X-Forwarded-Host": host, "Accept": "text/html"}
        answer = site.nobody().get("/protected", headers=headers)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/public?next=/protected")


def test_open_mercato_2686_trusted_hosts_of_flask_hold_before_us(sqlite_url: str) -> None:
    site = Site(sqlite_url, TRUSTED_HOSTS=["www.example.com"])
    assert site.nobody().get("/session", headers={"Host": "evil.example"}).status_code == 400
    assert site.nobody().get("/session", headers={"Host": "www.example.com"}).status_code == 401


def test_viur_1660_no_cookie_value_stands_in_a_redirect(site: Site, alice: FlaskClient) -> None:
    """Its session key was appended to the address one was sent on to."""
    values = [cookie_of(alice, name) for name in (SHORT, LONG, DEVICE)]
    headers = {"Sec-Fetch-Mode": "navigate"}
    for path in ("/session/refresh", "/session/revoke-others", "/session/logout"):
        answer = alice.post(path, headers=headers, query_string={"next": "/after?a=b"})
        shown = f"{answer.headers.get('Location')}{answer.text}{answer.headers.get('Refresh')}"
        assert not any(value in shown for value in values)


# ---- shared with other origins, and headers


def test_cve_2024_6221_no_private_network_is_opened(sqlite_url: str) -> None:
    """Flask-CORS < 5: ``Access-Control-Allow-Private-Network: true`` by default."""
    site = Site(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=["https://app.example.com"])
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    headers["Access-Control-Request-Private-Network"] = "true"
    answer = site.nobody().options("/session/refresh", headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert not any("private-network" in name.lower() for name, _ in answer.headers)


@pytest.mark.parametrize(
    "path", ["/SESSION", "/session/", "/session/%2e", "//session", "/session+", "/session%2B", "/x"]
)
def test_cve_2024_6866_a_path_is_shared_by_its_route_and_not_by_how_it_is_spelled(sqlite_url: str, path: str) -> None:
    """Flask-CORS matched paths itself: in any case, with ``+`` as a blank (CVE-2024-6844), and by the longest regular
    expression (CVE-2024-6839)."""
    site = Site(sqlite_url, CORBADO_SESSION_CORS_ORIGINS=["https://app.example.com"])
    headers = {"Origin": "https://app.example.com"}
    assert "Access-Control-Allow-Origin" in site.nobody().get("/session", headers=headers).headers
    answer = site.signed_in().get(path, headers=headers)
    assert "Access-Control-Allow-Origin" not in answer.headers
    evil = site.signed_in().get("/session", headers={"Origin": "https://appXexample.com"})
    assert "Access-Control-Allow-Origin" not in evil.headers


def test_cve_2018_1000164_a_line_end_reaches_no_header(site: Site, alice: FlaskClient) -> None:
    """gunicorn, and uvicorn (CVE-2020-7695), wrote CR and LF of a value into the answer as they were."""
    alice.get("/protected")
    evil = "/a\r\nSet-Cookie: evil=1\r\n\r\n<b>"
    for text in (evil, quote(evil), evil.replace("\r", ""), "/\u560a\u560dSet-Cookie: evil=1"):
        for path in ("/session/logout", "/sign-in"):
            answer = site.nobody().post(
                path, data={"user": "bob", "next": text}, headers={"Sec-Fetch-Mode": "navigate"}
            )
            assert answer.status_code in (200, 303)
            assert not any("\n" in value or "evil=1" in value for _, value in answer.headers if _ != "Location")
            assert "\n" not in answer.headers.get("Location", "")
    bad = alice.get("/protected", headers={"Authorization": f"Bearer {quote(evil)}"})
    assert (bad.status_code, "evil=1" in bad.headers["WWW-Authenticate"]) == (401, False)


def test_cve_2020_7694_no_control_character_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn logged what a stranger sent as it was: escape sequences played with the terminal of who read the log."""
    with Issuer() as issuer:
        service, _ = make_service(CORBADO_SESSION_JWKS_URL=issuer.keys_url)
        odd = "red \x1b[31m\x1b[2J\rgreen"
        said = [document({"keys": [{**a_jwk("ES256"), "kid": odd}]}), body(b"{}", kind=odd), _broken(odd)]
        for answer in said:
            issuer.answers[KEYS] = answer
            with pytest.raises(StoreUnavailable):
                read_keys(fetch_json(issuer.keys_url))
            RemoteKeys(issuer.keys_url).find(odd)
        headers = {"Authorization": "Bearer " + odd.replace("\r", " ")}
        assert service.test_client().get("/protected", headers=headers).status_code == 401
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("flask_corbado_session")]
    assert len(lines) >= len(said)
    assert all(line.isprintable() for line in lines)


def _broken(text: str) -> Answer:
    """A status line with this reason."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(f"HTTP/1.0 500 {text.replace(chr(13), '')}\r\n\r\n".encode())

    return answer
