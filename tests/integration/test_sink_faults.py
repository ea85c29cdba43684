"""Network faults, all at once, one per sink of one channel: each is named for what it is, and the healthy sink's
stream has no gap. Then what happens when a peer stops reading, and when the parent of the children dies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broadcaster.paths import Paths
from broadcaster.playout import sinkhost
from broadcaster.supervisor import sink as sink_policy
from tests.fakes.stream import FPS
from tests.support.nginx import REJECTED_KEY, NginxRtmp
from tests.support.peers import FaultProxy, RefusingPeer, ResettingPeer, SilentPeer
from tests.support.puller import Puller
from tests.support.sinkbench import SinkBench

pytestmark = pytest.mark.integration

FAST = 2_500_000
"""Bit/s: fills the kernel's buffers in less time than the small stream."""
CANARY = "canary-0123456789abcdef"


def test_every_fault_at_once_and_the_healthy_stream_has_no_gap(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        NginxRtmp() as server,
        RefusingPeer() as refusing,
        SilentPeer() as silent,
        ResettingPeer() as resetting,
        FaultProxy(server.port) as stalling,
        FaultProxy(server.port) as losing,
    ):
        urls = {
            "healthy": server.url("healthy-0123456"),
            "refusing": refusing.url(CANARY),
            "silent": silent.url(CANARY),
            "resetting": resetting.url(CANARY),
            "losing": losing.url("losing-0123456"),
            "nowhere": f"rtmp://no-such-host.invalid/live/{CANARY}",
            "rejected": server.url(REJECTED_KEY),
            "stalling": stalling.url("stalled-0123456"),
        }
        sinks = [{"name": name, "type": "rtmp", "url": url} for name, url in urls.items()]
        with Puller(urls["healthy"], rejoin=True) as puller, SinkBench(paths, sinks) as bench:
            puller.wait_frames(10)
            bench.wait("losing", lambda s: s.uptime_s > sink_policy.QUICK_LOSS_S)
            bench.wait_flowing("stalling")
            losing.reset()
            stalling.stall()
            bench.wait("losing", lambda s: s.reconnects == 1 and s.state == "live")
            errors = {
                "refusing": "cannot connect to 127.0.0.1",
                "silent": "no answer to the handshake",
                "resetting": "refused after connecting",
                "nowhere": "cannot find the host no-such-host.invalid",
                "rejected": "refused after connecting",
                "stalling": "the peer stopped reading",
            }
            for name, error in errors.items():
                bench.wait(name, lambda s, error=error: s.error.startswith(error), timeout=20)  # type: ignore[misc]
            for name in ("rejected", "resetting"):
                bench.wait_state(name, "suspended", timeout=30)
            for name in ("refusing", "silent", "nowhere"):
                assert bench.status(name).state in ("waiting", "connecting")
            stalling.resume()
            assert bench.command("resume", "stalling").ok
            bench.wait_flowing("stalling", timeout=30)
            healthy = bench.status("healthy")
            frames = puller.wait_frames(25)
            said = repr(bench.sinks.statuses())
        assert (healthy.state, healthy.dropped_frames, healthy.reconnects) == ("live", 0, 0)
        assert frames.video_gaps(FPS) == []
        assert frames.audio_gaps() == []
        assert CANARY not in said
        assert all(CANARY not in record.getMessage() + repr(record.__dict__) for record in caplog.records)


def test_a_server_that_restarts_is_live_again(paths: Paths) -> None:
    with NginxRtmp() as server, SinkBench(paths, [_rtmp("main", server.url("restart-0123"))]) as bench:
        bench.wait_flowing("main")
        server.restart()
        bench.wait("main", lambda s: s.reconnects == 1 and s.state == "live", timeout=20)
        status = bench.wait_flowing("main")
        assert status.error == ""


def test_a_stopped_server_is_dropped_and_its_queue_stays_bounded(paths: Paths) -> None:
    with NginxRtmp() as server, SinkBench(paths, [_rtmp("main", server.url("paused-0123"))], bitrate=FAST) as bench:
        bench.wait_flowing("main")
        server.pause()
        status = bench.wait("main", lambda s: s.state != "live", timeout=20)
        assert status.error.startswith("the peer stopped reading")
        server.resume()
        bench.wait("main", lambda s: s.reconnects == 1 and s.state == "live", timeout=20)


def test_a_slow_peer_loses_pictures_up_to_a_key_frame_and_no_sound(paths: Paths) -> None:
    with NginxRtmp() as server, FaultProxy(server.port) as proxy:
        sink = _rtmp("main", proxy.url("slow-0123456"), queue_ms=500)
        with (
            Puller(server.url("slow-0123456"), rejoin=True) as puller,
            SinkBench(paths, [sink], bitrate=FAST) as bench,
        ):
            puller.wait_frames(10)
            proxy.throttle(80_000)
            bench.wait("main", lambda s: s.congestion > 0.3, timeout=30)
            bench.wait("main", lambda s: s.dropped_frames > 25, timeout=30)
            proxy.resume()
            bench.wait("main", lambda s: s.queue_ms < 100, timeout=20)
            puller.wait(lambda p: bool(p.capture.video_gaps(FPS)), what="the gap")
            capture = puller.wait_frames(30)
            assert bench.status("main").reconnects == 0
        assert capture.audio_gaps() == []
        for index, _ in capture.video_gaps(FPS):
            assert capture.video[index].key


def test_a_killed_child_is_replaced(paths: Paths) -> None:
    with SinkBench(paths, [{"name": "main", "type": "null"}, {"name": "other", "type": "null"}]) as bench:
        for name in ("main", "other"):
            bench.wait_flowing(name)
        child = bench.sinks.hosts()[0].child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        bench.wait("main", lambda s: s.reconnects == 1 and s.state == "live")
        assert bench.status("other").reconnects == 0


def test_a_hung_child_is_killed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinkhost, "PIPE_BLOCKED_S", 1.0)
    with SinkBench(paths, [{"name": "main", "type": "null"}]) as bench:
        bench.wait_flowing("main")
        child = bench.sinks.hosts()[0].child
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        bench.wait("main", lambda s: s.error.startswith("the peer stopped reading"))
        bench.wait("main", lambda s: s.reconnects == 1 and s.state == "live")


PARENT = """
import sys, time
from pathlib import Path
from broadcaster.paths import channel_paths
from tests.support.sinkbench import SinkBench
paths = channel_paths("test", Path(sys.argv[1]))
paths.ensure()
with SinkBench(paths, [{"name": n, "type": n} for n in ("null", "preview")]) as bench:
    for name in ("null", "preview"):
        bench.wait_flowing(name)
    print(*[host.child.pid for host in bench.sinks.hosts()], flush=True)
    time.sleep(60)
"""


def test_children_die_with_the_process_that_started_them(short_dir: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(short_dir)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_key_is_in_no_process_list(paths: Paths) -> None:
    with NginxRtmp() as server, SinkBench(paths, [_rtmp("main", server.url(CANARY))]) as bench:
        bench.wait_state("main", "live")
        child = bench.sinks.hosts()[0].child
        assert child is not None
        for name in ("cmdline", "environ"):
            assert CANARY.encode() not in Path(f"/proc/{child.pid}/{name}").read_bytes()


def _rtmp(name: str, url: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": "rtmp", "url": url, **more}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
