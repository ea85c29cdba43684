"""Faults of the machine under a channel: a full disk below the recording, a wall clock that is stepped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.capture import read_file
from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp
from tests.support.puller import Puller
from tests.support.starvation import StarvationWatch

pytestmark = pytest.mark.integration

FPS = 25
SENTENCE = "今天我们说说天气，明天多云，后天有雨，请带好雨伞再出门。"
SHORT = "明天有雨，请带伞。"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
TMPFS_BYTES = 4_000_000
LEFT_BYTES = 200_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    target = tmp_path / "disk"
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(target)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield target
    subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_full_disk_stops_the_recording_and_nothing_else(small_disk: Path) -> None:
    with NginxRtmp() as nginx:
        record = {
            "type": "file", "name": "record", "directory": str(small_disk / "rec"), "min_free_mb": 0,
            "segment_minutes": 0.1, "format": "flv",
        }  # fmt: skip
        with (
            Channel(sinks=[rtmp("main", nginx.url()), record]) as channel,
            Puller(nginx.url(), rejoin=True) as puller,
        ):
            puller.wait_frames(FPS, timeout=60)
            channel.until(lambda: channel.sink("record")["state"] == "live", 30, "it records")
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            (small_disk / "ballast").write_bytes(bytes(max(0, free - LEFT_BYTES)))
            prompt = channel.say(SENTENCE)
            channel.until(lambda: channel.sink("record")["state"] != "live", 60, "the recording ends")
            assert channel.sink("record")["error"]
            channel.wait_event("done", prompt)
            (small_disk / "ballast").unlink()
            for old in (small_disk / "rec").glob("*.flv"):
                old.unlink()
            channel.until(lambda: channel.sink("record")["state"] == "live", 90, "it records again")
            capture = puller.wait_frames(FPS)
            assert channel.sink("main")["reconnects"] == 0
            channel.until(lambda: any((small_disk / "rec").glob("*.flv")), 30, "a new recording")
            channel.stop()
        assert len(puller.captures) == 1
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
        recorded = read_file(max((small_disk / "rec").glob("*.flv")))
        assert recorded.video_gaps(FPS) == []


def test_steps_of_the_wall_clock_move_nothing(tmp_path: Path) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    control = tmp_path / "faketime"
    control.write_text("+0")
    env = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(control), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    with NginxRtmp() as nginx:
        with (
            Channel(sinks=[rtmp("main", nginx.url())], env=env) as channel,
            Puller(nginx.url(), rejoin=True) as puller,
        ):
            puller.wait_frames(FPS, timeout=60)
            before = channel.status()["clock"]
            walls = []
            watch = StarvationWatch()
            with watch:
                for step in ("+0", "+3600", "-86400"):
                    control.write_text(step)
                    puller.wait_frames(2 * FPS)  # the file is read once a second
                    prompt = channel.say(SHORT)
                    channel.wait_event("done", prompt)
                    walls.append(channel.asrun(1)[0]["start_ns"] / 1e9)
                capture = puller.wait_frames(FPS)
            after = channel.status()["clock"]
        # The daemon's wall clock did go forward by an hour and back by a day.
        assert 3000 < walls[1] - walls[0] < 4200
        assert walls[2] - walls[0] < -80_000
        assert watch.excuse(after["reanchored"] - before["reanchored"])
        assert len(puller.captures) == 1
        assert nginx.publishes == ["stream"]
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
