"""MP3 and Opus to s16le while they arrive, FLAC as a whole: FFmpeg's decoders through PyAV.

The work is done in worker threads (`readers.sounds` sees to that), one call at a time. No container is opened for
the streams: FFmpeg's demuxers read ahead to guess what they have, which costs up to a second of sound, and their
reads cannot be cancelled. FLAC is collected first, since its parser holds ten frames back anyway.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from broadcaster.errors import VoiceError

DECODED_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of sound out of one answer: eleven minutes at 48 kHz. A piece is seconds; more is a bomb or a fault."""

_ID3_HEADER: Final = 10


class _Decoder:
    """One decoder of FFmpeg with its output as s16le, interleaved."""

    def __init__(self, codec: str) -> None:
        import av

        self._invalid = av.error.FFmpegError
        self._context: Any = av.CodecContext.create(codec, "r")
        self._convert: Any = None
        self.rate = 0
        self.channels = 0

    def packets(self, packets: Iterable[Any]) -> Iterator[bytes]:
        """What can be decoded of them; a damaged packet is left out, as every player does."""
        for packet in packets:
            try:
                frames = self._context.decode(packet)
            except self._invalid:
                continue
            for frame in frames:
                yield self.pcm(frame)

    def pcm(self, frame: Any) -> bytes:
        import av

        if self._convert is None:
            self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
            self._convert = av.AudioResampler(format="s16", layout=frame.layout, rate=frame.sample_rate)
        try:
            return b"".join(
                bytes(made.planes[0])[: made.samples * self.channels * 2] for made in self._convert.resample(frame)
            )
        except ValueError as err:
            raise VoiceError("the sound changed its form in the middle") from err


class Mp3Stream:
    """Interface of `readers.Reader`. The padding of the encoder (up to 50 ms of silence in front) stays in."""

    def __init__(self) -> None:
        self._decoder = _Decoder("mp3")
        self._head: bytearray | None = bytearray()
        self._skip = 0

    @property
    def rate(self) -> int:
        return self._decoder.rate

    @property
    def channels(self) -> int:
        return self._decoder.channels

    def feed(self, data: bytes) -> bytes:
        data = self._without_tag(data)
        return b"".join(self._decoder.packets(self._decoder._context.parse(data))) if data else b""

    def finish(self) -> bytes:
        context = self._decoder._context
        return b"".join(self._decoder.packets([*context.parse(), None]))

    def _without_tag(self, data: bytes) -> bytes:
        """Leaves an ID3v2 tag out: its text or picture may look like the beginning of a frame."""
        if self._head is not None:
            self._head += data
            if len(self._head) < _ID3_HEADER and b"ID3".startswith(self._head[:3]):
                return b""
            data, self._head = bytes(self._head), None
            if data.startswith(b"ID3") and len(data) >= _ID3_HEADER:
                size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
                self._skip = _ID3_HEADER + size
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        return data


class OpusStream:
    """Interface of `readers.Reader`, for Opus in Ogg: always 48 kHz."""

    def __init__(self) -> None:
        self._decoder = _Decoder("opus")
        self._ogg = _OggPackets()
        self._number = 0
        self._skip = 0

    @property
    def rate(self) -> int:
        return self._decoder.rate

    @property
    def channels(self) -> int:
        return self._decoder.channels

    def feed(self, data: bytes) -> bytes:
        """Raises VoiceError when this is no Opus in Ogg."""
        return b"".join(self._packet(packet) for packet in self._ogg.feed(data))

    def finish(self) -> bytes:
        return b"".join(self._decoder.packets([None])) if self._number > 2 else b""

    def _packet(self, packet: bytes) -> bytes:
        import av

        self._number += 1
        if self._number == 1:
            if not packet.startswith(b"OpusHead") or len(packet) < 19:
                raise VoiceError("the server sent no Opus -> check the format it is asked for")
            self._decoder._context.extradata = packet
            self._skip = int.from_bytes(packet[10:12], "little") * packet[9] * 2
            return b""
        if self._number == 2:
            return b""  # tags
        sound = b"".join(self._decoder.packets([av.Packet(packet)]))
        skipped = min(self._skip, len(sound))
        self._skip -= skipped
        return sound[skipped:]


class _OggPackets:
    """Packets of the one stream in an Ogg file, by the lacing values of its pages (RFC 3533), each as soon as it is
    complete: a page may hold a whole second."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._lacing: deque[int] = deque()
        """Lengths of the segments still to come in this page."""
        self._packet = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._data += data
        while self._lacing or self._page():
            length = self._lacing[0]
            if len(self._data) < length:
                return
            self._packet += self._data[:length]
            del self._data[:length]
            self._lacing.popleft()
            if length < 255:
                yield self._packet
                self._packet = b""

    def _page(self) -> bool:
        """Whether the header of the next page is there; takes it."""
        if not b"OggS".startswith(self._data[:4]):
            raise VoiceError("the server sent no Ogg -> check the format it is asked for")
        if len(self._data) < 27 or len(self._data) < 27 + self._data[26]:
            return False
        end = 27 + self._data[26]
        self._lacing.extend(self._data[27:end])
        del self._data[:end]
        return True


class WholeFile:
    """Interface of `readers.Reader` for everything else FFmpeg knows: nothing comes out before the end."""

    def __init__(self) -> None:
        self.rate = 0
        self.channels = 0
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def finish(self) -> bytes:
        """Raises VoiceError when it cannot be decoded."""
        if not self._data:
            return b""
        pcm, self.rate, self.channels = decoded(bytes(self._data))
        return pcm


def decoded(data: bytes) -> tuple[bytes, int, int]:
    """A whole sound file of any form FFmpeg knows: (s16le, rate, channels). Blocks; raises VoiceError."""
    import av

    try:
        with av.open(io.BytesIO(data), "r") as container:
            if not container.streams.audio:
                raise VoiceError("there is no sound in the file that the server sent")
            decoder = _Decoder(container.streams.audio[0].codec_context.name)
            made = bytearray()
            for frame in container.decode(audio=0):
                made += decoder.pcm(frame)
                if len(made) > DECODED_LIMIT:
                    raise VoiceError("the server sent far more sound than the text has", retryable=False)
    except av.error.FFmpegError as err:
        raise VoiceError("the sound that the server sent cannot be decoded") from err
    return bytes(made), decoder.rate, decoder.channels
