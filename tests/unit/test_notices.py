"""The links that end what was not the person himself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import unquote

import pytest
from flask import Flask
from itsdangerous import URLSafeSerializer

from flask_corbado_session import CorbadoSession, Notice, session_revoked
from flask_corbado_session.testing import copy_jar, expire_short, move_clock, signed_in
from tests.support.apps import SECRET_KEY, make_app, rows_of, statements, unprepared_app
from tests.support.site import Site


class SiteWithNotices(Site):
    """An app whose notices are kept, and its clock."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.notices: list[Notice] = []
        self.sessions.notifier(self.notices.append)

    def link(self) -> str:
        """The token of the last link."""
        return token_in(self.notices[-1])

    def use(self, token: str | None = None, app: Flask | None = None) -> bool:
        """Whether it worked; the last link unless another is given."""
        app, token = app or self.app, self.link() if token is None else token
        with app.app_context():
            return rows_of(app).disown_links.use(token) is not None


def token_in(notice: Notice) -> str:
    """What stands at the end of the path."""
    assert notice.report_path is not None
    return unquote(notice.report_path.rpartition("/")[2])


@pytest.fixture
def site(database_url: str) -> SiteWithNotices:
    return SiteWithNotices(database_url)


def test_a_new_device_is_told_of_once_with_its_label_and_a_link(site: SiteWithNotices) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    client = signed_in(site.app, "alice", user_agent=firefox)
    signed_in(site.app, "alice", client=client, user_agent=firefox)
    (notice,) = site.notices
    assert (notice.kind, notice.user_id, notice.device_label) == ("new_device", "alice", "Firefox on Linux")
    with site.app.app_context():
        assert [device.id for device in site.sessions.devices("alice")] == [notice.device_id]
    told = repr(notice)
    assert "disown" not in told


def test_a_link_ends_every_session_of_the_device_and_of_no_other(site: SiteWithNotices) -> None:
    signed_in(site.app, "alice")
    phone = signed_in(site.app, "alice")
    for name in ("short", "long"):
        phone.delete_cookie(f"__Host-cbo_{name}_session")
    signed_in(site.app, "alice", client=phone)
    with site.app.app_context():
        # sorted: two sign-ins of one millisecond have no order
        assert sorted(len(device.sessions) for device in site.sessions.devices("alice")) == [1, 2]
    assert site.use()
    with site.app.app_context():
        assert [len(device.sessions) for device in site.sessions.devices("alice")] == [1]
        assert {ended.end_reason for ended in site.sessions.history("alice")} == {"revoked"}


def test_a_link_works_once(site: SiteWithNotices) -> None:
    signed_in(site.app, "alice")
    assert [site.use(), site.use()] == [True, False]


def test_of_twenty_uses_at_once_one_works(site: SiteWithNotices, database_url: str) -> None:
    """In two apps on one database, as two server processes are."""
    other, _, _ = unprepared_app(database_url)
    signed_in(site.app, "alice")
    start = Barrier(20)

    def use(app: Flask) -> bool:
        start.wait()
        return site.use(app=app)

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(use, [site.app, other] * 10)) == 1


def test_a_link_lasts_seven_days(site: SiteWithNotices) -> None:
    signed_in(site.app, "alice")
    site.clock.move(days=7, seconds=-1)
    with site.app.app_context():
        found = rows_of(site.app).disown_links.find(site.link())
    assert found is not None
    site.clock.move(seconds=1)
    assert not site.use()


def test_a_disowned_device_is_new_at_the_next_sign_in(site: SiteWithNotices) -> None:
    phone = signed_in(site.app, "alice")
    first = site.notices[-1]
    site.use()
    signed_in(site.app, "alice", client=phone)
    assert len(site.notices) == 2
    assert site.notices[-1].device_id != first.device_id
    assert not site.use(token_in(first))


def test_a_device_signed_in_on_again_is_disowned_by_the_first_link(site: SiteWithNotices) -> None:
    phone = signed_in(site.app, "alice")
    signed_in(site.app, "alice", client=phone)
    assert site.use()
    assert phone.get("/protected").status_code == 401


