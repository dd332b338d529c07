"""Who may be signed in: users who are not active, users without an id, loaders that fail, and two at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from flask import copy_current_request_context, g, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.local import LocalProxy

from flask_corbado_session import (
    AnonymousUser,
    UserMixin,
    confirm_login,
    current_session,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_corbado_session.testing import copy_jar, expire_short, signed_in
from flask_corbado_session.web.kept_user import NOT_LOADED, kept_user
from tests.support.apps import rows_of
from tests.support.jars import LONG, SHORT, SessionRows
from tests.support.site import Site


@dataclass
class User(UserMixin):
    """The app's own; ``is_active`` is a column of theirs."""

    id: Any
    is_active: bool = True


class UserSite(Site):
    """The tests' app with users of its own, and a view that signs in whom the test wants."""

    def __init__(self, database_url: str, **config: Any) -> None:
        super().__init__(database_url, **config)
        self.users = {name: User(name) for name in ("alice", "bob")}
        self.sessions.user_loader(lambda user_id: self.users.get(user_id))
        self.answers: list[Any] = []
        self.acts: dict[str, Callable[[], Any]] = {}
        self.app.add_url_rule("/act/<name>", view_func=self._act, methods=["GET", "POST"])
        self.app.add_url_rule("/nav", "nav", view_func=lambda: "in" if current_session else "out")
        self.app.add_url_rule("/name", "name", view_func=lambda: str(current_user.get_id()))

    def _act(self, name: str) -> Any:
        self.answers.append(self.acts[name]())
        return jsonify(user_id=current_session.user_id, id=current_user.get_id())

    def act(self, act: Callable[[], Any], client: FlaskClient | None = None) -> Any:
        """What ``act`` returned, called in a view."""
        self.acts["it"] = act
        (client or self.nobody()).post("/act/it")
        return self.answers[-1]

    def rows(self) -> int:
        """How many sessions and devices are stored."""
        with SessionRows(self.url) as rows:
            return len(rows.all())


@pytest.fixture
def site(sqlite_url: str) -> UserSite:
    return UserSite(sqlite_url)


# ---- active, or not


def test_a_user_who_is_not_active_is_not_signed_in_and_nothing_is_written(site: UserSite) -> None:
    client = site.nobody()
    assert site.act(lambda: login_user(User("alice", is_active=False)), client) is False
    assert site.rows() == 0
    assert client.get("/protected").status_code == 401


def test_a_user_who_is_not_active_leaves_the_old_session_as_it_was(site: UserSite) -> None:
    client = site.signed_in("bob")
    assert site.act(lambda: login_user(User("alice", is_active=False)), client) is False
    assert client.get("/protected").get_json()["user_id"] == "bob"


def test_force_signs_in_a_user_who_is_not_active(site: UserSite) -> None:
    client = site.nobody()
    assert site.act(lambda: login_user(User("alice", is_active=False), force=True), client) is True
    assert client.get("/protected").status_code == 200


def test_a_foreign_page_is_refused_before_anybody_is_asked_to_be_active(site: UserSite) -> None:
    site.acts["it"] = lambda: login_user(User("alice", is_active=False))
    answer = site.nobody().post("/act/it", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "csrf_rejected")


class OldUser:
    """Of the time when Flask-Login's users had methods."""

    id = "alice"

    def is_active(self) -> bool:
        return False


def test_a_method_is_active_is_asked_and_not_taken_for_true(site: UserSite) -> None:
    assert site.act(lambda: login_user(OldUser())) is False


@pytest.mark.parametrize("gone", [None, User("alice", is_active=False), OldUser()])
def test_a_user_who_was_blocked_is_out_at_the_next_touch(site: UserSite, gone: Any) -> None:
    client, elsewhere = site.signed_in(), site.signed_in()
    site.users["alice"] = gone
    assert client.get("/name").text == "None"
    assert client.get("/protected").get_json()["code"] == "unauthenticated"
    assert site.end_reasons() == ["user_disabled"]
    site.clock.move(minutes=16)
    assert elsewhere.get("/protected").get_json()["reason"] == "user_disabled"
    assert site.end_reasons() == ["user_disabled"] * 2


