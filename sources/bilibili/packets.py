"""The framing of Bilibili's websocket: packets behind a header of 16 bytes, packed into one another. Pure.

Everything in a frame comes from outside: sizes, depth and number are bounded, and what is wrong in one frame costs
the rest of that frame only, for the next one begins anew. Facts: the header and the operations are those of the
platform's document "long connection"; that the echo behind the answer to a heartbeat is not counted was seen on the
wire (the test vectors are real frames).
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

HEADER: Final = struct.Struct(">I2H2I")
"""Length with the header, length of the header, version, operation, sequence number."""

MAX_FRAME: Final = 1 << 20
"""Bytes of one frame of the websocket. Real ones have some kilobytes; the library closes on a longer one."""

MAX_UNPACKED: Final = 4 << 20
"""Bytes of all that one frame may unpack to: a bomb is given up here."""

MAX_DEPTH: Final = 3
"""Packed packets in packed packets. The platform packs once."""

MAX_PACKETS: Final = 10_000
"""Of one frame, the empty ones included."""

MAX_PACKED: Final = 64
"""Packed packets of one frame; the platform sends one. Each may cost the decompressor 7 ms of setting up before a
byte comes out (measured with brotli), however small it is."""

STEP: Final = 1 << 16
"""Bytes that are asked of a decompressor at a time; brotli gives up to twice as many."""


class Operation(IntEnum):
    """What a packet is for."""

    BEAT = 2
    BEAT_REPLY = 3
    MESSAGE = 5
    AUTH = 7
    AUTH_REPLY = 8


class Version(IntEnum):
    """What a body is."""

    PLAIN = 0
    NUMBER = 1  # also what a client sends
    ZLIB = 2
    BROTLI = 3


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet that is packed no more. `operation` may be one that `Operation` does not know."""

    operation: int
    body: bytes = field(repr=False)


def pack(operation: Operation, body: bytes = b"") -> bytes:
    """A packet as a client sends it."""
    return HEADER.pack(HEADER.size + len(body), HEADER.size, Version.NUMBER, operation, 1) + body


class Unpacker:
    """Takes frames apart. `faults` counts what was wrong with them, by reason."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        """`bad_length`, `truncated`, `bad_compression`, `bomb`, `too_deep`, `too_many`, `unknown_version`."""

    def unpack(self, frame: bytes) -> list[Packet]:
        """All packets of a frame, unpacked, in their order; never raises. What is wrong is left out and counted."""
        found: list[Packet] = []
        self._read(frame, _Room(), 0, found)
        return found

    def _read(self, data: bytes, room: _Room, depth: int, found: list[Packet]) -> None:
        at = 0
        while at < len(data):
            if len(data) - at < HEADER.size:
                self.faults["truncated"] += 1
                return
            length, head, version, operation, _ = HEADER.unpack_from(data, at)
            if head < HEADER.size or length < head:
                self.faults["bad_length"] += 1
                return
            if length > len(data) - at:
                self.faults["truncated"] += 1
                return
            if room.packets == 0:
                self.faults["too_many"] += 1
                return
            room.packets -= 1
            body = data[at + head : at + length]
            at += length
            if version in (Version.PLAIN, Version.NUMBER):
                found.append(Packet(operation, body))
            elif version not in (Version.ZLIB, Version.BROTLI):
                self.faults["unknown_version"] += 1
            elif depth >= MAX_DEPTH:
                self.faults["too_deep"] += 1
            elif room.packed == 0:
                self.faults["too_many"] += 1
            elif room.bytes == 0:
                self.faults["bomb"] += 1  # one was given up in this frame, or all of its room is used up
            else:
                room.packed -= 1
                self._read(self._unpacked(version, body, room), room, depth + 1, found)
            if operation == Operation.BEAT_REPLY:
                return  # the echo of our heartbeat follows, uncounted

    def _unpacked(self, version: int, body: bytes, room: _Room) -> bytes:
        """The inside of a packed body, as far as it goes; nothing of one that would become too large."""
        try:
            inside, whole = _inflated(body, room.bytes) if version == Version.ZLIB else _unbrotlied(body, room.bytes)
        except _Broken:
            self.faults["bad_compression"] += 1
            return b""
        if len(inside) > room.bytes:
            room.bytes = 0
            self.faults["bomb"] += 1
            return b""
        room.bytes -= len(inside)
        if not whole:
            self.faults["bad_compression"] += 1
        return inside


@dataclass(slots=True)
class _Room:
    """What one frame may still unpack to."""

    bytes: int = MAX_UNPACKED
    packets: int = MAX_PACKETS
    packed: int = MAX_PACKED


class _Broken(Exception):
    """This was never packed, or not so."""


def _inflated(body: bytes, limit: int) -> tuple[bytes, bool]:
    """(at most one byte more than `limit`, whether that was all)."""
    unpacking = zlib.decompressobj()
    try:
        inside = unpacking.decompress(body, limit + 1)
    except zlib.error as err:
        raise _Broken from err
    return inside, unpacking.eof


def _unbrotlied(body: bytes, limit: int) -> tuple[bytes, bool]:
    """(at most some steps more than `limit`, whether that was all)."""
    import brotli  # here: who never sees a frame of brotli needs none of it

    unpacking = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while size <= limit:
            part = unpacking.process(rest, output_buffer_limit=STEP)
            rest = b""
            parts.append(part)
            size += len(part)
            if unpacking.is_finished() or (not part and unpacking.can_accept_more_data()):
                break
    except brotli.error as err:
        raise _Broken from err
    return b"".join(parts), unpacking.is_finished()
