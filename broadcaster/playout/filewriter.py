"""Writes encoded packets into one local file, in order and without dropping. Used off line by `render`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from broadcaster.errors import RenderError
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.packets import EncodedPacket
from broadcaster.types import SAMPLE_RATE

FORMATS = {".mp4": "mp4", ".flv": "flv", ".mkv": "matroska"}


class FileWriter:
    """Blocks as long as the disk takes. Raises RenderError for an unknown suffix or a file that cannot be written."""

    def __init__(self, path: Path, encoder: Encoder, fps: int) -> None:
        container = FORMATS.get(path.suffix.lower())
        if container is None:
            raise RenderError(f"{path}: the file name must end in one of {', '.join(FORMATS)}")
        options = {"movflags": "+faststart+use_metadata_tags"} if container == "mp4" else {}
        try:
            self._out = av.open(str(path), "w", format=container, options=options)
            self._out.metadata.update(encoder.format().metadata)
            self._streams = {
                "video": self._out.add_stream_from_template(encoder.video.stream),
                "audio": self._out.add_stream_from_template(encoder.audio.stream),
            }
            self._out.start_encoding()
        except (av.FFmpegError, OSError) as err:
            raise RenderError(f"{path} cannot be written: {err}") from err
        self._base: dict[Literal["video", "audio"], Fraction] = {
            "video": Fraction(1, fps),
            "audio": Fraction(1, SAMPLE_RATE),
        }

    def put(self, packet: EncodedPacket) -> None:
        moved = av.Packet(packet.data)
        moved.stream = self._streams[packet.kind]
        moved.time_base = self._base[packet.kind]
        moved.pts = moved.dts = packet.pts
        moved.duration = packet.duration
        moved.is_keyframe = packet.keyframe
        try:
            self._out.mux(moved)
        except av.FFmpegError as err:
            raise RenderError(f"writing failed at {packet.kind} packet {packet.pts}: {err}") from err

    def close(self) -> None:
        self._out.close()
