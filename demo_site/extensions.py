"""The Flask extensions, created once; ``create_app`` binds them to an app."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from flask import request
from flask_limiter import Limiter
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_corbado_session import CorbadoSession

from .countries import country_of


class Base(DeclarativeBase):
    """The base class of the site's models."""


def client_network() -> str:
    """The key of a rate limit: an IPv4 address, or an IPv6 /64, since one person can use every address in it."""
    address = ip_address((request.remote_addr or "0.0.0.0").partition("%")[0])
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


db = SQLAlchemy(model_class=Base)
sessions = CorbadoSession(db)
sessions.ip_locator(country_of)
limiter = Limiter(client_network, strategy="moving-window")
