"""The header of a WAV file that is still being written, as servers stream it. Pure.

`wave` cannot read one: the size of the data is 0 or 0xFFFFFFFF there, because nobody knows it yet, and the header
itself may come in several pieces. Rate and channels of the header are trusted; the sound must be 16-bit PCM.
"""

from __future__ import annotations

import struct
from typing import Final

from broadcaster.errors import VoiceError

HEADER_LIMIT: Final = 64 * 1024
"""A `data` chunk that begins later than this is not coming: the largest headers carry a picture of some kB."""

OPEN_END: Final = 0x7FFF_0000
"""Sizes from here on mean "until the end": writers to a pipe put 0xFFFFFFFF there, or the largest positive one."""

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE


class WavStream:
    """Takes a WAV stream apart. `rate` and `channels` are 0 until the header is complete."""

    def __init__(self) -> None:
        self.rate = 0
        self.channels = 0
        self._head: bytearray | None = bytearray()
        self._left: int | None = None
        """Bytes of sound still to come; None when the header does not tell."""

    def feed(self, data: bytes) -> bytes:
        """The bytes of sound in `data`, s16le, interleaved; may end inside a sample.

        What follows the sound (a LIST chunk) is left out. Raises VoiceError when this is no WAV, or not 16-bit PCM.
        """
        if self._head is not None:
            self._head += data
            start = self._parse(bytes(self._head))
            if start is None:
                if len(self._head) > HEADER_LIMIT:
                    raise VoiceError("the WAV header does not end -> check what answers at that address")
                return b""
            data = bytes(self._head[start:])
            self._head = None
        if self._left is None:
            return data
        sound = data[: self._left]
        self._left -= len(sound)
        return sound

    def finish(self) -> None:
        """Raises VoiceError when less came than the header promised; a header without a size promises nothing."""
        if self._head is not None:
            if self._head:
                raise VoiceError("the answer ended inside the WAV header")
        elif self._left:
            raise VoiceError(f"the sound was cut off: {self._left} bytes of it did not come")

    def _parse(self, head: bytes) -> int | None:
        """Where the sound begins; None while the header is not complete."""
        if not b"RIFF".startswith(head[:4]):
            raise VoiceError("the server sent no WAV -> check its address and the format it is asked for")
        if len(head) < 12:
            return None
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            raise VoiceError("the server sent no WAV -> check its address and the format it is asked for")
        at = 12
        while len(head) >= at + 8:
            name, size = struct.unpack_from("<4sI", head, at)
            body = at + 8
            if name == b"data":
                if not self.rate:
                    raise VoiceError("the WAV header has no format")
                self._left = size if 0 < size < OPEN_END else None
                return body
            if name == b"fmt ":
                if len(head) < body + max(16, min(size, 40)):
                    return None
                self._format(head[body : body + size])
            at = body + size + size % 2
        return None

    def _format(self, chunk: bytes) -> None:
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
        if kind == _EXTENSIBLE and len(chunk) >= 26:
            kind = struct.unpack_from("<H", chunk, 24)[0]
        if kind != _PCM or bits != 16:
            raise VoiceError(
                f"the WAV is not 16-bit PCM (format {kind}, {bits} bits) -> let the server make 16-bit PCM",
                retryable=False,
            )
        if channels == 0 or rate == 0:
            raise VoiceError("the WAV header names no channels or no rate", retryable=False)
        self.rate, self.channels = rate, channels