@pytest.mark.parametrize("spoil", [lambda t: t[:-2], lambda t: "x" + t, lambda t: t.swapcase(), lambda t: t + "AA"])
def test_a_link_that_was_tampered_with_costs_no_statement(site: SiteWithNotices, spoil: Callable[[str], str]) -> None:
    signed_in(site.app, "alice")
    with statements(site.app) as seen:
        worked = site.use(spoil(site.link()))
    assert (worked, seen) == (False, [])


def test_what_is_no_link_is_refused(subtests: pytest.Subtests, site: SiteWithNotices) -> None:
    for token in ["", ".", "a.b", "\x00", "ÿ.ÿ", "x" * 10_000, "\ud800"]:
        with subtests.test(token=token):
            assert not site.use(token)


def test_a_token_signed_for_something_else_is_no_link(site: SiteWithNotices) -> None:
    signed_in(site.app, "alice")
    sha256 = {"digest_method": hashlib.sha256}
    ours = URLSafeSerializer(SECRET_KEY, salt=b"flask-corbado-session.disown", signer_kwargs=sha256)
    payload = ours.loads(site.link())
    for salt in (b"itsdangerous", b"flask-corbado-session", b"cookie-session"):
        assert not site.use(str(URLSafeSerializer(SECRET_KEY, salt=salt, signer_kwargs=sha256).dumps(payload)))
    assert site.use(str(ours.dumps(payload)))


def test_the_link_of_another_app_is_none_here(site: SiteWithNotices, sqlite_url: str) -> None:
    elsewhere, _, sessions = make_app(f"{sqlite_url}-2", SECRET_KEY="another key, as long as it has to be, and longer")
    told: list[Notice] = []
    sessions.notifier(told.append)
    signed_in(elsewhere, "alice")
    assert not site.use(token_in(told[0]))


def test_a_link_outlives_a_change_of_the_secret_key(site: SiteWithNotices, database_url: str) -> None:
    signed_in(site.app, "alice")
    renewed, _, _ = unprepared_app(database_url, SECRET_KEY="n" * 20 + "ew" * 12, SECRET_KEY_FALLBACKS=[SECRET_KEY])
    move_clock(renewed, site.clock.at)
    assert site.use(app=renewed)


def test_what_a_link_ended_is_signalled(site: SiteWithNotices) -> None:
    signed_in(site.app, "alice")
    heard: list[dict[str, object]] = []

    def hear(sender: object, **facts: object) -> None:
        heard.append(facts)

    with session_revoked.connected_to(hear, sender=site.app):
        site.use()
    assert [(each["user_id"], each["reason"]) for each in heard] == [("alice", "revoked")]


def test_a_copied_session_is_told_once_with_both_contexts(site: SiteWithNotices) -> None:
    owner = signed_in(site.app, "alice")
    thief = copy_jar(owner)
    statuses: list[int] = []
    for client, agent in ((owner, "Owner/1.0"), (thief, "Thief/6.6"), (thief, "Thief/6.6"), (owner, "Owner/1.0")):
        site.clock.move(seconds=61)
        expire_short(client)
        statuses.append(client.get("/protected", headers={"User-Agent": agent}).status_code)
    assert statuses == [200, 200, 200, 401]
    assert [notice.kind for notice in site.notices] == ["new_device", "reuse"]
    told = site.notices[-1]
    assert told.previous is not None
    assert (told.context.user_agent, told.previous.user_agent) == ("Owner/1.0", "Thief/6.6")
    assert owner.get("/protected").status_code == 401
    assert len(site.notices) == 2


def test_a_notifier_that_fails_undoes_no_sign_in(site: SiteWithNotices, caplog: pytest.LogCaptureFixture) -> None:
    def fail(notice: Notice) -> None:
        raise RuntimeError("no mail today")

    site.sessions.notifier(fail)
    assert signed_in(site.app, "alice").get("/protected").status_code == 200
    assert "the notifier failed on a notice of kind new_device" in caplog.text


def test_without_routes_there_is_no_link(sqlite_url: str) -> None:
    app, _, sessions = make_app(sqlite_url, CORBADO_SESSION_URL_PREFIX=None)
    told: list[Notice] = []
    sessions.notifier(told.append)
    signed_in(app, "alice")
    assert told[0].report_path is None


def test_an_app_without_a_notifier_needs_none(sqlite_url: str) -> None:
    app, _, sessions = make_app(sqlite_url)
    assert isinstance(sessions, CorbadoSession)
    assert signed_in(app, "alice").get("/protected").status_code == 200