def test_a_user_who_was_blocked_is_out_within_one_short_lifetime_where_nobody_touches_them(site: UserSite) -> None:
    client = site.signed_in()
    site.users["alice"].is_active = False
    site.clock.move(minutes=14)
    assert client.get("/protected").status_code == 200
    site.clock.move(minutes=1)
    assert client.get("/protected").get_json()["reason"] == "user_disabled"


def test_a_user_who_was_blocked_cannot_confirm_their_login_for_another_lifetime(site: UserSite) -> None:
    client = site.signed_in()
    del site.users["alice"]
    site.acts["it"] = lambda: confirm_login(amr=["pwd"])
    assert client.post("/act/it").status_code == 401
    assert (site.rows(), site.end_reasons()) == (1, ["user_disabled"])


def test_a_protected_view_does_not_run_after_an_earlier_touch_found_the_user_gone(site: UserSite) -> None:
    ran = []

    @site.app.before_request
    def look() -> None:
        g.who = current_user.get_id()

    @site.app.get("/dashboard")
    @login_required
    def dashboard() -> str:
        ran.append(True)
        return "never"

    client = site.signed_in()
    del site.users["alice"]
    assert client.get("/dashboard").status_code == 401
    assert ran == []


# ---- who has no id


def test_what_is_no_user_id_starts_nothing(subtests: pytest.Subtests, site: UserSite) -> None:
    class Bytes(UserMixin):
        id = "x"

        def get_id(self) -> Any:
            return b"alice"

    for user in [User(None), "None", User("None"), b"alice", Bytes(), ["alice"], {"id": "alice"}, object(), 1.5]:
        with subtests.test(user=user), pytest.raises(TypeError, match="has no user id"):
            site.act(partial(login_user, user))
    with pytest.raises(TypeError, match="flush"):
        site.act(lambda: login_user(current_user))
    assert site.rows() == 0


@pytest.mark.parametrize("has_loader", [True, False])
def test_the_current_user_may_be_signed_in_again(site: UserSite, has_loader: bool) -> None:
    """With a loader the proxy was kept as its own object: a RecursionError."""
    if not has_loader:
        site.sessions.user_loader(None)  # type: ignore[type-var]
    client = site.signed_in()
    site.acts["it"] = lambda: login_user(current_user, amr=["pwd"])
    assert client.post("/act/it").get_json() == {"user_id": "alice", "id": "alice"}
    assert client.get("/name").text == "alice"
    assert site.end_reasons() == ["superseded"]


def test_a_proxy_of_a_proxy_is_unwrapped(site: UserSite) -> None:
    user = site.users["bob"]
    proxy: Any = LocalProxy(lambda: LocalProxy(lambda: user))

    def act() -> Any:
        login_user(proxy)
        return kept_user("bob")

    assert site.act(act) is user


def test_ids_are_exact_to_the_character(database_url: str) -> None:
    """Case, blanks at the end, accents and normal forms: each is somebody else."""
    site = Site(database_url)
    names = [
        "alice",
        "alice ",
        " alice",
        "Alice",
        "ALICE",
        "alicé",
        "alice\u0301",
        "\u00e9",
        "e\u0301",
        "ß",
        "ss",
        "\uff45",
    ]
    clients = {name: site.signed_in(name) for name in names}
    site.clock.move(minutes=16)
    for name in names:
        assert clients[name].get("/who").get_json() == {"user_id": name, "id": name}
        assert [device.user_id for device in site.devices(name)] == [name]
    with site.app.app_context():
        site.sessions.revoke_user("alice")
    served = [name for name in names if clients[name].get("/who").get_json()["user_id"]]
    assert served == names[1:]


# ---- two in one request


def test_of_two_sign_ins_in_one_request_the_second_counts(site: UserSite) -> None:
    """Two sessions were live, on two devices, and no browser knew the first."""
    client = site.nobody()

    def twice() -> bool:
        login_user(site.users["bob"])
        return login_user(site.users["alice"])

    assert site.act(twice, client) is True
    assert client.get("/protected").get_json()["user_id"] == "alice"
    assert (site.rows(), site.end_reasons("bob"), len(site.devices("alice"))) == (2, ["superseded"], 1)
    assert site.devices("bob") == []


