"""Where a PostgreSQL journal lies: the address of the configuration, taken apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from broadcaster.config.base import check_url
from broadcaster.config.secrets import DATABASES

PORT: Final = 5432
"""Where PostgreSQL listens unless told otherwise."""

SSL_MODES: Final = ("disable", "prefer", "require", "verify-full")
"""Of libpq's, those that mean something here. "require" does not ask whose certificate it is, "verify-full" does."""

_KNOWN: Final = ("host", "port", "sslmode", "sslrootcert")


@dataclass(frozen=True, slots=True)
class Server:
    """A channel's own schema in a database. As text it has no password, and no user."""

    host: str
    """A name, an address, or the folder of a UNIX socket, which begins with a slash."""
    port: int
    database: str
    user: str
    schema: str
    password: str | None = field(default=None, repr=False)
    ssl: str = "prefer"
    ca: Path | None = None
    """The authorities that may have signed the server's certificate, for verify-full; None: those of the system."""

    def __str__(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}, database {self.database}, schema {self.schema}"

    @property
    def socket(self) -> str | None:
        """The UNIX socket that the server listens at, by PostgreSQL's own convention."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None


def server_of(url: str, channel: str) -> Server:
    """The place that `url` (postgresql://user:password@host:port/database?sslmode=...) means for a channel.

    As with libpq, ?host=/folder names the folder of a UNIX socket. Raises ValueError, without the address in it.
    """
    check_url(url, DATABASES)
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(options.keys() - set(_KNOWN))
    if unknown:
        raise ValueError(f"it has options that are not known here -> use only {', '.join(_KNOWN)}")
    user = unquote(parts.username or "")
    if not user:
        raise ValueError("it names no user -> write it as postgresql://user:password@host/database")
    mode = options.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode is none of those known here -> use {', '.join(SSL_MODES)}")
    port = options.get("port", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("its port is no port -> write a number from 1 to 65535")
    certificate = options.get("sslrootcert")
    return Server(
        host=options.get("host") or unquote(parts.hostname or "localhost"),
        port=int(port) if port else parts.port or PORT,
        database=unquote(parts.path.strip("/")) or user,
        user=user,
        schema=f"broadcaster_{channel}",
        password=unquote(parts.password) if parts.password is not None else None,
        ssl=mode,
        ca=Path(certificate) if certificate else None,
    )
