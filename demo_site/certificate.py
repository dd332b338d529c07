"""A certificate for this machine alone, made in the instance folder. No browser trusts it unless told to."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

VALID_FOR = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=7)
NAMES = ("localhost", "*.demo.localhost")


def find_or_create(folder: Path) -> tuple[Path, Path]:
    """The files of the certificate and its key; new ones if there are none, or soon won't be valid."""
    certificate, key = folder / "https.pem", folder / "https-key.pem"
    if not (certificate.exists() and key.exists() and _is_valid(certificate)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(certificate, key)
    return certificate, key


def public_key_hash(certificate: Path) -> str:
    """By which Chromium is told to take a certificate for valid (``--ignore-certificate-errors-spki-list``)."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


def _is_valid(certificate: Path) -> bool:
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return ends - datetime.now(UTC) > RENEWED_BEFORE


def _create(certificate: Path, key_file: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [*map(x509.DNSName, NAMES), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
