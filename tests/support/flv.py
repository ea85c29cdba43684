"""Reads an FLV byte stream tag by tag: what a muxer really wrote, timestamps unwrapped by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

AUDIO: Final = 8
VIDEO: Final = 9
SCRIPT: Final = 18
HEADER: Final = 13
"""File header and the first PreviousTagSize."""


@dataclass(frozen=True, slots=True)
class Tag:
    """`time_ms` is the 32-bit timestamp as written; `config`: no media but a sequence header or its end."""

    kind: int
    time_ms: int
    key: bool
    config: bool
    size: int


class FlvReader:
    """Fed with bytes as they are written; a file-like object for a muxer (`write` only, so no seeking back)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = HEADER

    def write(self, data: bytes) -> int:
        self._buffer += data
        return len(data)

    def tags(self) -> Iterator[Tag]:
        """Takes every complete tag that has arrived since the last call."""
        at = 0
        view = self._buffer
        if self._skip:
            if len(view) < self._skip:
                return
            at, self._skip = self._skip, 0
        found: list[Tag] = []
        while len(view) - at >= 11:
            kind = view[at]
            size = int.from_bytes(view[at + 1 : at + 4], "big")
            low = int.from_bytes(view[at + 4 : at + 7], "big")
            if len(view) - at < 11 + size + 4:
                break
            body = at + 11
            key = kind == VIDEO and size > 0 and view[body] >> 4 == 1
            config = kind in (AUDIO, VIDEO) and size > 1 and view[body + 1] != 1
            found.append(Tag(kind, view[at + 7] << 24 | low, key, config, size))
            at = body + size + 4
        del self._buffer[:at]
        yield from found
