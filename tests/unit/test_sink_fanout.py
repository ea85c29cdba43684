"""The fan-out's inbox: order kept, bounded, and never a torn group of pictures; and what an opening carries."""

from __future__ import annotations

import io
import select

import av
import pytest

from broadcaster.media import TEMPLATES, EncodedPacket, FrameParser, StreamFormat
from broadcaster.playout.fanout import INBOX_PACKETS, Fanout, Opening
from tests.fakes.stream import recording

pytestmark = pytest.mark.unit


def picture(tick: int) -> EncodedPacket:
    return EncodedPacket("video", tick, 1, tick % 50 == 0, b"v", 0)


def sound(tick: int) -> EncodedPacket:
    return EncodedPacket("audio", tick * 1920, 1920, True, b"a", 0)


def test_packets_come_out_in_order_and_a_picture_wakes_the_reader() -> None:
    fanout = Fanout()
    poll = select.poll()
    poll.register(fanout.wake_fd, select.POLLIN)
    fanout.put(sound(0))
    assert poll.poll(0) == []
    fanout.put(picture(0))
    fanout.put(picture(1))
    assert len(poll.poll(0)) == 1
    assert fanout.drain() == [sound(0), picture(0), picture(1)]
    assert poll.poll(0) == []
    assert fanout.drain() == []
    fanout.flush()
    assert len(poll.poll(0)) == 1
    fanout.close()


def test_a_reader_that_hangs_costs_whole_groups_of_pictures_and_is_counted() -> None:
    fanout = Fanout()
    for tick in range(3000):
        fanout.put(sound(tick))
        fanout.put(picture(tick))
    first = fanout.drain()
    assert len(first) == INBOX_PACKETS
    for tick in range(3000, 3060):
        fanout.put(sound(tick))
        fanout.put(picture(tick))
    after = fanout.drain()
    assert after[0] == picture(3000)
    assert fanout.dropped == 6000 - INBOX_PACKETS + 1
    fanout.close()


def test_an_opening_carries_what_a_muxer_needs() -> None:
    stream = recording()
    fanout = Fanout()
    fanout.put(picture(7))
    fanout.start(stream.format, stream.video, stream.audio)
    fanout.put(picture(50))
    before, opening, after = fanout.drain()
    assert (before, after) == (picture(7), picture(50))
    assert isinstance(opening, Opening)
    parser = FrameParser()
    parser.feed(opening.preamble)
    (_, form), (kind, templates) = parser.frames()
    assert isinstance(form, bytes)
    assert isinstance(templates, bytes)
    assert StreamFormat.from_json(form) == stream.format == opening.format
    assert kind == TEMPLATES
    with av.open(io.BytesIO(templates), format="nut") as nut:
        assert nut.streams.video[0].codec_context.extradata == stream.format.video_extradata
        assert nut.streams.audio[0].codec_context.extradata == stream.format.audio_extradata
    fanout.close()
