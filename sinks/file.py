"""Records to disk in segments that begin at key frames and survive a kill at any byte. A sink child.

Fragmented MP4 is playable up to its last whole GOP, FLV up to its last whole packet. Files are named with the UTC
time of their first picture: `NAME-20260131T235959Z.mp4`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final

from broadcaster.errors import SinkError, SinkFailure
from broadcaster.media import AUDIO_RATE, EncodedPacket, StreamFormat
from sinks.packets import Muxer, PacketReader, Rebase
from sinks.report import Report

OPTIONS: Final = {
    # use_metadata_tags: without it the MP4 muxer drops keys that it does not know, AIGC among them.
    # frag_discont and avoid_negative_ts: without both the muxer moves the first packet of each track to 0, which
    # puts the sound of a segment early by up to one AAC frame.
    "mp4": {
        "movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont+use_metadata_tags",
        "avoid_negative_ts": "disabled",
        "flush_packets": "1",
    },
    "flv": {"flush_packets": "1"},
}
GUARD_S: Final = 2.0
"""How often room and age are looked at, at key frames."""
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    name: str
    directory: Path
    format: str
    segment_s: float
    segment_bytes: int
    keep_s: float
    keep_bytes: int
    min_free_bytes: int

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Settings:
        def number(key: str) -> float:
            return float(str(settings.get(key, 0)))

        return cls(
            name=str(settings["name"]),
            directory=Path(str(settings["directory"])).expanduser(),
            format=str(settings.get("format", "mp4")),
            segment_s=number("segment_minutes") * 60,
            segment_bytes=int(number("segment_mb") * MB),
            keep_s=number("keep_hours") * 3600,
            keep_bytes=int(number("keep_gb") * 1000 * MB),
            min_free_bytes=int(number("min_free_mb") * MB),
        )


class FileSink:
    """settings: name, directory, format, segment_minutes, segment_mb, keep_hours, keep_gb, min_free_mb (0: none)."""

    def __init__(self, settings: Mapping[str, object], report: Report) -> None:
        self._settings = Settings.of(settings)
        self._report = report
        self._shelf = Shelf(self._settings)
        self._segment: Segment | None = None
        self._closing: Segment | None = None
        self._looked_at = 0.0

    def run(self, packets: PacketReader, stop: Event) -> None:
        try:
            self._settings.directory.mkdir(parents=True, exist_ok=True)
            self._shelf.tidy(None)
            self._report("live")
            for batch in packets.batches():
                for packet in batch:
                    self._take(packet, packets)
                if stop.is_set():
                    break
            self._close()
        except SinkError:
            self._abandon()
            raise
        except OSError as err:
            self._abandon()
            reason = "the disk is full" if err.errno == errno.ENOSPC else err.strerror or str(err)
            raise SinkError(f"cannot record to {self._settings.directory}: {reason}", SinkFailure.STORAGE) from err

    def _take(self, packet: EncodedPacket, reader: PacketReader) -> None:
        if packet.kind == "video" and packet.keyframe:
            self._at_keyframe(packet, reader)
        if packet.kind == "audio" and self._closing is not None:
            # Sound comes out of the encoder a frame or two behind the picture: its rest belongs to the old segment.
            if self._segment is not None and packet.pts < self._segment.first_sample:
                self._closing.write(packet)
                return
            self._closing.close()
            self._closing = None
        if self._segment is not None:
            self._segment.write(packet)

    def _at_keyframe(self, packet: EncodedPacket, reader: PacketReader) -> None:
        now = time.monotonic()
        if now - self._looked_at >= GUARD_S:
            self._looked_at = now
            self._shelf.tidy(self._segment.path if self._segment else None)
        current = self._segment
        if current is None or current.full(packet, self._settings):
            if self._closing is not None:
                self._closing.close()
            self._closing = current
            self._segment = Segment(self._shelf.new_path(packet.wall_ns), self._settings.format, reader, packet)

    def _close(self) -> None:
        for segment in (self._closing, self._segment):
            if segment is not None:
                segment.close()

    def _abandon(self) -> None:
        """Closes what can be closed; the error that led here is the one to tell."""
        for segment in (self._closing, self._segment):
            if segment is not None:
                with suppress(OSError):
                    segment.close()


class Segment:
    """One file. Raises OSError from libav for what the disk refuses."""

    def __init__(self, path: Path, form: str, reader: PacketReader, first: EncodedPacket) -> None:
        self.path = path
        self._format: StreamFormat = reader.format
        self._first_tick = first.pts
        self.first_sample = first.pts * AUDIO_RATE // reader.format.fps
        self._bytes = 0
        self._rebase = Rebase(reader.format.fps)
        self._muxer = Muxer(str(path), form, reader, OPTIONS[form])

    def full(self, packet: EncodedPacket, settings: Settings) -> bool:
        age_s = (packet.pts - self._first_tick) / self._format.fps
        too_long = settings.segment_s > 0 and age_s >= settings.segment_s
        return too_long or 0 < settings.segment_bytes <= self._bytes

    def write(self, packet: EncodedPacket) -> None:
        pts = self._rebase.pts(packet)
        if pts is not None:
            self._muxer.write(packet, pts)
            self._bytes += len(packet.data)

    def close(self) -> None:
        self._muxer.close()


class Shelf:
    """The recordings of one sink in its directory: names, age, size and the room around them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pattern = re.compile(rf"{re.escape(settings.name)}-\d{{8}}T\d{{6}}Z(-\d+)?\.(mp4|flv)")

    def new_path(self, wall_ns: int) -> Path:
        stamp = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        stem = f"{self._settings.name}-{stamp}"
        path = self._settings.directory / f"{stem}.{self._settings.format}"
        count = 0
        while path.exists():
            count += 1
            path = self._settings.directory / f"{stem}-{count}.{self._settings.format}"
        return path

    def recordings(self, current: Path | None) -> list[tuple[float, int, Path]]:
        """(time of last change, bytes, path) of every finished recording, the oldest first."""
        found = []
        with os.scandir(self._settings.directory) as entries:
            for entry in entries:
                if self._pattern.fullmatch(entry.name) and (current is None or entry.name != current.name):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
        return sorted(found)

    def tidy(self, current: Path | None) -> None:
        """Removes what is too old or too much; raises SinkError STORAGE when the room is still too little."""
        settings = self._settings
        recordings = self.recordings(current)
        total = sum(size for _, size, _ in recordings) + (current.stat().st_size if current is not None else 0)
        oldest_allowed = time.time() - settings.keep_s
        while recordings:
            changed, size, path = recordings[0]
            too_old = settings.keep_s > 0 and changed < oldest_allowed
            too_much = 0 < settings.keep_bytes < total
            # Where nothing may ever be removed, a full disk ends the recording, not the archive.
            may_remove = settings.keep_s > 0 or settings.keep_bytes > 0
            if not (too_old or too_much or (may_remove and self._free() < settings.min_free_bytes)):
                break
            path.unlink(missing_ok=True)
            total -= size
            del recordings[0]
        free = self._free()
        if free < settings.min_free_bytes:
            raise SinkError(
                f"recording to {settings.directory} stopped: {free // MB} MB are free and min_free_mb is "
                f"{settings.min_free_bytes // MB}; make room there, or lower keep_gb or min_free_mb",
                SinkFailure.STORAGE,
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._settings.directory).free
