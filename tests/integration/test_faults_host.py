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

pytestmark = pytest.mark.integration

FPS = 25
SENTENCE = "今天我们说说天气，明天多云，后天有雨，请带好雨伞再出门。"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
TMPFS_BYTES = 1_500_000


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
            (small_disk / "ballast").write_bytes(bytes(TMPFS_BYTES * 3 // 4))
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


@pytest.mark.parametrize("step", ["+3600", "-86400"])
def test_a_step_of_the_wall_clock_moves_nothing(step: str, tmp_path: Path) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    control = tmp_path / "faketime"
    control.write_text("+0")
    env = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(control), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    with NginxRtmp() as nginx:
        with (
            Channel(sinks=[rtmp("main", nginx.url())], env=env) as channel,
            Puller(nginx.url(), rejoin=True) as puller,
        ):
            puller.wait_frames(FPS, timeout=60)
            prompt = channel.say(SENTENCE)
            channel.wait_event("on_air", prompt)
            before = channel.status()["clock"]
            control.write_text(step)
            channel.wait_event("done", prompt)
            channel.wait_event("done", channel.say(SENTENCE))
            capture = puller.wait_frames(2 * FPS)
            after = channel.status()["clock"]
        assert after["reanchored"] == before["reanchored"]
        assert len(puller.captures) == 1
        assert nginx.publishes == ["stream"]
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
