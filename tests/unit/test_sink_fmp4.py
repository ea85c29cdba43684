"""The preview's fragmented MP4, read back by FFmpeg: every packet, at its time, bit for bit."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.media import EncodedPacket
from sinks import fmp4
from sinks.packets import Rebase
from tests.fakes.stream import FPS, recording

pytestmark = pytest.mark.unit


def packaged(first: int, count: int) -> tuple[bytes, list[EncodedPacket]]:
    """Init segment and one fragment per picture of ticks first..; and the packets in them."""
    rebase, sound, sequence, kept = Rebase(FPS), [], 0, []
    out = fmp4.init_segment(recording().format)
    for packet in recording().packets:
        if packet.kind == "video" and not first <= packet.pts < first + count:
            continue
        pts = rebase.pts(packet)
        if pts is None:
            continue
        kept.append(replace(packet, pts=pts))
        if packet.kind == "audio":
            sound.append((pts, packet))
            continue
        sequence += 1
        out += fmp4.fragment(sequence, [(pts, packet)], sound)
        sound = []
        if sequence == count:
            break
    return out, kept


@pytest.mark.parametrize("first", [0, 50])
def test_ffmpeg_reads_back_every_packet_at_its_time(first: int) -> None:
    data, kept = packaged(first, 100)
    with av.open(io.BytesIO(data), format="mp4") as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, audio.rate, audio.channels) == (320, 180, 48_000, 2)
        read = [packet for packet in container.demux() if packet.size]
    pictures = [packet for packet in read if packet.stream is video]
    sounds = [packet for packet in read if packet.stream is audio]
    assert [packet.pts for packet in pictures] == [n * fmp4.TICK_UNITS for n in range(100)]
    assert [packet.is_keyframe for packet in pictures] == [n % 50 == 0 for n in range(100)]
    assert [bytes(packet) for packet in pictures] == [fmp4.length_prefixed(p.data) for p in kept if p.kind == "video"]
    assert [(packet.pts, bytes(packet)) for packet in sounds] == [(p.pts, p.data) for p in kept if p.kind == "audio"]


def test_the_pictures_decode_as_before() -> None:
    data, _ = packaged(0, 60)
    with av.open(io.BytesIO(data), format="mp4") as container:
        after = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = recording().format.video_extradata
    before = []
    for packet in [*[p for p in recording().packets if p.kind == "video"][:60], None]:
        before += decoder.decode(av.Packet(packet.data) if packet else None)  # type: ignore[attr-defined]
    assert after == [frame.to_ndarray().tobytes() for frame in before]
    assert len(after) == 60


def test_codec_string() -> None:
    sps = next(unit for unit in fmp4.nal_units(recording().format.video_extradata) if unit[0] & 31 == 7)
    assert fmp4.codec_string(recording().format) == f"avc1.{sps[1]:02X}{sps[2]:02X}{sps[3]:02X},mp4a.40.2"


def test_boxes_fill_their_parents_exactly() -> None:
    data, _ = packaged(0, 3)
    kinds, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind)
        at += size
    assert at == len(data)
    assert kinds == [b"ftyp", b"moov"] + [b"moof", b"mdat"] * 3


unit = st.binary(min_size=2, max_size=60).filter(lambda data: b"\0\0" not in data and data[-1] != 0 and data[0] != 0)


@given(st.lists(st.tuples(st.booleans(), unit), min_size=1, max_size=8))
def test_nal_units_are_found_between_start_codes_of_both_lengths(units: list[tuple[bool, bytes]]) -> None:
    stream = b"".join((b"\0\0\0\1" if long else b"\0\0\1") + data for long, data in units)
    assert fmp4.nal_units(stream) == [data for _, data in units]
    kept = [data for _, data in units if data[0] & 31 not in (7, 8, 9)]
    assert fmp4.length_prefixed(stream) == b"".join(struct.pack(">I", len(data)) + data for data in kept)
