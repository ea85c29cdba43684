"""What the encoder hands to the fan-out, and the templates for every sink child. The encoder's thread."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from broadcaster.media import FORMAT, TEMPLATES, EncodedPacket, StreamFormat, pack_blob

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

__all__ = ["EncodedPacket", "StreamFormat", "preamble"]

_ACCESS_UNIT_DELIMITER: Final = b"\x00\x00\x00\x01\x09\xf0"
_EMPTY_AAC: Final = b"\x21\x10"


def preamble(form: StreamFormat, video: VideoStream, audio: AudioStream) -> bytes:
    """Everything a sink child reads before its first packet.

    A NUT file without a packet is refused by its demuxer, so each stream carries one that nobody plays.
    """
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="nut") as nut:
        streams = (nut.add_stream_from_template(video), nut.add_stream_from_template(audio))
        for stream, data in zip(streams, (_ACCESS_UNIT_DELIMITER, _EMPTY_AAC), strict=True):
            nut.start_encoding()
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = Fraction(1, form.fps)
            packet.pts = packet.dts = 0
            packet.is_keyframe = True
            nut.mux_one(packet)
    return pack_blob(FORMAT, form.to_json()) + pack_blob(TEMPLATES, out.getvalue())