def test_two_sign_ins_of_one_user_in_one_request_are_one_session_on_one_device(site: UserSite) -> None:
    client = site.nobody()
    site.act(lambda: [login_user("alice"), login_user("alice"), confirm_login()], client)
    (device,) = site.devices("alice")
    assert len(device.sessions) == 1
    assert site.end_reasons() == ["superseded"] * 2
    assert client.get("/protected").status_code == 200
    client.post("/sign-in", json={"user": "alice"})
    with site.app.app_context():
        assert site.db.session.execute(text("SELECT count(*) FROM corbado_device")).scalar_one() == 1


def test_signing_out_after_signing_in_in_one_request_leaves_nothing_live(site: UserSite) -> None:
    client = site.nobody()
    site.act(lambda: [login_user("alice"), logout_user()], client)
    assert (site.end_reasons(), client.get_cookie(SHORT)) == (["signed_out"], None)


# ---- loaders that fail


FAILING = {
    "raises": lambda user_id: 1 // 0,
    "outgrows the cookie": lambda user_id: {"a": "x" * 4000},
    "is no JSON": lambda user_id: {"a": object()},
    "is reserved": lambda user_id: {"sub": "bob"},
    "is no mapping": lambda user_id: ["admin"],
}


@pytest.mark.parametrize("loader", FAILING.values(), ids=FAILING)
def test_a_claims_loader_that_fails_at_sign_in_leaves_all_as_it_was(site: UserSite, loader: Any) -> None:
    client = site.signed_in("bob")
    site.sessions.claims_loader(loader)
    site.app.testing = False
    assert client.post("/sign-in", json={"user": "alice"}).status_code == 500
    assert client.get("/protected").get_json()["user_id"] == "bob"
    assert (site.rows(), site.devices("alice"), site.end_reasons("bob")) == (1, [], [])


