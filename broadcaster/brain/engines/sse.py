"""Server-sent events out of a stream of bytes that is cut anywhere. Pure but for the stream it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

LINE_LIMIT: Final = 1 << 20
"""Bytes of one line: a real one has hundreds."""


async def data_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each event, without its name; comments and events without data are left out. ValueError for a line
    that never ends, or is no UTF-8. An event that the end of the stream cuts off is not told."""
    line = bytearray()
    data: list[str] = []
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            line += part
            text = line.removesuffix(b"\r").decode()
            line.clear()
            if text.startswith("data:"):
                data.append(text.removeprefix("data:").removeprefix(" "))
            elif not text:
                if any(data):
                    yield "\n".join(data)
                data.clear()
        line += rest
        if len(line) > LINE_LIMIT:
            raise ValueError("an event without an end")
