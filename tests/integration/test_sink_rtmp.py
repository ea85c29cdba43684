"""The RTMP sink against a real nginx-rtmp: what a viewer gets, first, after a reconnect, and after changes on air."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from broadcaster.paths import Paths
from broadcaster.playout.sinkset import SinkSet
from broadcaster.supervisor import SinkEdge
from sinks import fmp4
from tests.fakes.stream import AIGC, FPS, recording
from tests.support.capture import Capture, flashes, offsets_ms
from tests.support.nginx import REJECTED_KEY, NginxRtmp
from tests.support.puller import Puller
from tests.support.sinkbench import SinkBench

pytestmark = pytest.mark.integration

KEY = "live_1_2-0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[NginxRtmp]:
    with NginxRtmp(tls=True) as nginx:
        yield nginx


def rtmp(name: str, url: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": "rtmp", "url": url, **more}


def assert_on_its_own_time(capture: Capture) -> None:
    """Every packet is within a millisecond (FLV's resolution) of where the encoder put it after the first picture."""
    pictures = [p for p in recording().packets if p.kind == "video"]
    sounds = [p for p in recording().packets if p.kind == "audio" and p.pts >= 0]
    tick = next(p.pts for p in pictures if fmp4.length_prefixed(p.data) == _without_headers(capture.video[0].data))
    first = next(n for n, p in enumerate(sounds) if p.data == capture.audio[0].data and p.pts >= tick * 1920)
    offset_ms = sounds[first].pts / 48 - tick * 40
    assert 0 <= offset_ms < 22
    for n, received in enumerate(capture.audio):
        assert abs(received.pts_ms - (offset_ms + n * 1024 / 48)) <= 1.0
    for n, received in enumerate(capture.video):
        assert received.pts_ms == n * 40


def _without_headers(avcc: bytes) -> bytes:
    """As `length_prefixed` leaves them out: parameter sets and delimiters, whatever the muxer kept."""
    out, at = b"", 0
    while at < len(avcc):
        size = int.from_bytes(avcc[at : at + 4], "big")
        if avcc[at + 4] & 31 not in (7, 8, 9):
            out += avcc[at : at + 4 + size]
        at += 4 + size
    return out


def assert_in_step(capture: Capture) -> None:
    """Flash and beep start together: within a millisecond, which is the resolution of FLV time."""
    sound = capture.sound()
    beeps = [sound.time_ms(sample) for sample in sound.onsets(above_dbfs=-20)]
    found = offsets_ms(flashes(capture.luma()), beeps)
    assert len(found) >= 2
    # An AAC decoder lets a tone begin a little early; one frame (21 ms) is what a wrong shift would show.
    assert max(abs(offset) for offset in found) <= 2.0, found


def test_a_viewer_gets_every_tick_from_zero_in_step_with_its_sound(server: NginxRtmp, paths: Paths) -> None:
    url = server.url(KEY)
    # Loop 30 begins at tick 6000: the connection's time line is its own.
    with Puller(url, rejoin=True) as puller, SinkBench(paths, [rtmp("main", url)], first_loop=30) as bench:
        bench.wait_state("main", "live")
        capture = puller.wait_frames(80)
        assert bench.status("main").address.endswith("/live/***")
        assert bench.command("pause", "main").ok
        first = bench.wait_state("main", "paused")
        puller.wait_end()
        sessions = len(puller.captures)
        assert bench.command("resume", "main").ok
        puller.wait(lambda p: len(p.captures) > sessions and bool(p.capture.video), what="the second session")
        again = puller.wait_frames(70)
    assert first.reconnects == 0
    for session in (capture, again):
        assert session.video[0].pts_ms == 0
        assert session.video[0].key
        assert 0 <= session.audio[0].pts_ms < 22
        assert session.video_gaps(FPS) == []
        assert session.audio_gaps() == []
        assert session.keyframe_ticks(FPS)[:2] == [0, 50]
        assert_on_its_own_time(session)
        assert_in_step(session)
    assert json.loads(capture.metadata["AIGC"]) == json.loads(AIGC)


def test_tls(server: NginxRtmp, paths: Paths) -> None:
    url = server.tls_url("tls-key-0123")
    with Puller(server.url("tls-key-0123"), rejoin=True) as puller, SinkBench(paths, [rtmp("main", url)]):
        assert puller.wait_frames(30).video_gaps(FPS) == []


def test_a_wrong_key_is_suspended_after_three_tries_and_a_new_key_cures_it(server: NginxRtmp, paths: Paths) -> None:
    asked = len(server.publishes)
    base = server.url("x").removesuffix("/x")
    with SinkBench(paths, [rtmp("main", base, key=REJECTED_KEY), {"name": "other", "type": "null"}]) as bench:
        status = bench.wait_state("main", "suspended")
        assert server.publishes[asked:] == [REJECTED_KEY] * 3
        assert 280 < status.retry_in_s <= 315
        assert "refused after connecting" in status.error
        assert REJECTED_KEY not in repr(bench.sinks.statuses())
        bench.wait("other", lambda s: ("main", SinkEdge.KEY_REJECTED) in bench.edges)
        before = bench.status("other")
        assert bench.command("change", "main", settings={"key": "good-key-0123"}).ok
        bench.wait_flowing("main")
        after = bench.status("other")
        assert (after.reconnects, after.dropped_frames) == (0, 0)
        assert after.uptime_s > before.uptime_s
        assert server.publishes[-1] == "good-key-0123"
        assert bench.status("main").error == ""


def test_already_publishing_backs_off_and_is_no_refusal(server: NginxRtmp, paths: Paths) -> None:
    url = server.url("twice-0123456")
    with SinkBench(paths, [rtmp("first", url)]) as bench:
        bench.wait_flowing("first")
        assert bench.command("add", settings=rtmp("second", url)).ok
        status = bench.wait("second", lambda s: s.retry_in_s > 1.4, timeout=20)
        assert status.state == "waiting"
        assert "somebody publishes already" in status.error
        assert "twice-0123456" not in status.error
        assert bench.command("remove", "first").ok
        assert bench.command("resume", "second").ok
        bench.wait_flowing("second")
        assert [s.name for s in bench.sinks.statuses()] == ["second"]


def test_the_backup_address_is_used_when_the_first_is_away(server: NginxRtmp, paths: Paths) -> None:
    sink = rtmp("main", "rtmp://127.0.0.1:9/live", backup_url=server.url("x").removesuffix("/x"), key="backup-key-01")
    with SinkBench(paths, [sink]) as bench:
        status = bench.wait_flowing("main")
        assert f":{server.port}/" in status.address
        assert status.reconnects == 0


def test_a_session_is_rotated_in_an_idle_moment(server: NginxRtmp, paths: Paths) -> None:
    asked = len(server.publishes)
    with SinkBench(paths, [rtmp("main", server.url("rotating-0123"), rotate_after_hours=2 / 3600)]) as bench:
        bench.idle = False
        bench.wait("main", lambda s: s.uptime_s > 3)
        assert len(server.publishes) - asked == 1
        bench.idle = True
        status = bench.wait("main", lambda s: s.reconnects >= 1)
        assert status.error == ""
        assert bench.edges == []


def test_a_new_encoder_means_new_connections_and_no_failure(server: NginxRtmp, paths: Paths) -> None:
    sinks = [rtmp("main", server.url("renewed-0123")), {"name": "preview", "type": "preview"}]
    with SinkBench(paths, sinks) as bench:
        for name in ("main", "preview"):
            bench.wait_flowing(name)
        bench.open()
        for name in ("main", "preview"):
            status = bench.wait(name, lambda s: s.reconnects == 1 and s.state == "live")
            assert status.error == ""
            bench.wait_flowing(name)
        assert bench.edges == []


def test_changes_on_air_last_over_a_restart_and_reload_follows_the_configuration(
    server: NginxRtmp, paths: Paths
) -> None:
    configured = [rtmp("main", server.url("configured-01")), {"name": "other", "type": "null"}]
    with SinkBench(paths, configured) as bench:
        bench.wait_state("main", "live")
        assert bench.command("change", "main", settings={"url": server.url("changed-0123")}).ok
        assert bench.command("stop", "other").ok
        bench.wait_state("other", "off")
        bench.wait_flowing("main")
    with SinkBench(paths, configured) as bench:
        bench.wait_flowing("main")
        assert server.publishes[-1] == "changed-0123"
        assert bench.status("other").state == "off"
        assert bench.command("reload", all_settings=[rtmp("main", server.url("third-01234"))]).ok
        bench.wait("main", lambda s: server.publishes[-1] == "third-01234" and s.state == "live")
        assert [s.name for s in bench.sinks.statuses()] == ["main"]
        refused = bench.command("change", "nobody", settings={})
        assert (refused.ok, refused.request) == (False, "r1")
        assert "there is no sink 'nobody'" in refused.error


def test_an_rtmp_sink_without_an_address_is_off(paths: Paths) -> None:
    with SinkBench(paths, [rtmp("main", ""), {"name": "other", "type": "null"}]) as bench:
        bench.wait_flowing("other")
        assert bench.status("main").state == "off"
        assert bench.status("main").error == ""


def test_stop_closes_every_child(server: NginxRtmp, paths: Paths) -> None:
    with SinkBench(
        paths, [rtmp("main", server.url("closing-0123")), {"name": "preview", "type": "preview"}]
    ) as bench:
        bench.wait_flowing("main")
        children = _children(bench.sinks)
        assert len(children) == 2
        bench.sinks.stop()
        assert _children(bench.sinks) == []


def _children(sinks: SinkSet) -> list[int]:
    return [host.child.pid for host in sinks.hosts() if host.child is not None]
