"""The preview socket as the console sees it: what a client gets first, what later, and who is dropped."""

from __future__ import annotations

import io
import itertools
import socket
import struct
import time

import av
import pytest

from broadcaster.paths import Paths
from sinks import preview
from tests.support.sinkbench import SinkBench

pytestmark = pytest.mark.integration

SINK = {"name": "preview", "type": "preview"}


class Viewer:
    """A client of the socket that keeps its messages as (kind, payload)."""

    def __init__(self, paths: Paths) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.sock.connect(str(paths.preview_socket("preview")))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        self.messages: list[tuple[bytes, bytes]] = []

    def read(self, count: int) -> list[tuple[bytes, bytes]]:
        for _ in range(count):
            (length,) = struct.unpack(">I", self._exactly(4))
            body = self._exactly(length)
            self.messages.append((body[:1], body[1:]))
        return self.messages[-count:]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def decoded(self) -> tuple[list[float], list[float]]:
        """Times in seconds of the decoded pictures and of the packets of sound."""
        data = b"".join(payload for kind, payload in self.messages if kind != b"C")
        pictures: list[float] = []
        sounds: list[float] = []
        with av.open(io.BytesIO(data), format="mp4") as container:
            for packet in container.demux():
                if packet.stream.type == "audio" and packet.size:
                    assert packet.pts is not None
                    sounds.append(float(packet.pts * packet.time_base))
                elif packet.stream.type == "video":
                    pictures += [frame.time for frame in packet.decode()]
        return pictures, sounds


def test_a_client_begins_with_codec_init_and_the_group_of_pictures_on_air(paths: Paths) -> None:
    with SinkBench(paths, [SINK]) as bench:
        bench.wait("preview", lambda s: s.total_frames > 80)
        viewer = Viewer(paths)
        codec, init, first = viewer.read(3)
        assert codec[0] == b"C"
        assert codec[1].startswith(b"avc1.")
        assert codec[1].endswith(b",mp4a.40.2")
        assert init[0] == b"I"
        assert init[1][4:8] == b"ftyp"
        assert first[0] == b"K"
        tick = bench.air.tick
        in_hand = viewer.read(max(0, tick % 50 // 2 - 2))
        assert {kind for kind, _ in in_hand} <= {b"D"}
        viewer.read(60)
        viewer.sock.close()
    assert [kind for kind, _ in viewer.messages].count(b"K") >= 2
    pictures, sounds = viewer.decoded()
    assert len(pictures) > len(viewer.messages) - 2
    steps = [round((b - a) * 1000) for a, b in itertools.pairwise(pictures)]
    assert set(steps) == {40}
    sound_steps = {round((b - a) * 48_000) for a, b in itertools.pairwise(sounds)}
    assert sound_steps == {1024}


def test_many_clients_and_one_that_does_not_read(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    with SinkBench(paths, [SINK], bitrate=3_000_000) as bench:
        bench.wait("preview", lambda s: s.total_frames > 10)
        asleep = Viewer(paths)
        viewers = [Viewer(paths) for _ in range(3)]
        for _ in range(4):
            for viewer in viewers:
                viewer.read(25)
        assert bench.status("preview").state == "live"
        assert bench.status("preview").dropped_frames == 0
        for viewer in viewers:
            assert [kind for kind, _ in viewer.messages].count(b"I") == 1
            viewer.sock.close()
        asleep.sock.close()
        late = Viewer(paths)
        assert [kind for kind, _ in late.read(3)] == [b"C", b"I", b"K"]
        late.sock.close()


def test_a_client_that_falls_behind_is_dropped_alone() -> None:
    """In this process, with a bound that is quickly reached."""
    import selectors

    ours, theirs = socket.socketpair()
    other_ours, other_theirs = socket.socketpair()
    listener = _Accepting([ours, other_ours])
    with selectors.DefaultSelector() as selector:
        clients = preview.Clients(selector)
        clients.accept(listener, b"first")  # type: ignore[arg-type]
        clients.accept(listener, b"first")  # type: ignore[arg-type]
        other_theirs.setblocking(False)
        sent = 0
        while sent <= preview.CLIENT_BYTES + 2_000_000:
            clients.send([bytes(100_000)])
            sent += 100_000
            for key, events in selector.select(0):
                clients.serve(key.data, events)
            _drain(other_theirs)
        assert ours.fileno() == -1
        assert other_ours.fileno() != -1
        clients.close()
    theirs.close()
    other_theirs.close()


class _Accepting:
    def __init__(self, socks: list[socket.socket]) -> None:
        self._socks = socks

    def accept(self) -> tuple[socket.socket, str]:
        return self._socks.pop(0), ""


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(1 << 20):
            pass
    except BlockingIOError:
        pass


def test_a_new_child_takes_the_socket_over(paths: Paths) -> None:
    with SinkBench(paths, [SINK]) as bench:
        bench.wait_flowing("preview")
        viewer = Viewer(paths)
        viewer.read(3)
        bench.open()
        bench.wait("preview", lambda s: s.reconnects == 1 and s.state == "live")
        with pytest.raises((EOFError, ConnectionResetError)):
            viewer.read(1000)
        viewer.sock.close()
        again = Viewer(paths)
        assert [kind for kind, _ in again.read(3)] == [b"C", b"I", b"K"]
        again.sock.close()
        assert oct(paths.preview_socket("preview").stat().st_mode & 0o777) == "0o600"
