"""The test bench against itself: nginx, the puller and the fault proxy with a plain PyAV publisher."""

from __future__ import annotations

import socket
import statistics

import pytest

from tests.support import publisher
from tests.support.capture import flashes, offsets_ms
from tests.support.nginx import REJECTED_KEY, NginxRtmp
from tests.support.peers import FaultProxy, RefusingPeer, ResettingPeer, SilentPeer
from tests.support.puller import Puller

pytestmark = pytest.mark.integration


def test_a_published_stream_comes_back_whole() -> None:
    with NginxRtmp(tls=True) as nginx:
        child = publisher.start(nginx.tls_url(), 12)
        try:
            with Puller(nginx.url(), rejoin=True) as puller:
                capture = puller.wait_frames(150)
        finally:
            child.kill()
            child.wait()
    assert nginx.publishes == ["stream"]
    assert capture.video_gaps(25) == []
    assert capture.audio_gaps() == []
    assert capture.metadata["AIGC"] == '{"Label":"1"}'
    sound = capture.sound()
    beeps = [sound.time_ms(onset) for onset in sound.onsets(above_dbfs=-12)]
    found = offsets_ms(flashes(capture.luma()), beeps)
    assert len(found) >= 4
    assert abs(statistics.median(found)) <= 5


def test_a_wrong_key_is_refused_and_a_stall_stops_the_stream() -> None:
    with NginxRtmp() as nginx, FaultProxy(nginx.port) as proxy:
        refused = publisher.start(nginx.url(REJECTED_KEY), 5)
        assert refused.wait(20) != 0
        child = publisher.start(proxy.url(), 30)
        try:
            with Puller(nginx.url(), rejoin=True) as puller:
                puller.wait_frames(25)
                proxy.reset()
                assert child.wait(20) != 0
        finally:
            child.kill()
            child.wait()
    assert nginx.publishes == [REJECTED_KEY, "stream"]
    assert proxy.connections == 1


def test_peers_misbehave_as_told() -> None:
    with RefusingPeer() as refusing, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", refusing.port), 5)
    with SilentPeer() as silent, socket.create_connection(("127.0.0.1", silent.port), 5) as sock:
        sock.sendall(b"\x03" + bytes(1536))
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    with ResettingPeer(after=4) as resetting, socket.create_connection(("127.0.0.1", resetting.port), 5) as sock:
        sock.sendall(b"1234")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
