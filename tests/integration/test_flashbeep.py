"""Flash and beep through playout's encoder, a sink child and real nginx-rtmp: together on every connection."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from broadcaster.wire import SinkCommand
from tests.support.capture import Capture, flashes, offsets_ms
from tests.support.channel import rtmp
from tests.support.flashbeep import FlashBeepAir
from tests.support.nginx import NginxRtmp
from tests.support.peers import FaultProxy
from tests.support.puller import Puller

pytestmark = pytest.mark.integration

LIMIT_MS = 5.0
FPS = 25
FIRST_TICK = 6_553 * FPS + 7
"""An odd place on the counters: neither a key frame nor a whole AAC frame."""


def offset(capture: Capture) -> float:
    """Median of beep less flash, over at least four of them."""
    sound = capture.sound()
    beeps = [sound.time_ms(onset) for onset in sound.onsets(above_dbfs=-12)]
    found = offsets_ms(flashes(capture.luma()), beeps)
    assert len(found) >= 4
    return statistics.median(found)


def test_together_at_first_after_a_reconnect_and_after_a_rotation(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: dict[str, float] = {}
    with NginxRtmp() as nginx, FaultProxy(nginx.port) as proxy:
        # Long enough to look at the connection before it; then it waits until the channel is idle.
        sink = rtmp("main", proxy.url(), rotate_after_hours=8 / 3600)
        with (
            FlashBeepAir(short_dir, [sink], first_tick=FIRST_TICK, idle=False) as air,
            Puller(nginx.url(), rejoin=True) as puller,
        ):
            puller.wait_frames(5 * FPS)
            measured["first connection"] = offset(puller.capture)

            joined = len(puller.captures)
            proxy.reset()
            puller.wait(lambda p: len(p.captures) > joined and len(p.captures[-1].video) > 5 * FPS, 60)
            measured["after a reconnect"] = offset(puller.capture)
            assert air.status("main").reconnects == 1

            joined = len(puller.captures)
            assert len(nginx.publishes) == 2
            air.idle = True
            puller.wait(lambda p: len(p.captures) > joined and len(p.captures[-1].video) > 5 * FPS, 60)
            measured["after a rotation"] = offset(puller.capture)
            assert len(nginx.publishes) == 3
            for capture in puller.captures:
                assert capture.video_gaps(FPS) == []
                assert capture.audio_gaps() == []
    for name, value in measured.items():
        assert abs(value) <= LIMIT_MS, name
    with capsys.disabled():
        print("\nbeep less flash, ms: " + ", ".join(f"{name} {value:+.2f}" for name, value in measured.items()))


def test_together_after_the_sink_was_stopped_and_started_on_air(short_dir: Path) -> None:
    with NginxRtmp() as nginx:
        sinks = [rtmp("main", nginx.url("a")), rtmp("other", nginx.url("b"))]
        with FlashBeepAir(short_dir, sinks) as air, Puller(nginx.url("b"), rejoin=True) as other:
            other.wait_frames(2 * FPS)
            assert air.command(SinkCommand("1", "pause", "main")).ok
            assert air.command(SinkCommand("2", "change", "main", rtmp("main", nginx.url("c")))).ok
            assert air.command(SinkCommand("3", "resume", "main")).ok
            with Puller(nginx.url("c"), rejoin=True) as puller:
                puller.wait_frames(5 * FPS, timeout=60)
            capture = other.capture
        assert abs(offset(puller.capture)) <= LIMIT_MS
        assert len(other.captures) == 1
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
