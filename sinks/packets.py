"""A sink child's input: packets out of the pipe, put on a time line that starts at 0, and written by a libav muxer.

The child's main thread.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from broadcaster.errors import SinkError, SinkFailure, WireError
from broadcaster.media import AUDIO_RATE, FORMAT, TEMPLATES, EncodedPacket, FrameParser, StreamFormat

if TYPE_CHECKING:
    from av.container.output import OutputContainer

READ_BYTES: Final = 256 * 1024


class PacketReader:
    """Reads the pipe `fd`. The format and the templates are there once it is made. Raises SinkError without them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parser = FrameParser()
        self._ready: list[EncodedPacket] = []
        self.templates = b""
        form = None
        while form is None or not self.templates:
            data = os.read(fd, READ_BYTES)
            if not data:
                raise SinkError("the stream ended before it began", SinkFailure.INTERNAL)
            self._parser.feed(data)
            for kind, content in self._frames():
                if isinstance(content, EncodedPacket):
                    self._ready.append(content)
                elif kind == FORMAT:
                    form = StreamFormat.from_json(content)
                elif kind == TEMPLATES:
                    self.templates = content
        self.format = form

    def fileno(self) -> int:
        return self._fd

    def read(self) -> list[EncodedPacket] | None:
        """The next packets (perhaps none whole yet); blocks for some bytes. None at the end of the stream."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        data = os.read(self._fd, READ_BYTES)
        if not data:
            return None
        self._parser.feed(data)
        return [content for _, content in self._frames() if isinstance(content, EncodedPacket)]

    def batches(self) -> Iterator[list[EncodedPacket]]:
        """Blocks for each batch; ends with the stream."""
        while (batch := self.read()) is not None:
            yield batch

    def _frames(self) -> Iterator[tuple[bytes, EncodedPacket | bytes]]:
        try:
            yield from self._parser.frames()
        except WireError as err:
            raise SinkError(str(err), SinkFailure.INTERNAL) from err


class Rebase:
    """Shifts packets so that the first key frame is at 0. What is before it is dropped, sound included:
    a negative time would make a muxer shift everything by one AAC frame."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._ticks: int | None = None
        self._samples = 0

    @property
    def started(self) -> bool:
        return self._ticks is not None

    def pts(self, packet: EncodedPacket) -> int | None:
        """The packet's pts, in its own unit, on the new time line; None for what is before it."""
        if packet.kind == "video":
            if self._ticks is None:
                if not packet.keyframe:
                    return None
                self._ticks = packet.pts
                self._samples = packet.pts * AUDIO_RATE // self._fps
            return packet.pts - self._ticks
        if self._ticks is None or packet.pts < self._samples:
            return None
        return packet.pts - self._samples


class Muxer:
    """A libav output with one H.264 and one AAC stream copied from the templates. Opening writes the header.

    Errors of libav (OSError and its kind) come through untranslated: what they mean depends on the sink.
    """

    def __init__(
        self,
        target: str,
        container: str,
        reader: PacketReader,
        options: Mapping[str, str],
    ) -> None:
        import av

        self._packet = av.Packet
        with av.open(
            io.BytesIO(reader.templates), format="nut", options={"probesize": "32", "analyzeduration": "0"}
        ) as source:
            self._out: OutputContainer = av.open(target, "w", format=container, options=dict(options))
            video = self._out.add_stream_from_template(source.streams.video[0])
            audio = self._out.add_stream_from_template(source.streams.audio[0])
            self._streams: Final = {"video": video, "audio": audio}
            self._out.metadata.update(reader.format.metadata)
            self._out.start_encoding()

            self._scales: Final = {
                "video": _scale(Fraction(1, reader.format.fps), video.time_base),
                "audio": _scale(Fraction(1, AUDIO_RATE), audio.time_base),
            }

    def write(self, packet: EncodedPacket, pts: int) -> None:
        """`pts` is the packet's on the output's own time line (see `Rebase`), in ticks or samples."""
        up, down = self._scales[packet.kind]
        out = self._packet(packet.data)
        # Rescaled here: a packet without a time base is taken as it is, and libav's own conversion costs more.
        out.pts = out.dts = (2 * pts * up + down) // (2 * down)
        out.duration = packet.duration * up // down
        out.is_keyframe = packet.keyframe
        out.stream = self._streams[packet.kind]
        self._out.mux_one(out)

    def close(self) -> None:
        self._out.close()


def _scale(unit: Fraction, time_base: Fraction | None) -> tuple[int, int]:
    """(multiply by, divide by) to come from counts of `unit` to the muxer's time base."""
    assert time_base is not None
    ratio = unit / time_base
    return ratio.numerator, ratio.denominator
