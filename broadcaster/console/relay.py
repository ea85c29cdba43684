"""Carries a preview sink's fragmented MP4 from its UNIX socket to websockets. Director process, event loop only.

The sink child sends each client what it needs to begin (codec, init segment, the group of pictures so far) and then
every fragment. One upstream connection per page: a page that cannot keep up is cut off alone, and begins afresh.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from broadcaster.errors import WireError

CODEC: Final = b"C"
INIT: Final = b"I"
KEY: Final = b"K"
DELTA: Final = b"D"
KINDS: Final = frozenset((CODEC[0], INIT[0], KEY[0], DELTA[0]))

MAX_FRAGMENT: Final = 16 * 1024 * 1024
"""A 1080p key fragment is well under 1 MB; more than this is not a preview socket."""

READ_AHEAD: Final = 256 * 1024
"""What may wait here for one page; the rest waits in the sink, which has a bound and drops the page."""

CONNECT_TIMEOUT_S: Final = 2.0

SINK_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")

_LENGTH: Final = struct.Struct(">I")


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError (TimeoutError included) when no preview sink listens on `path`."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        return await asyncio.open_unix_connection(str(path), limit=READ_AHEAD)


async def fragments(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Each message as kind byte + payload, until the sink ends. Raises WireError for anything that is not framing."""
    while True:
        try:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            if not 1 <= length <= MAX_FRAGMENT:
                raise WireError(f"a preview fragment of {length} bytes (1 to {MAX_FRAGMENT} are possible)")
            message = await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        if message[0] not in KINDS:
            raise WireError(f"a preview fragment of unknown kind {message[:1]!r}")
        yield message
