"""What a channel and an engine server say to each other, and how it looks on their UNIX stream socket.

    server  ──Hello──────────────────────────────> whoever connects
    channel ──Open (with the latents' file)──────> server      once, first
    channel ──Begin, Hear, Rewind, Ask, Flush────> server
    server  ──Opened, Made, Lost, Failed─────────> channel
    command ──Query──────────────────────────────> server      instead of Open, as often as wanted; State answers it

A message is a 4-byte big-endian length and one msgpack'd struct, as in `broadcaster.wire`. The latents travel as an
open file (SCM_RIGHTS) beside the first bytes of Open: a server under another user need not be able to find it.
No torch, no numpy, no I/O.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

import msgspec

from broadcaster.errors import WireError
from broadcaster.head.musetalk.faces import FACE_SIZE

PROTOCOL: Final = 1
"""Raised by whatever an older peer would misunderstand."""

MAX_TO_SERVER: Final = 4 * 1024 * 1024
"""30 s of sound are 2.9 MB; more than this in one message is a broken peer."""

MAX_TO_CLIENT: Final = 16 * 1024 * 1024
"""A batch of 16 faces is 3.1 MB."""

MOST_WANTED: Final = 1024
"""Faces in one question; a session may have far fewer on the way."""

FACE_BYTES: Final = FACE_SIZE * FACE_SIZE * 3

_LENGTH: Final = struct.Struct(">I")


class _Message(msgspec.Struct, frozen=True, tag=True, tag_field="$"):
    """The struct's name is its tag on the wire."""


class Hello(_Message, frozen=True):
    """What the server has: `fingerprint` names the image coder's weights, which latents must fit."""

    protocol: int
    version: str
    fingerprint: str
    device: str
    batch: int


class Open(_Message, frozen=True):
    """A channel that wants faces of one avatar. `channel` is its name for people; "" fingerprint: not known."""

    protocol: int
    channel: str
    version: str
    fingerprint: str


class Opened(_Message, frozen=True):
    """The avatar is on the device."""

    batch: int
    rows: int
    bound: int
    """Faces that the channel may have asked for and not yet got."""
    patience_s: float
    """Without an answer to what was asked for so long, the device hangs."""


class Begin(_Message, frozen=True):
    """A new utterance; `number` rises, and comes back with its faces."""

    number: int


class Hear(_Message, frozen=True):
    """s16le mono 48 kHz, joined to what was heard before."""

    pcm: bytes


class Rewind(_Message, frozen=True):
    sample: int


class Ask(_Message, frozen=True):
    """(key, step, row) of each face, in order; see `faces.Wanted`."""

    wanted: Annotated[list[tuple[int, int, int]], msgspec.Meta(max_length=MOST_WANTED)]


class Flush(_Message, frozen=True):
    """What has been asked for waits for no other face."""


class Made(_Message, frozen=True):
    """Faces in the order asked: `pixels` has FACE_BYTES for each key."""

    number: int
    keys: list[int]
    pixels: bytes


class Lost(_Message, frozen=True):
    """Faces that will not come: void since `Begin`, or asked for beyond the bound. Every face that is asked for is
    answered once, in Made or here."""

    number: int
    keys: list[int]


class Failed(_Message, frozen=True):
    """The session is over; the connection closes behind it. `fault`: "asset" (the latents, or what they were made
    for), "busy" (no room now), "client" (nonsense, or too slow), "server" (its device failed, or it stops)."""

    fault: str
    reason: str


class Query(_Message, frozen=True):
    """Asks for State."""


class SessionState(_Message, frozen=True):
    channel: str
    pid: int
    avatar: str
    """Twelve hex digits of the latents' sha256."""
    rows: int
    seconds: float
    """Since it was opened."""
    asked: int
    made: int
    void: int
    """Begun anew before they were made, or while they were."""
    lost: int
    waiting: int
    wait_ms: float
    """Mean time from asking for a face to its being on the way, over the last second with faces."""


class State(_Message, frozen=True):
    device: str
    version: str
    decoder: str
    note: str
    """What the operator should know about the speed."""
    batch: int
    uptime_s: float
    sessions: list[SessionState]
    avatars: int
    """In memory on the device, with those that no session uses any more."""
    latents_mb: float
    latents_limit_mb: float
    batches: int
    faces: int
    faces_per_s: float
    """Over the last second of work."""
    fill: float
    """Mean share of a batch that was asked for by somebody, over the last second of work; the rest is padding."""
    batch_ms: float
    """Mean time of one batch from its start to its pictures in memory, over the last second of work."""
    refused: int
    """Connections that were turned away or ended for a fault of theirs."""


ToServer = Open | Begin | Hear | Rewind | Ask | Flush | Query
ToClient = Hello | Opened | Made | Lost | Failed | State

_encoder = msgspec.msgpack.Encoder()
_to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
_to_client: msgspec.msgpack.Decoder[ToClient] = msgspec.msgpack.Decoder(ToClient)


_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: its own errors, and Python's for text that is no UTF-8 and for lists in lists without end."""


def encode(message: ToServer | ToClient) -> bytearray:
    """Length prefix and body."""
    data = bytearray(_LENGTH.size)
    _encoder.encode_into(message, data, _LENGTH.size)
    _LENGTH.pack_into(data, 0, len(data) - _LENGTH.size)
    return data


class Incoming:
    """Bytes as they come -> messages. `limit`: of one message; what is larger is never collected."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def body(self) -> memoryview | None:
        """The next whole message's bytes, or None. Raises WireError for one over the limit."""
        if len(self._buffer) < _LENGTH.size:
            return None
        length: int = _LENGTH.unpack_from(self._buffer)[0]
        if length > self._limit:
            raise WireError(f"a message of {length} bytes is over the limit of {self._limit}")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = memoryview(bytes(self._buffer[_LENGTH.size : end]))
        del self._buffer[:end]
        return body


def from_client(body: memoryview) -> ToServer:
    """Raises WireError."""
    try:
        return _to_server.decode(body)
    except _UNDECODABLE as err:
        raise WireError(f"an undecodable message of {len(body)} bytes: {err}") from err


def from_server(body: memoryview) -> ToClient:
    """Raises WireError."""
    try:
        return _to_client.decode(body)
    except _UNDECODABLE as err:
        raise WireError(f"an undecodable message of {len(body)} bytes: {err}") from err
