"""Messages as bytes: 4-byte big-endian length, then one msgpack'd struct; and speech in its wire form.

The sync `Connection` serves thread-per-peer processes (playout, head, voice); asyncio processes use
`read_message` and `encode`.

The parent imports this module and must stay small: numpy is imported where speech is unpacked, not here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from broadcaster.errors import WireError
from broadcaster.wire.messages import AnyMessage

if TYPE_CHECKING:
    from broadcaster.types import Speech

MAX_MESSAGE: Final = 16 * 1024 * 1024
"""A 1080p mouth patch is 0.5 MB and a 30 s piece of speech 2.9 MB; more than this is a broken peer."""

_LENGTH: Final = struct.Struct(">I")

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """Length prefix and body of one message. Raises WireError for one that no peer would take."""
    body = _encoder.encode(message)
    if len(body) > MAX_MESSAGE:
        raise WireError(f"a {type(message).__name__} of {len(body)} bytes is over the limit of {MAX_MESSAGE}")
    return _LENGTH.pack(len(body)) + body


def decode(body: bytes | memoryview) -> AnyMessage:
    """One message from its body. Raises WireError for anything that is not one."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise WireError(f"undecodable message of {len(body)} bytes: {err}") from err


def _checked_length(prefix: bytes) -> int:
    length: int = _LENGTH.unpack(prefix)[0]
    if length > MAX_MESSAGE:
        raise WireError(f"a message of {length} bytes is over the limit of {MAX_MESSAGE}")
    return length


async def read_message(reader: asyncio.StreamReader) -> AnyMessage | None:
    """The next message, or None at a clean end of stream."""
    try:
        prefix = await reader.readexactly(_LENGTH.size)
        return decode(await reader.readexactly(_checked_length(prefix)))
    except asyncio.IncompleteReadError as err:
        if err.partial:
            raise WireError("the peer closed in the middle of a message") from err
        return None


class Connection:
    """Blocking message stream over a connected socket; `send` may be called from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._write = threading.Lock()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: AnyMessage) -> None:
        """Raises OSError when the peer is gone (or a send time-out set on the socket has passed)."""
        data = encode(message)
        with self._write:
            self._sock.sendall(data)

    def receive(self) -> AnyMessage | None:
        """Blocks for the next message; None when the peer has closed."""
        prefix = self._exactly(_LENGTH.size)
        if prefix is None:
            return None
        body = self._exactly(_checked_length(bytes(prefix)))
        if body is None:
            raise WireError("the peer closed in the middle of a message")
        return decode(memoryview(body))

    def close(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was first
        self._sock.close()

    def _exactly(self, count: int) -> bytearray | None:
        buffer = bytearray(count)
        view = memoryview(buffer)
        got = 0
        while got < count:
            read = self._sock.recv_into(view[got:])
            if read == 0:
                if got == 0:
                    return None
                raise WireError("the peer closed in the middle of a message")
            got += read
        return buffer


def pack_speech(speech: Speech) -> tuple[bytes, list[tuple[str, str, int, int]]]:
    """PCM and phones in their wire form."""
    phones = [(p.symbol, p.viseme.value, p.start, p.end) for p in speech.phones]
    return speech.pcm.astype("<i2", copy=False).tobytes(), phones


def unpack_speech(pcm: bytes, phones: list[tuple[str, str, int, int]]) -> Speech:
    import numpy as np

    from broadcaster.types import Phone, Speech, Viseme

    track = tuple(Phone(symbol, Viseme(viseme), start, end) for symbol, viseme, start, end in phones)
    return Speech(np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False), track)
