"""The framing between playout and a sink child, and the time line a sink makes of it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import SinkError, SinkFailure, WireError
from broadcaster.media import (
    FORMAT,
    MAX_FRAME,
    TEMPLATES,
    EncodedPacket,
    FrameParser,
    StreamFormat,
    pack_blob,
    pack_head,
)
from sinks.packets import PacketReader, Rebase

pytestmark = pytest.mark.unit

FORM = StreamFormat(640, 360, 25, b"\0\0\1g", b"\x11\x90", 500_000, 128_000, {"AIGC": '{"Label":"1"}'})

encoded = st.builds(
    EncodedPacket,
    kind=st.sampled_from(["video", "audio"]),
    pts=st.integers(-(2**63), 2**63 - 1),
    duration=st.integers(0, 2**31 - 1),
    keyframe=st.booleans(),
    data=st.binary(max_size=300),
    wall_ns=st.integers(0, 2**63 - 1),
)


@given(st.lists(encoded, max_size=20), st.integers(1, 64))
def test_frames_survive_any_cutting(packets: list[EncodedPacket], step: int) -> None:
    stream = b"".join(pack_head(packet) + packet.data for packet in packets)
    parser, got = FrameParser(), []
    for at in range(0, len(stream), step):
        parser.feed(stream[at : at + step])
        got += [content for _, content in parser.frames()]
    assert got == packets


@given(st.binary(min_size=26, max_size=400))
def test_garbage_is_an_error_and_not_a_packet_of_it(data: bytes) -> None:
    parser = FrameParser()
    parser.feed(b"?" + data)
    with pytest.raises(WireError):
        list(parser.frames())


def test_a_frame_over_the_limit_is_refused() -> None:
    head = bytearray(pack_head(EncodedPacket("video", 0, 1, True, b"", 0)))
    head[2:6] = (MAX_FRAME + 1).to_bytes(4, "big")
    parser = FrameParser()
    parser.feed(bytes(head))
    with pytest.raises(WireError):
        list(parser.frames())


def test_the_format_survives_its_json() -> None:
    assert StreamFormat.from_json(FORM.to_json()) == FORM


def test_the_reader_wants_the_preamble_first() -> None:
    read, write = os.pipe()
    packet = EncodedPacket("video", 7, 1, True, b"x", 5)
    os.write(write, pack_blob(FORMAT, FORM.to_json()) + pack_blob(TEMPLATES, b"nut") + pack_head(packet) + b"x")
    os.close(write)
    reader = PacketReader(read)
    assert (reader.format, reader.templates) == (FORM, b"nut")
    assert list(reader.batches()) == [[packet]]
    os.close(read)


def test_a_stream_that_ends_before_it_begins() -> None:
    read, write = os.pipe()
    os.close(write)
    with pytest.raises(SinkError) as caught:
        PacketReader(read)
    assert caught.value.kind is SinkFailure.INTERNAL
    os.close(read)


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
@given(first=st.integers(0, 2**40))
def test_picture_and_sound_keep_their_distance_whatever_the_first_key_frame(fps: int, first: int) -> None:
    rebase = Rebase(fps)
    samples = 48_000 // fps
    assert rebase.pts(EncodedPacket("audio", first * samples, 1024, True, b"", 0)) is None
    assert rebase.pts(EncodedPacket("video", first - 1, 1, False, b"", 0)) is None
    assert not rebase.started
    assert rebase.pts(EncodedPacket("video", first, 1, True, b"", 0)) == 0
    assert rebase.pts(EncodedPacket("audio", first * samples - 1, 1024, True, b"", 0)) is None
    for ticks in (0, 1, 1000):
        assert rebase.pts(EncodedPacket("audio", (first + ticks) * samples, 1024, True, b"", 0)) == ticks * samples
        assert rebase.pts(EncodedPacket("video", first + ticks, 1, False, b"", 0)) == ticks