@pytest.mark.parametrize("loader", FAILING.values(), ids=FAILING)
def test_a_claims_loader_that_fails_at_a_refresh_costs_nobody_their_session(
    site: UserSite, loader: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Every page was a 500, also those that only showed a name."""
    clients = [site.signed_in(claims={"name": "Alice"}) for _ in range(3)]
    site.sessions.claims_loader(loader)
    site.clock.move(minutes=16)
    for client in clients:
        assert client.get("/nav").text == "in"
        assert client.get("/session").get_json()["claims"]["name"] == "Alice"
        assert client.get("/protected").status_code == 200
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "goes on with those of its sign-in" in record.getMessage()
    assert clients[0].get_cookie(LONG).value not in caplog.text  # type: ignore[union-attr]


def test_claims_that_load_again_are_back_at_the_next_refresh(site: UserSite, caplog: pytest.LogCaptureFixture) -> None:
    client = site.signed_in()
    loaders: list[Any] = [FAILING["raises"], lambda user_id: {"role": "admin"}, FAILING["raises"]]
    for loader in loaders:
        site.sessions.claims_loader(loader)
        site.clock.move(minutes=16)
        role = client.get("/session").get_json()["claims"].get("role")
        assert role == ("admin" if loader not in FAILING.values() else None)
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


def test_a_user_loader_that_fails_at_a_refresh_signs_nobody_out(
    site: UserSite, caplog: pytest.LogCaptureFixture
) -> None:
    site.app.testing = False
    client = site.signed_in()
    site.sessions.user_loader(lambda user_id: 1 // 0)
    site.clock.move(minutes=16)
    for path, status in [("/nav", 200), ("/protected", 500), ("/session", 500), ("/name", 500), ("/public", 200)]:
        answer = client.get(path)
        assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (status, [])
    assert client.post("/session/refresh").status_code == 500
    assert "user_loader failed at a refresh" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    site.sessions.user_loader(site.users.get)
    assert client.get("/protected").status_code == 200
    assert site.end_reasons() == []


def test_a_user_loader_that_fails_does_not_keep_anyone_from_signing_out(site: UserSite) -> None:
    client, copy = site.signed_in(), None
    site.sessions.user_loader(lambda user_id: 1 // 0)
    site.clock.move(minutes=16)
    copy = copy_jar(client)
    assert client.post("/sign-out").status_code == 200
    site.sessions.user_loader(site.users.get)
    assert copy.get("/protected").status_code == 401
    assert site.end_reasons() == ["signed_out"]


def test_a_loaded_claim_that_is_gone_does_not_come_back_after_a_step_up(site: UserSite) -> None:
    roles = {"alice": {"role": "admin"}}
    site.sessions.claims_loader(lambda user_id: roles.get(user_id, {}))
    client = site.signed_in(claims={"team": "blue"})
    site.act(lambda: confirm_login(amr=["pwd"]), client)
    roles.clear()
    site.clock.move(minutes=16)
    claims = client.get("/session").get_json()["claims"]
    assert ("role" in claims, claims["team"]) == (False, "blue")


def test_a_login_confirmed_by_bearer_ends_the_session_it_replaces(site: UserSite) -> None:
    client = site.signed_in()
    token, old = client.get_cookie(SHORT), copy_jar(client)
    assert token is not None
    site.acts["it"] = lambda: confirm_login(amr=["pwd"])
    bearer = {"Authorization": f"Bearer {token.value}"}
    assert site.app.test_client(use_cookies=False).post("/act/it", headers=bearer).status_code == 200
    assert site.end_reasons() == ["superseded"]
    assert old.get("/protected").status_code == 401


# ---- async


@pytest.mark.parametrize("view_is_async", [True, False])
@pytest.mark.parametrize("loader_is_async", [True, False])
def test_async_loaders_serve_async_views_too(site: UserSite, view_is_async: bool, loader_is_async: bool) -> None:
    """A RuntimeError: one thread runs one loop at a time."""

    async def user(user_id: str) -> Any:
        await asyncio.sleep(0)
        assert request.path
        return site.users.get(user_id)

    async def claims(user_id: str) -> Any:
        await asyncio.sleep(0)
        return {"role": "admin"}

    async def view() -> Any:
        return jsonify(id=current_user.id, role=current_session.claims["role"])

    if loader_is_async:
        site.sessions.user_loader(user)
        site.sessions.claims_loader(claims)
    else:
        site.sessions.claims_loader(lambda user_id: {"role": "admin"})
    site.app.add_url_rule("/view", view_func=view if view_is_async else lambda: asyncio.run(view()))
    client = site.signed_in()
    for _ in range(2):
        assert client.get("/view").get_json() == {"id": "alice", "role": "admin"}
        site.clock.move(minutes=16)


def test_a_plain_function_may_give_a_coroutine(site: UserSite) -> None:
    async def load(user_id: str) -> Any:
        return site.users.get(user_id)

    site.sessions.user_loader(lambda user_id: load(user_id))
    assert site.signed_in().get("/name").text == "alice"


def test_an_async_loader_that_fails_under_an_async_view_fails_as_itself(site: UserSite) -> None:
    @site.sessions.user_loader
    async def load(user_id: str) -> Any:
        raise LookupError("no users today")

    @site.app.get("/view")
    async def view() -> str:
        return str(current_user.id)

    with pytest.raises(LookupError, match="no users today"):
        site.signed_in().get("/view")


# ---- current_user and current_session are one person


def test_after_a_sign_in_the_current_user_is_the_new_one(site: UserSite) -> None:
    def act() -> Any:
        before = current_user.id
        login_user("bob")
        among = current_user.id, current_session.user_id
        logout_user()
        return before, among, current_user.is_anonymous, bool(current_session)

    assert site.act(act, site.signed_in()) == ("alice", ("bob", "bob"), True, False)


def test_a_user_object_that_signed_in_is_the_current_user_without_a_load(site: UserSite) -> None:
    user = User("bob")
    site.sessions.user_loader(lambda user_id: pytest.fail("the user was loaded"))

    def act() -> Any:
        login_user(user)
        return current_user._get_current_object()

    assert site.act(act) is user


def test_a_copied_context_loads_the_user_anew(site: UserSite) -> None:
    """It had the row of the request it was copied from, which is detached once that is over."""
    site.sessions.user_loader(User)

    def act() -> Any:
        first = current_user._get_current_object()

        @copy_current_request_context
        def later() -> Any:
            return current_user._get_current_object()

        second = later()
        return first == second, first is second, first is current_user._get_current_object()

    assert site.act(act, site.signed_in()) == (True, False, True)


def test_two_contexts_on_one_environ_share_no_user_object(site: UserSite) -> None:
    """The events of a socket each have a context of their own, on the environ of the handshake."""
    site.sessions.user_loader(User)
    client = site.signed_in()
    cookie = client.get_cookie(SHORT)
    assert cookie is not None
    with site.app.test_request_context(headers={"Cookie": f"{SHORT}={cookie.value}"}) as context:
        first = current_user._get_current_object()
        environ = context.request.environ
    with site.app.request_context(environ):
        second = current_user._get_current_object()
        assert kept_user("alice") is second
        assert kept_user("bob") is NOT_LOADED
    assert (first == second, first is second) == (True, False)


# ---- who nobody is


class Guest(AnonymousUser):
    name = "a guest"


@pytest.mark.parametrize("factory", [Guest, lambda: Guest()], ids=["a class", "a factory"])
def test_an_app_says_who_nobody_is(site: UserSite, factory: Any) -> None:
    assert site.sessions.anonymous_user(factory) is factory
    twice: Callable[[], Any] = current_user._get_current_object
    assert site.act(lambda: (current_user.name, twice() is twice())) == ("a guest", True)
    with site.app.app_context():
        assert current_user.name == "a guest"
    assert current_user == AnonymousUser()


def test_after_a_sign_out_nobody_is_whom_the_app_says(site: UserSite) -> None:
    site.sessions.anonymous_user(Guest)
    assert site.act(lambda: (logout_user(), current_user.name)[1], site.signed_in()) == "a guest"


# ---- two apps under one SECRET_KEY


def short_of(client: FlaskClient) -> dict[str, str]:
    cookie = client.get_cookie(SHORT)
    assert cookie is not None
    return {"Authorization": f"Bearer {cookie.value}"}


def test_an_app_does_not_take_the_short_session_of_another_under_one_secret_key(sqlite_url: str, tmp_path: Any) -> None:
    """User 1 of one app was user 1 of the other."""
    ours, theirs = Site(sqlite_url), Site(f"sqlite:///{tmp_path / 'theirs.sqlite'}")
    headers = short_of(theirs.signed_in("1"))
    assert theirs.nobody().get("/protected", headers=headers).status_code == 200
    assert ours.nobody().get("/protected", headers=headers).get_json()["reason"] == "unknown_key"
    memory = [Site("sqlite://"), Site("sqlite://")]
    assert memory[0].nobody().get("/protected", headers=short_of(memory[1].signed_in("1"))).status_code == 401


def test_two_apps_with_one_issuer_and_one_secret_key_share_their_short_sessions(sqlite_url: str, tmp_path: Any) -> None:
    told = {"CORBADO_SESSION_ISSUER": "https://id.example.com"}
    ours, theirs = Site(sqlite_url, **told), Site(f"sqlite:///{tmp_path / 'theirs.sqlite'}", **told)
    assert ours.nobody().get("/protected", headers=short_of(theirs.signed_in("1"))).status_code == 200
    other = Site(sqlite_url, CORBADO_SESSION_ISSUER="https://other.example.com")
    assert other.nobody().get("/protected", headers=short_of(theirs.signed_in("1"))).status_code == 401


def test_two_servers_of_one_app_accept_each_others_short_sessions(database_url: str) -> None:
    site = Site(database_url)
    assert site.second_server().test_client().get("/protected", headers=short_of(site.signed_in())).status_code == 200


def test_a_database_is_the_same_whoever_connects_and_however(sqlite_url: str) -> None:
    from tests.support.rules import database_at

    def address(url: str) -> str:
        return database_at(url).address

    assert address("postgresql+psycopg://root:a@db:5432/shop") == address("postgresql+pg8000://web:b@db:5432/shop")
    assert address("postgresql+psycopg://db/shop?sslmode=require") == address("postgresql+psycopg://db/shop")
    assert address("postgresql+psycopg:///shop?host=/a") != address("postgresql+psycopg:///shop?host=/b")
    assert len({address(f"postgresql+psycopg://{where}") for where in ("a/x", "b/x", "a/y", "a:1/x")}) == 4
    assert (address("postgresql+psycopg://"), address("sqlite://") == address("sqlite://")) == ("", False)
    assert "secret" not in address("postgresql+psycopg://u:secret@db/shop")


def test_a_secret_key_and_an_issuer_of_a_running_app_do_not_change_its_sessions(site: UserSite) -> None:
    client = site.signed_in()
    expire_short(client)
    assert client.get("/protected").status_code == 200
    assert rows_of(site.app).database.address.startswith("sqlite:///")
    assert signed_in(site.app, "bob").get("/protected").status_code == 200
