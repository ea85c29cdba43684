"""Every tick of the hours where clocks and 32-bit counters turn over, through the real framing and FLV muxer."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from broadcaster.supervisor.sink import ROTATION_GRACE_S, SinkPolicy
from sinks.file import FileSink
from sinks.packets import PacketReader
from sinks.report import Report
from tests.support.flv import AUDIO, VIDEO, FlvReader, Tag
from tests.support.virtual import Materials, TickSource, VirtualTime, Wire, feed

pytestmark = pytest.mark.unit

FPS = 25
TICK_MS = 1000 // FPS
GOP = 2 * FPS
TEN_MINUTES = 600 * FPS
LONGEST_ROTATION_H = 596
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def materials() -> Materials:
    return Materials(FPS)


def gop_before(ms: int) -> int:
    """The last key frame's tick at or before a time of the counters."""
    return ms // TICK_MS // GOP * GOP


@pytest.mark.parametrize("session_ms", [0, 2**31 - 5_000_000], ids=["from 0", "from near 2^31 of the channel"])
def test_2_to_the_24_ms_of_a_session(materials: Materials, session_ms: int) -> None:
    """RTMP goes over to extended timestamps there."""
    first = gop_before(session_ms)
    wire = one_session(materials, first, first + gop_before(2**24) - TEN_MINUTES // 2)
    assert wire.faults == []
    assert wire.last_ms > 2**24 + 290_000
    assert wire.pictures == TEN_MINUTES + GOP


def test_the_last_ten_minutes_of_the_longest_session(materials: Materials) -> None:
    """FLV has 31 bits for its milliseconds: the latest rotation that the policy allows comes before their end."""
    longest_ms = LONGEST_ROTATION_H * 3_600_000 + int(ROTATION_GRACE_S * 1000)
    wire = one_session(materials, GOP, GOP + gop_before(longest_ms) - TEN_MINUTES)
    assert wire.faults == []
    assert 2**31 - 2_000_000 < wire.last_ms < 2**31


def test_a_session_is_rotated_before_its_timestamps_run_out() -> None:
    now = 0.0
    policy = SinkPolicy(lambda: now, random.Random(1), rotate_after_s=LONGEST_ROTATION_H * 3600)
    policy.started()
    policy.connected()
    policy.live()
    now = 2**31 / 1000 - 1
    assert policy.rotation_due(idle=False)


def test_ten_minutes_around_2_to_the_31_ms_of_the_channel(materials: Materials) -> None:
    middle = gop_before(2**31)
    wire = one_session(materials, middle - TEN_MINUTES // 2 - GOP, middle - TEN_MINUTES // 2)
    assert wire.faults == []
    assert wire.pictures == TEN_MINUTES + GOP


def test_a_rotation_loses_no_tick_and_begins_at_zero(materials: Materials) -> None:
    time = VirtualTime()
    first = gop_before(2**31 - 300_000)
    source = TickSource(time, FPS, first)
    old, new = Wire(materials), Wire(materials)
    numbers = source.send(materials, [old], TEN_MINUTES // 2)
    # The new connection gets everything from the key frame on; the old one ends before it.
    numbers += source.send(materials, [new], TEN_MINUTES // 2)
    for wire in (old, new):
        wire.close()
        assert wire.faults == []
    assert numbers == list(range(first, first + TEN_MINUTES))
    assert old.pictures + new.pictures == TEN_MINUTES
    assert new.first == {VIDEO: 0, AUDIO: pytest.approx(0, abs=22)}


def test_a_reanchor_moves_the_clock_and_not_the_counters(materials: Materials) -> None:
    time = VirtualTime()
    source = TickSource(time, FPS, 0)
    wire = Wire(materials)
    numbers = source.send(materials, [wire], TEN_MINUTES // 2)
    time.now_ns += 5_000_000_000
    numbers += source.send(materials, [wire], TEN_MINUTES // 2)
    wire.close()
    assert wire.faults == []
    assert numbers == list(range(TEN_MINUTES))
    assert (source.counters.reanchored, source.counters.held) == (1, 0)


def test_lateness_below_a_second_is_made_up_for(materials: Materials) -> None:
    time = VirtualTime()
    source = TickSource(time, FPS, 0)
    wire = Wire(materials)
    source.send(materials, [wire], GOP)
    time.now_ns += 400_000_000
    source.send(materials, [wire], GOP)
    wire.close()
    assert wire.faults == []
    assert source.counters.reanchored == 0
    assert source.counters.held == 9
    assert time.now_ns == pytest.approx((2 * GOP - 1) * TICK_MS * 1_000_000, abs=1000)


def test_recordings_around_midnight_hold_every_tick_once(materials: Materials, tmp_path: Path) -> None:
    time = VirtualTime(round(MIDNIGHT.timestamp()) * 1_000_000_000 - 300_000_000_000)
    settings = {
        "type": "file", "name": "rec", "directory": str(tmp_path), "format": "flv", "segment_minutes": 2,
        "keep_hours": 0, "keep_gb": 0, "min_free_mb": 0,
    }  # fmt: skip
    source = TickSource(time, FPS, gop_before(2**31))
    stream = (packet for _, packets in source.packets(materials, TEN_MINUTES) for packet in packets)
    with feed(materials, stream) as fd:
        FileSink(settings, NoReport()).run(PacketReader(fd), Event())
    files = sorted(tmp_path.glob("rec-*.flv"))
    assert [path.stem for path in files] == [
        "rec-20260228T235500Z", "rec-20260228T235700Z", "rec-20260228T235900Z", "rec-20260301T000100Z",
        "rec-20260301T000300Z",
    ]  # fmt: skip
    tags = [read_tags(path) for path in files]
    for found in tags:
        pictures = [tag.time_ms for tag in found if tag.kind == VIDEO]
        assert pictures == list(range(0, len(pictures) * TICK_MS, TICK_MS))
    assert sum(tag.kind == VIDEO for found in tags for tag in found) == TEN_MINUTES
    assert sum(tag.kind == AUDIO for found in tags for tag in found) in range(28_120, 28_126)


class NoReport(Report):
    def __init__(self) -> None:
        pass

    def __call__(self, event: str) -> None:
        pass


def one_session(materials: Materials, first: int, then: int) -> Wire:
    """One GOP from `first`, a jump of the counters, ten minutes from `then`."""
    time = VirtualTime()
    wire = Wire(materials)
    TickSource(time, FPS, first).send(materials, [wire], GOP)
    TickSource(time, FPS, then).send(materials, [wire], TEN_MINUTES)
    wire.close()
    return wire


def read_tags(path: Path) -> list[Tag]:
    flv = FlvReader()
    flv.write(path.read_bytes())
    return [tag for tag in flv.tags() if tag.kind in (VIDEO, AUDIO) and not tag.config]
