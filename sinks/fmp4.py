"""Fragmented MP4 (ISO/IEC 14496-12 and -15) for Media Source Extensions: one H.264 and one AAC track. Pure.

libav's MP4 muxer holds a fragment back until the next packet, and makes one for each packet of sound; here a
picture and the sound that goes with it leave together and at once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from broadcaster.media import AUDIO_RATE, EncodedPacket, StreamFormat

VIDEO_TRACK: Final = 1
AUDIO_TRACK: Final = 2
TICK_UNITS: Final = 1000
"""Time scale units of the video track per tick."""

_START: Final = b"\x00\x00\x01"
_SYNC: Final = 0x02000000  # sample_depends_on = 2: does not depend on others
_NON_SYNC: Final = 0x01010000  # depends on others, is not a sync sample
_MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def nal_units(annex_b: bytes) -> list[bytes]:
    """The NAL units between the start codes (three or four bytes long)."""
    units = []
    start = annex_b.find(_START)
    while start >= 0:
        begin = start + 3
        start = annex_b.find(_START, begin)
        # Zeros before a start code belong to it: a NAL unit never ends in one.
        unit = annex_b[begin:start] if start >= 0 else annex_b[begin:]
        units.append(unit.rstrip(b"\x00") if start >= 0 else unit)
    return units


def length_prefixed(annex_b: bytes) -> bytes:
    """Annex B to the MP4 form: four bytes of length before each NAL unit, delimiters and parameter sets left out."""
    return b"".join(
        struct.pack(">I", len(unit)) + unit for unit in nal_units(annex_b) if unit and unit[0] & 0x1F not in (7, 8, 9)
    )


def codec_string(form: StreamFormat) -> str:
    """RFC 6381, as MediaSource wants it: "avc1.64001F,mp4a.40.2"."""
    sps = _parameter_set(form, 7)
    object_type = form.audio_extradata[0] >> 3
    return f"avc1.{sps[1:4].hex().upper()},mp4a.40.{object_type}"


def init_segment(form: StreamFormat) -> bytes:
    video_scale = form.fps * TICK_UNITS
    video = _track(
        VIDEO_TRACK, video_scale, b"vide", _box(b"vmhd", 1, b"\0" * 8), _avc1(form), form.width, form.height
    )
    audio = _track(AUDIO_TRACK, AUDIO_RATE, b"soun", _box(b"smhd", 0, b"\0" * 4), _mp4a(form), 0, 0)
    mvhd = _box(
        b"mvhd",
        0,
        struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100) + _MATRIX + b"\0" * 24 + struct.pack(">I", 3),
    )
    extends = b"".join(
        _box(b"trex", 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in (VIDEO_TRACK, AUDIO_TRACK)
    )
    return _box(b"ftyp", None, b"iso5\0\0\2\0iso5iso6mp41") + _box(
        b"moov", None, mvhd + video + audio + _box(b"mvex", None, extends)
    )


Placed = tuple[int, EncodedPacket]
"""A packet and its pts, in ticks or samples, on the time line that starts at 0."""


def fragment(sequence: int, pictures: Sequence[Placed], sound: Sequence[Placed]) -> bytes:
    """moof and mdat of consecutive pictures and their sound; either may be empty."""
    tracks: list[tuple[int, int, list[tuple[int, int, int]]]] = []
    payloads: list[bytes] = []
    if pictures:
        data = [length_prefixed(picture.data) for _, picture in pictures]
        flags = [_SYNC if picture.keyframe else _NON_SYNC for _, picture in pictures]
        samples = [(TICK_UNITS, len(each), flag) for each, flag in zip(data, flags, strict=True)]
        tracks.append((VIDEO_TRACK, pictures[0][0] * TICK_UNITS, samples))
        payloads += data
    if sound:
        samples = [(packet.duration, len(packet.data), _SYNC) for _, packet in sound]
        tracks.append((AUDIO_TRACK, sound[0][0], samples))
        payloads += [packet.data for _, packet in sound]
    # moof and mfhd, then for each track traf, tfhd, tfdt, trun and 12 bytes for each sample; then mdat's head.
    first = 24 + sum(64 + 12 * len(samples) for _, _, samples in tracks) + 8
    mdat = b"".join(payloads)
    return _moof(sequence, tracks, first) + struct.pack(">I4s", len(mdat) + 8, b"mdat") + mdat


def _moof(sequence: int, tracks: Sequence[tuple[int, int, Sequence[tuple[int, int, int]]]], first: int) -> bytes:
    """`tracks`: (id, decode time, samples as (duration, size, flags)); `first`: offset of the first sample."""
    boxes = [_box(b"mfhd", 0, struct.pack(">I", sequence))]
    offset = first
    for track, time, samples in tracks:
        # tfhd 0x020000: default-base-is-moof. trun 0x701: data offset; duration, size and flags of each sample.
        head = _box(b"tfhd", 0x020000, struct.pack(">I", track))
        when = _box(b"tfdt", 0x01000000, struct.pack(">Q", time))
        table = b"".join(struct.pack(">III", *sample) for sample in samples)
        run = _box(b"trun", 0x000701, struct.pack(">Ii", len(samples), offset) + table)
        boxes.append(_box(b"traf", None, head + when + run))
        offset += sum(size for _, size, _ in samples)
    return _box(b"moof", None, b"".join(boxes))


def _box(kind: bytes, version_flags: int | None, payload: bytes) -> bytes:
    """A box; with `version_flags` (version in the top byte) a full box."""
    head = b"" if version_flags is None else struct.pack(">I", version_flags)
    return struct.pack(">I4s", 8 + len(head) + len(payload), kind) + head + payload


def _track(track: int, scale: int, handler: bytes, header: bytes, entry: bytes, width: int, height: int) -> bytes:
    volume = 0 if handler == b"vide" else 0x100
    tkhd = _box(
        b"tkhd",
        3,
        struct.pack(">IIIII8xHHHH", 0, 0, track, 0, 0, 0, 0, volume, 0)
        + _MATRIX
        + struct.pack(">II", width << 16, height << 16),
    )
    mdhd = _box(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, scale, 0, 0x55C4, 0))
    hdlr = _box(b"hdlr", 0, struct.pack(">I4s12x", 0, handler) + b"broadcaster\0")
    dref = _box(b"dref", 0, struct.pack(">I", 1) + _box(b"url ", 1, b""))
    stsd = _box(b"stsd", 0, struct.pack(">I", 1) + entry)
    empty = _box(b"stts", 0, b"\0" * 4) + _box(b"stsc", 0, b"\0" * 4) + _box(b"stsz", 0, b"\0" * 8)
    stbl = _box(b"stbl", None, stsd + empty + _box(b"stco", 0, b"\0" * 4))
    minf = _box(b"minf", None, header + _box(b"dinf", None, dref) + stbl)
    return _box(b"trak", None, tkhd + _box(b"mdia", None, mdhd + hdlr + minf))


def _avc1(form: StreamFormat) -> bytes:
    sps, pps = _parameter_set(form, 7), _parameter_set(form, 8)
    config = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps
    config += b"\x01" + struct.pack(">H", len(pps)) + pps
    if sps[1] in (100, 110, 122, 244):
        config += b"\xfd\xf8\xf8\x00"  # 4:2:0, 8 bits, no extension sets
    entry = struct.pack(">6xH16xHHIIIH32xHh", 1, form.width, form.height, 0x480000, 0x480000, 0, 1, 0x18, -1)
    return _box(b"avc1", None, entry + _box(b"avcC", None, config))


def _mp4a(form: StreamFormat) -> bytes:
    asc = form.audio_extradata
    specific = _descriptor(5, asc)
    config = struct.pack(">BB3xII", 0x40, 0x15, form.audio_bitrate, form.audio_bitrate) + specific
    stream = struct.pack(">HB", AUDIO_TRACK, 0) + _descriptor(4, config) + _descriptor(6, b"\x02")
    entry = struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, AUDIO_RATE << 16)
    return _box(b"mp4a", None, entry + _box(b"esds", 0, _descriptor(3, stream)))


def _descriptor(tag: int, payload: bytes) -> bytes:
    return bytes([tag, len(payload)]) + payload


def _parameter_set(form: StreamFormat, kind: int) -> bytes:
    """The SPS (7) or PPS (8) of the stream. Raises ValueError for extradata without one."""
    for unit in nal_units(form.video_extradata):
        if unit and unit[0] & 0x1F == kind:
            return unit
    raise ValueError(f"the video's extradata holds no parameter set of kind {kind}")
