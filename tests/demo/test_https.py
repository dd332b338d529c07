"""The certificate of the demo's https mode, and what that mode tells of itself."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from demo_site import certificate, https
from demo_site.addresses import Addresses


def test_the_certificate_is_made_once_and_its_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    files = certificate.find_or_create(tmp_path / "instance")
    written = [file.read_bytes() for file in files]
    assert certificate.find_or_create(tmp_path / "instance") == files
    assert [file.read_bytes() for file in files] == written
    if os.name == "posix":
        assert stat.S_IMODE(files[1].stat().st_mode) == 0o600


def test_a_certificate_that_soon_ends_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, _ = certificate.find_or_create(tmp_path)
    first = certificate.public_key_hash(shown)
    monkeypatch.setattr(certificate, "RENEWED_BEFORE", certificate.VALID_FOR + timedelta(hours=1))
    certificate.find_or_create(tmp_path)
    assert certificate.public_key_hash(shown) != first


def test_it_is_for_this_machine_alone(tmp_path: Path) -> None:
    shown, _ = certificate.find_or_create(tmp_path)
    made = x509.load_pem_x509_certificate(shown.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "*.demo.localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_sayshow_to_start_chromium(tmp_path: Path) -> None:
    shown, _ = certificate.find_or_create(tmp_path)
    said = https.how_to_start(Addresses(8443, "https"), shown)
    assert "https://localhost:8443/thief" in said
    assert f"--ignore-certificate-errors-spki-list={certificate.public_key_hash(shown)} " in said
    assert f"--enable-features={https.FEATURES} " in said
