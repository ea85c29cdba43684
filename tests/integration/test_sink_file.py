"""Recordings: cut at key frames without losing a packet, playable after a kill, tidy, and polite to a full disk."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from broadcaster.paths import Paths
from broadcaster.supervisor import SinkEdge
from broadcaster.supervisor import sink as sink_policy
from tests.fakes.stream import AIGC, FPS, packets
from tests.support.capture import read_file
from tests.support.sinkbench import SinkBench

pytestmark = pytest.mark.integration

STAMP = re.compile(r"rec-\d{8}T\d{6}Z(-\d+)?\.(mp4|flv)")


def recorder(folder: Path, **more: object) -> dict[str, object]:
    return {"name": "rec", "type": "file", "directory": str(folder), "min_free_mb": 0, **more}


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.glob("rec-*"), key=lambda path: (path.stat().st_mtime_ns, path.name))


@pytest.mark.parametrize("form", ["mp4", "flv"])
def test_segments_hold_every_packet_and_the_mark_of_the_machine(form: str, paths: Paths, short_dir: Path) -> None:
    sink = recorder(short_dir / "out", format=form, segment_minutes=2 / 60)
    with SinkBench(paths, [sink]) as bench:
        bench.wait("rec", lambda s: len(recordings(short_dir / "out")) == 3, timeout=20)
    found = recordings(short_dir / "out")
    assert all(STAMP.fullmatch(path.name) for path in found)
    captures = [read_file(path) for path in found]
    for capture in captures:
        assert capture.metadata["AIGC"] == AIGC
        assert capture.video[0].pts_ms == 0
        assert capture.video[0].key
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
    assert [len(capture.video) for capture in captures[:2]] == [50, 50]
    # No packet of sound is lost at a cut: the segments together hold the stream's own packets, one after another.
    aired = [p.data for p in packets(loops=3) if p.kind == "audio" and p.pts >= 0]
    kept = [received.data for capture in captures for received in capture.audio]
    assert kept == aired[: len(kept)]
    assert len(kept) >= 185


def test_segments_by_size(paths: Paths, short_dir: Path) -> None:
    with SinkBench(paths, [recorder(short_dir / "out", segment_mb=1)], bitrate=3_000_000) as bench:
        bench.wait("rec", lambda s: len(recordings(short_dir / "out")) >= 2, timeout=20)
    first = recordings(short_dir / "out")[0]
    assert 1_000_000 <= first.stat().st_size < 2_200_000
    assert len(read_file(first).video) % 50 == 0


@pytest.mark.parametrize(("form", "lost"), [("mp4", 51), ("flv", 8)])
def test_a_kill_loses_no_more_than_the_last_group_of_pictures(
    form: str, lost: int, paths: Paths, short_dir: Path
) -> None:
    with SinkBench(paths, [recorder(short_dir / "out", format=form)]) as bench:
        bench.wait("rec", lambda s: s.total_frames >= 75)
        child = bench.sinks.hosts()[0].child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        fed = bench.status("rec").total_frames
        bench.wait("rec", lambda s: s.reconnects == 1)
    first, *_ = recordings(short_dir / "out")
    with av.open(str(first)) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert decoded >= fed - lost
    # The new child begins with the group of pictures on air, so nothing is missing between the two.
    assert len(recordings(short_dir / "out")) == 2
    assert read_file(recordings(short_dir / "out")[1]).video[0].key


def test_retention_by_age_and_size_touches_only_its_own_recordings(paths: Paths, short_dir: Path) -> None:
    out = short_dir / "out"
    out.mkdir()
    now = time.time()
    for age_h, name in (
        (50, "rec-20260101T000000Z.mp4"),
        (30, "rec-20260102T000000Z.mp4"),
        (1, "rec-20260103T000000Z.flv"),
    ):
        (out / name).write_bytes(b"x" * 600_000)
        os.utime(out / name, (now - age_h * 3600,) * 2)
    others = ["rec2-20260101T000000Z.mp4", "rec-notes.txt", "rec-20260101T000000Z.mp4.bak"]
    for name in others:
        (out / name).write_bytes(b"x" * 600_000)
        os.utime(out / name, (now - 90 * 3600,) * 2)
    with SinkBench(paths, [recorder(out, keep_hours=40, keep_gb=0.001)]) as bench:
        bench.wait_flowing("rec")
        left = {path.name for path in out.iterdir()}
    assert left.issuperset(others)
    assert "rec-20260101T000000Z.mp4" not in left
    assert "rec-20260102T000000Z.mp4" not in left
    assert "rec-20260103T000000Z.flv" in left


@pytest.fixture
def small_disk(short_dir: Path) -> Iterator[Path]:
    disk = short_dir / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs (root)")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_below_the_limit_recording_stops_with_an_alarm_and_goes_on_when_there_is_room(
    paths: Paths, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_policy, "STORAGE_RETRY_S", 0.5)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3_100_000))
    sinks = [recorder(small_disk / "out", min_free_mb=3, keep_hours=0, keep_gb=0), {"name": "other", "type": "null"}]
    with SinkBench(paths, sinks) as bench:
        status = bench.wait("rec", lambda s: s.state == "waiting" and s.error != "", timeout=20)
        assert "min_free_mb is 3" in status.error
        kept = recordings(small_disk / "out")
        assert len(kept) == 1, "nothing may be removed when everything is kept for ever"
        assert len(read_file(kept[0]).video) >= 50
        ballast.unlink()
        bench.wait_flowing("rec")
        bench.wait("rec", lambda s: ("rec", SinkEdge.DISK_OK) in bench.edges)
        assert bench.edges.count(("rec", SinkEdge.DISK_LOW)) == 1
        assert bench.status("other").reconnects == 0


def test_a_disk_without_a_limit_is_filled_and_the_error_is_named(paths: Paths, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(6_150_000))
    with SinkBench(paths, [recorder(small_disk / "out", keep_hours=0, keep_gb=0)]) as bench:
        status = bench.wait("rec", lambda s: s.error != "", timeout=20)
        assert status.error == f"cannot record to {small_disk / 'out'}: the disk is full"


def test_the_oldest_recordings_make_room_where_they_may(paths: Paths, small_disk: Path) -> None:
    out = small_disk / "out"
    out.mkdir()
    for day in (1, 2, 3, 4):
        name = out / f"rec-2026010{day}T000000Z.mp4"
        name.write_bytes(bytes(1_200_000))
        os.utime(name, (time.time() - 3600 * (10 - day),) * 2)
    with SinkBench(paths, [recorder(out, min_free_mb=3, keep_hours=168, keep_gb=1)]) as bench:
        bench.wait_flowing("rec")
        assert bench.status("rec").error == ""
        left = [path.name for path in recordings(out)]
    assert left[0] == "rec-20260103T000000Z.mp4"
