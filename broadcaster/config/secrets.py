"""Which values of a configuration must never be printed. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

SHORTEST_PART: Final = 6
"""A shorter part of an address (an application called "live") is no secret, and hiding it would garble every log."""

DATABASES: Final = ("postgresql", "postgres")
"""Schemes of addresses of databases."""


def secrets_of(config: BaseModel) -> list[str]:
    """Every secret of `config` (or of one section), longest first: whole values, and keys inside addresses.

    An address that is no secret itself (a server of one's own) may still hold a password or a key in its query.
    """
    found: set[str] = set()
    for value in _values(config):
        found.add(value)
        if "://" in value:
            found.update(part for part in _parts(value) if len(part) >= SHORTEST_PART)
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _values(node: Any) -> Iterator[str]:
    if isinstance(node, SecretStr):
        if node.get_secret_value():
            yield node.get_secret_value()
    elif isinstance(node, str):
        if "://" in node:
            yield from _keys_in(node)
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _values(getattr(node, name))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _values(item)
    elif isinstance(node, dict):
        for item in node.values():
            yield from _values(item)


def _keys_in(address: str) -> Iterator[str]:
    """Password and query of an address, and the query's values."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    found = [parts.password, parts.query, *(pair.partition("=")[2] for pair in parts.query.split("&"))]
    for part in found:
        if part and len(part) >= SHORTEST_PART:
            yield part
            yield unquote(part)


def _parts(address: str) -> Iterator[str]:
    """What follows the application (the key of RTMP addresses), the query and its values, user and password.

    Of a database only the password: its user is often called as this program is, and its options are ordinary words.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    if parts.scheme in DATABASES:
        if parts.password:
            yield parts.password
            yield unquote(parts.password)
        return
    segments = parts.path.lstrip("/").split("/", 1)
    candidates = [
        segments[1] if len(segments) > 1 else "",
        parts.query,
        parts.username,
        parts.password,
        parts.fragment,
    ]
    candidates += [pair.partition("=")[2] for pair in parts.query.split("&")]
    if segments[1:] and parts.query:
        candidates.append(f"{segments[1]}?{parts.query}")
    for candidate in candidates:
        if candidate:
            yield candidate
            yield unquote(candidate)
