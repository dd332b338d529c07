"""The routes end and rename what is the signed-in user's own: somebody else's is not there for them."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.support.site import Site


@pytest.fixture
def alice(site: Site) -> FlaskClient:
    return site.signed_in("alice")


@pytest.fixture
def bob(site: Site) -> FlaskClient:
    return site.signed_in("bob")


@pytest.fixture
def of_bob(site: Site, bob: FlaskClient) -> tuple[str, str]:
    """The ids of bob's session and of their device: alice may know them."""
    return site.ids("bob")


def test_a_session_of_somebody_else_can_not_be_ended(
    site: Site, alice: FlaskClient, bob: FlaskClient, of_bob: tuple[str, str]
) -> None:
    session_id, _ = of_bob
    assert alice.post(f"/session/{session_id}/revoke").status_code == 404
    assert bob.get("/recheck").status_code == 200
    assert site.end_reasons("bob") == []


def test_a_device_of_somebody_else_can_not_be_signed_out(
    site: Site, alice: FlaskClient, bob: FlaskClient, of_bob: tuple[str, str]
) -> None:
    _, device_id = of_bob
    assert alice.post(f"/session/devices/{device_id}/revoke").status_code == 404
    assert bob.get("/recheck").status_code == 200
    assert site.end_reasons("bob") == []


def test_a_device_of_somebody_else_can_not_be_renamed(site: Site, alice: FlaskClient, of_bob: tuple[str, str]) -> None:
    _, device_id = of_bob
    assert alice.post(f"/session/devices/{device_id}/name", data={"name": "Mine now"}).status_code == 404
    assert site.devices("bob")[0].name is None


def test_everywhere_else_is_everywhere_of_ones_own(
    site: Site, alice: FlaskClient, bob: FlaskClient, of_bob: tuple[str, str]
) -> None:
    site.signed_in("alice")
    assert alice.post("/session/revoke-others").status_code == 204
    assert (site.end_reasons("alice"), site.end_reasons("bob")) == (["revoked"], [])
    assert bob.get("/recheck").status_code == 200


def test_what_was_ones_own_can_be_ended_and_renamed(site: Site, alice: FlaskClient) -> None:
    """The rest of this file would pass where nothing works."""
    session_id, device_id = site.ids("alice")
    assert alice.post(f"/session/devices/{device_id}/name", data={"name": "Mine"}).status_code == 204
    assert site.devices("alice")[0].name == "Mine"
    assert alice.post(f"/session/{session_id}/revoke").status_code == 204
    assert alice.get("/protected").status_code == 401
