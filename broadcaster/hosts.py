"""Where an address leads, for error texts and for proxies. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def place_of(url: str) -> str:
    """host:port of an address, without the names and passwords in it."""
    parts = urlsplit(url)
    host = parts.hostname or "the server"
    return f"{host}:{parts.port}" if parts.port else host


def is_here(url: str) -> bool:
    """Whether that server runs on this machine: a proxy for the way out must not catch what is meant for it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
