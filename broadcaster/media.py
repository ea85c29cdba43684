"""Encoded packets and their framing on the pipe from playout to a sink child. Pure; used in both processes.

The pipe carries frames: a fixed head (`_HEAD`) and its payload. The first frame is the format (JSON), the second
the templates (a tiny NUT file with the parameter sets, from which a muxer copies its streams), then one frame for
each packet. Packets are Annex B H.264 and raw AAC, as the encoders make them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from broadcaster.errors import WireError

AUDIO_RATE: Final = 48_000
"""Audio pts and durations are counted in samples of this rate (as `types.SAMPLE_RATE`, without numpy)."""

MAX_FRAME: Final = 8 * 1024 * 1024
"""A 1080p key frame is below 1 MB; more than this is a broken stream."""

_HEAD: Final = struct.Struct(">cBIqiq")  # kind, key frame, payload bytes, pts, duration, wall_ns
HEAD_BYTES: Final = _HEAD.size

FORMAT: Final = b"F"
TEMPLATES: Final = b"T"
VIDEO: Final = b"V"
AUDIO: Final = b"A"

Kind = Literal["video", "audio"]


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One H.264 or AAC packet. dts equals pts (there are no B-frames).

    `pts` and `duration` are ticks (1/fps s) for video and samples (1/48000 s) for audio; `wall_ns` is wall-clock
    time, for the names of recordings and nothing else.
    """

    kind: Kind
    pts: int
    duration: int
    keyframe: bool
    data: bytes = field(repr=False)
    wall_ns: int


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What every sink needs to know of the encoded stream. Bit rates in bit/s; `metadata` goes into containers."""

    width: int
    height: int
    fps: int
    video_extradata: bytes = field(repr=False)
    audio_extradata: bytes = field(repr=False)
    video_bitrate: int
    audio_bitrate: int
    metadata: dict[str, str]

    def to_json(self) -> bytes:
        return json.dumps(
            {
                "width": self.width,
                "height": self.height,
                "fps": self.fps,
                "video_extradata": self.video_extradata.hex(),
                "audio_extradata": self.audio_extradata.hex(),
                "video_bitrate": self.video_bitrate,
                "audio_bitrate": self.audio_bitrate,
                "metadata": self.metadata,
            }
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> StreamFormat:
        fields = json.loads(data)
        fields["video_extradata"] = bytes.fromhex(fields["video_extradata"])
        fields["audio_extradata"] = bytes.fromhex(fields["audio_extradata"])
        return cls(**fields)


def pack_blob(kind: bytes, payload: bytes) -> bytes:
    """A FORMAT or TEMPLATES frame."""
    return _HEAD.pack(kind, 0, len(payload), 0, 0, 0) + payload


def pack_head(packet: EncodedPacket) -> bytes:
    """The head of a packet's frame; the payload is `packet.data`, written behind it without a copy."""
    kind = VIDEO if packet.kind == "video" else AUDIO
    return _HEAD.pack(kind, packet.keyframe, len(packet.data), packet.pts, packet.duration, packet.wall_ns)


class FrameParser:
    """Cuts the byte stream back into frames; bytes may arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0

    def feed(self, data: bytes) -> None:
        if self._offset:
            del self._buffer[: self._offset]
            self._offset = 0
        self._buffer += data

    def frames(self) -> Iterator[tuple[bytes, EncodedPacket | bytes]]:
        """(kind, packet or payload) of every whole frame in hand. Raises WireError for what is not a frame."""
        while len(self._buffer) - self._offset >= HEAD_BYTES:
            kind, key, size, pts, duration, wall_ns = _HEAD.unpack_from(self._buffer, self._offset)
            if size > MAX_FRAME or kind not in (FORMAT, TEMPLATES, VIDEO, AUDIO):
                raise WireError(f"not a media frame: kind {kind!r}, {size} bytes")
            start = self._offset + HEAD_BYTES
            if len(self._buffer) - start < size:
                return
            payload = bytes(memoryview(self._buffer)[start : start + size])
            self._offset = start + size
            if kind == VIDEO:
                yield kind, EncodedPacket("video", pts, duration, bool(key), payload, wall_ns)
            elif kind == AUDIO:
                yield kind, EncodedPacket("audio", pts, duration, bool(key), payload, wall_ns)
            else:
                yield kind, payload
