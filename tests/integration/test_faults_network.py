"""Every network fault at once, one per sink, on one channel that speaks: the healthy sinks must not notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.capture import read_file
from tests.support.channel import Channel, rtmp
from tests.support.nginx import REJECTED_KEY, NginxRtmp
from tests.support.peers import FaultProxy, RefusingPeer, ResettingPeer, SilentPeer
from tests.support.puller import Puller
from tests.support.starvation import StarvationWatch

pytestmark = pytest.mark.integration

FPS = 25
SPEECH = "今天的节目里我们说说天气，明天多云，后天有雨，请带好雨伞再出门。" * 8


def test_no_network_fault_reaches_a_healthy_sink(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times: dict[str, float] = {}
    with (
        NginxRtmp() as good,
        NginxRtmp() as flaky,
        FaultProxy(good.port) as staller,
        FaultProxy(good.port) as resetter,
        RefusingPeer() as refusing,
        SilentPeer() as silent,
        ResettingPeer(after=1537) as resetting,
    ):
        sinks = [
            rtmp("healthy", good.url("healthy")),
            {"type": "file", "name": "record", "directory": str(tmp_path), "min_free_mb": 0},
            rtmp("refused", refusing.url("k-refused")),
            rtmp("silent", silent.url("k-silent")),
            rtmp("handshake-reset", resetting.url("k-early")),
            rtmp("stalls", staller.url("k-stalls")),
            rtmp("resets", resetter.url("k-resets")),
            rtmp("restarts", flaky.url("k-restarts")),
            rtmp("wrong-key", good.url(REJECTED_KEY)),
            rtmp("no-such-name", "rtmp://no-such-host.invalid/live/k-nowhere"),
        ]
        with Channel(sinks=sinks) as channel, Puller(good.url("healthy"), rejoin=True) as puller:
            puller.wait_frames(2 * FPS, timeout=60)
            for name in ("stalls", "resets", "restarts"):
                channel.until(partial(live, channel, name), 60, f"{name} is live")
            prompt = channel.say(SPEECH)
            channel.wait_event("on_air", prompt)
            before = channel.status()["clock"]
            watch = StarvationWatch()
            with watch:
                staller.stall()
                resetter.reset()
                flaky.kill()
                for name in ("stalls", "restarts"):
                    times[f"{name}: noticed"] = waited(channel, partial(not_live, channel, name), name)
                waited(channel, lambda: channel.sink("wrong-key")["state"] == "suspended", "wrong-key is suspended")
                waited(channel, lambda: silent.connections >= 2, "a second try of the silent server")
                waited(channel, lambda: resetting.connections >= 2, "a second try after a reset handshake")
                staller.resume()
                flaky.start()
                for name in ("stalls", "resets", "restarts"):
                    times[f"{name}: live again"] = waited(channel, partial(back, channel, name), name)
                puller.wait_frames(FPS)
            after = channel.status()["clock"]
            states = {sink["name"]: sink for sink in channel.status()["sinks"]}
            channel.interrupt()
            log = channel.log(10_000)
            capture = puller.capture

        assert len(puller.captures) == 1
        assert capture.video_gaps(FPS) == []
        assert capture.audio_gaps() == []
        assert watch.excuse(after["reanchored"] - before["reanchored"])
        assert watch.excuse(after["held_ticks"] - before["held_ticks"])
        assert states["healthy"]["reconnects"] == 0
        assert states["healthy"]["dropped_frames"] == 0
        for name in ("stalls", "resets", "restarts"):
            assert states[name]["reconnects"] >= 1, name
        for name in ("refused", "silent", "handshake-reset", "wrong-key", "no-such-name"):
            assert states[name]["state"] not in ("live", "off"), name
            assert states[name]["error"], name
        assert good.publishes.count(REJECTED_KEY) == 3
        assert "k-" not in log
        assert REJECTED_KEY not in log
        assert not [sink for sink in states.values() if "k-" in str(sink) or REJECTED_KEY in str(sink)]

    recordings = sorted(tmp_path.rglob("*.mp4"))
    assert recordings
    recorded = read_file(recordings[0])
    assert recorded.video_gaps(FPS) == []
    assert recorded.audio_gaps() == []
    with capsys.disabled():
        print("\nnetwork faults, seconds:")
        for name, seconds in times.items():
            print(f"  {name:<24} {seconds:6.2f}")


def live(channel: Channel, name: str) -> bool:
    return bool(channel.sink(name)["state"] == "live")


def back(channel: Channel, name: str) -> bool:
    sink = channel.sink(name)
    return bool(sink["state"] == "live" and sink["reconnects"] > 0)


def not_live(channel: Channel, name: str) -> bool:
    return not live(channel, name)


def waited(channel: Channel, true: Callable[[], bool], what: str) -> float:
    began = time.monotonic()
    channel.until(true, 90, what)
    return time.monotonic() - began
