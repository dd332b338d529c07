"""Verified claims serve many requests, and nobody can change what the next one sees."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest
from flask import Flask

from flask_corbado_session import ShortSession
from flask_corbado_session.model.frozen import FrozenDict, FrozenList, frozen
from flask_corbado_session.tokens.short import ShortTokenVerifier
from tests.support.rules import NOON, rules_on
from tests.support.short_tokens import CLAIMS, ISSUER, token, verifier

CLAIMS_OF_AN_APP = {"roles": ["admin"], "team": {"name": "blue", "ids": [1, [2]]}, "plan": "pro", "none": None}
TOKEN = token(claims={**CLAIMS, **CLAIMS_OF_AN_APP})


def verified(by: ShortTokenVerifier | None = None) -> Any:
    """The claims, as anyone who verifies a token gets them."""
    return (by or verifier()).verify(TOKEN, NOON).claims


CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda claims: claims["roles"].append("owner"),
    "extend": lambda claims: claims["roles"].extend(["owner"]),
    "+=": lambda claims: claims["roles"].__iadd__(["owner"]),
    "*=": lambda claims: claims["roles"].__imul__(2),
    "insert": lambda claims: claims["roles"].insert(0, "owner"),
    "item": lambda claims: claims["roles"].__setitem__(0, "owner"),
    "del item": lambda claims: claims["roles"].__delitem__(0),
    "list.pop": lambda claims: claims["roles"].pop(),
    "list.remove": lambda claims: claims["roles"].remove("admin"),
    "list.clear": lambda claims: claims["roles"].clear(),
    "reverse": lambda claims: claims["roles"].reverse(),
    "sort": lambda claims: claims["roles"].sort(),
    "set": lambda claims: claims.__setitem__("plan", "free"),
    "delete": lambda claims: claims.__delitem__("plan"),
    "update": lambda claims: claims.update(plan="free"),
    "|=": lambda claims: claims.__ior__({"plan": "free"}),
    "setdefault": lambda claims: claims.setdefault("x", 1),
    "dict.pop": lambda claims: claims.pop("plan"),
    "popitem": lambda claims: claims.popitem(),
    "dict.clear": lambda claims: claims.clear(),
    "deep": lambda claims: claims["team"].update(name="red"),
    "deeper": lambda claims: claims["team"]["ids"][1].append(3),
    "attribute": lambda claims: setattr(claims, "plan", "free"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_one_reader_does_to_verified_claims_reaches_no_other(change: Callable[[Any], Any]) -> None:
    """``verify(token).claims["roles"].append("admin")`` stayed for every later request with that token."""
    verify = verifier()
    with pytest.raises((TypeError, AttributeError)):
        change(verified(verify))
    assert verified(verify) == {"role": "admin", **CLAIMS_OF_AN_APP}


def test_no_method_of_a_list_or_a_dict_changes_them() -> None:
    """A method that Python adds one day is to be thought of here."""
    reading = {"copy", "count", "index", "get", "items", "keys", "values", "fromkeys"}
    for kind in (FrozenDict, FrozenList):
        names = {name for name in dir(kind) if not name.startswith("__")}
        assert {name for name in names if name not in vars(kind)} <= reading


def test_they_are_dicts_and_lists_for_whoever_reads() -> None:
    claims = verified()
    assert claims["roles"] == ["admin"]
    assert claims["roles"] + ["x"] == ["admin", "x"]
    assert (isinstance(claims, dict), "admin" in claims["roles"], claims | {"plan": 1}) == (
        True,
        True,
        {"role": "admin", **CLAIMS_OF_AN_APP, "plan": 1},
    )
    assert json.loads(json.dumps(claims)) == claims
    assert Flask(__name__).json.loads(Flask(__name__).json.dumps(claims)) == claims


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda claims: pickle.loads(pickle.dumps(claims))])
def test_a_copy_may_be_changed(copied: Callable[[Any], Any]) -> None:
    claims = copied(verified())
    assert (type(claims), type(claims["roles"]), type(claims["team"]["ids"][1])) == (dict, list, list)
    claims["roles"].append("owner")
    claims["plan"] = "free"
    assert verified()["roles"] == ["admin"]


def test_whoever_makes_a_short_session_its_claims_are_frozen() -> None:
    roles = ["admin"]
    claims = {"roles": roles, "pair": ("a", "b")}
    by_name = ShortSession("alice", "s" * 30, NOON, NOON, ISSUER, claims=claims)
    by_position = ShortSession("alice", "s" * 30, NOON, NOON, ISSUER, None, None, (), False, claims)
    roles.append("owner")
    for short in (by_name, by_position):
        assert short.claims == {"roles": ["admin"], "pair": ["a", "b"]}
        with pytest.raises(TypeError):
            short.claims["roles"].append("owner")
        with pytest.raises(FrozenInstanceError):
            short.user_id = "bob"  # type: ignore[misc]
        assert asdict(short)["claims"] == short.claims
    assert by_name == by_position


def test_the_claims_of_a_short_session_that_is_made_here_are_frozen_too(sqlite_url: str) -> None:
    """The process that made a token serves other requests from what it made."""
    roles = ["admin"]
    short = rules_on(sqlite_url).start(claims={"roles": roles, "pair": ("a", "b")}).short
    roles.append("owner")
    assert short.claims == {"roles": ["admin"], "pair": ["a", "b"]}
    with pytest.raises(TypeError):
        short.claims["roles"].append("owner")


def test_what_is_frozen_is_not_frozen_again() -> None:
    claims = verified()
    assert (frozen(claims) is claims, frozen(claims["roles"]) is claims["roles"]) == (True, True)
