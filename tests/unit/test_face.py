"""The face of the package: its public names, each imported at its first use."""

from __future__ import annotations

import ast
import subprocess
import sys
import venv
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import flask_corbado_session
from flask_corbado_session import CorbadoSessionError, InvalidShortSession, SettingsError
from flask_corbado_session.keys.file import KeyFileError, KeyFileExists
from flask_corbado_session.model.errors import NotOnThisApp, SessionNotFound, StoreUnavailable, TablesMissing
from tests.support.issuers import FEED, Issuer, claims_at, document, public, signed
from tests.support.key_files import a_jwk

ROOT = Path(__file__).parents[2]
FACE = Path(flask_corbado_session.__file__)
NOT_NEEDED = ["flask", "werkzeug", "jinja2", "click", "flask_sqlalchemy", "sqlalchemy", "blinker", "ua_parser"]
"""What a service that only verifies need not have."""
NEEDED = ["jwt", "cryptography", "_cffi_backend", "cffi", "pycparser", "itsdangerous", "urllib3", "typing_extensions"]


def typed_names() -> Iterator[tuple[str, str, str]]:
    """What a type checker sees: the public name, its module, and its name there."""
    for block in ast.walk(ast.parse(FACE.read_text())):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for node in block.body:
                assert isinstance(node, ast.ImportFrom)
                for alias in node.names:
                    yield alias.asname or alias.name, f"flask_corbado_session.{node.module}", alias.name


def test_the_face_holds_what_it_says() -> None:
    names = [name for name in dir(flask_corbado_session) if not name.startswith("_")]
    assert names == flask_corbado_session.__all__
    assert all(hasattr(flask_corbado_session, name) for name in names)


def test_a_type_checker_sees_the_same_things_as_the_interpreter() -> None:
    typed = list(typed_names())
    assert sorted(name for name, _, _ in typed) == sorted(flask_corbado_session.__all__)
    assert [
        name
        for name, module, name_there in typed
        if getattr(flask_corbado_session, name) is not getattr(import_module(module), name_there)
    ] == []


def test_the_face_is_sorted_and_names_nothing_twice() -> None:
    names = flask_corbado_session.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_the_face_holds_no_class_called_session() -> None:
    assert "Session" not in flask_corbado_session.__all__


def test_a_name_that_is_not_on_the_face_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flask_corbado_session' has no attribute 'Sesion'"):
        flask_corbado_session.Sesion  # noqa: B018
    assert not hasattr(flask_corbado_session, "generate")


def test_every_error_has_the_one_base() -> None:
    bases: dict[type[Exception], type[Exception]] = {
        SettingsError: ValueError,
        KeyFileError: SettingsError,
        KeyFileExists: KeyFileError,
        InvalidShortSession: Exception,
        StoreUnavailable: Exception,
        TablesMissing: RuntimeError,
        NotOnThisApp: RuntimeError,
        SessionNotFound: LookupError,
    }
    for error, base in bases.items():
        assert issubclass(error, CorbadoSessionError), error
        assert issubclass(error, base), error


# ---- a service that only verifies


def test_importing_the_verifier_imports_no_web_framework_and_no_sql() -> None:
    program = f"""
import sys
from flask_corbado_session import InvalidShortSession, ShortSessionVerifier
print(*sorted({set(NOT_NEEDED)!r} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


VERIFYING_SERVICE = f"""
import sys
from importlib.util import find_spec

found = [name for name in {NOT_NEEDED} if find_spec(name)]
assert not found, found

from flask_corbado_session import InvalidShortSession, ShortSessionVerifier

issuer, keys_url, feed_url, token = sys.stdin.read().split()
verifier = ShortSessionVerifier(issuer=issuer, jwks_url=keys_url, revocations_url=feed_url)
print(verifier.verify(token).user_id)
try:
    verifier.verify(token[:-20] + "A" * 20)
except InvalidShortSession as error:
    print(error.code)
"""


@pytest.fixture
def python_without_flask(tmp_path: Path) -> Path:
    """The interpreter of a virtual environment with this package and what verifying needs, and nothing else."""
    venv.create(tmp_path / "env", symlinks=sys.platform != "win32", with_pip=False)
    (site_packages,) = (tmp_path / "env").glob("[Ll]ib/**/site-packages")
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            path = origin.parent if spec.submodule_search_locations else origin
            (site_packages / path.name).symlink_to(path)
    (site_packages / "flask_corbado_session").symlink_to(FACE.parent)
    (python,) = (path for path in (tmp_path / "env").glob("*/python*") if path.stem == "python")
    return python


def test_the_verifier_works_where_neither_flask_nor_sqlalchemy_is_installed(python_without_flask: Path) -> None:
    with Issuer() as issuer:
        issuer.publish(public(a_jwk("ES256")))
        issuer.answers[FEED] = document({"ended": [], "until": 0})
        token = signed(claims_at(datetime.now(UTC), issuer.origin), a_jwk("ES256"))
        done = subprocess.run(
            [python_without_flask, "-I", "-W", "error", "-c", VERIFYING_SERVICE],
            input=" ".join([issuer.origin, issuer.keys_url, issuer.feed_url, token]),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout.split(), done.stderr) == (["alice", "signature"], "")
