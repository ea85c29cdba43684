"""An engine server in a thread of the test, and what clients are made of."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from broadcaster.head.musetalk.faces import STEP, Face, Faces, Wanted
from broadcaster.head.musetalk.messages import MAX_TO_CLIENT, Incoming, ToClient, ToServer, encode, from_server
from broadcaster.head.musetalk.remote import RemoteFaces
from broadcaster.head.musetalk.seat import About
from broadcaster.head.musetalk.server import EngineServer
from broadcaster.head.musetalk.shelf import ROW_BYTES
from broadcaster.head.musetalk.workshop import Generator
from tests.support.faces import voiced

ABOUT = About("1.5", "full", "cpu", "0123456789ab")
WAIT_S = 20.0
"""Nothing here measures speed; only a broken server needs it."""

AVATARS = 4


def latents(path: Path, rows: int = 5, seed: int = 0) -> Path:
    """A file of latents as an avatar has it."""
    np.save(path, np.random.default_rng(seed).normal(0, 1, (rows, 8, 32, 32)).astype(np.float16))
    return path


@contextmanager
def serving(
    path: Path, generator: Generator, about: About = ABOUT, limit: int = AVATARS * 5 * ROW_BYTES
) -> Iterator[EngineServer]:
    """Raises what ended the server."""
    server = EngineServer(path, about, generator, limit)
    started, ended = threading.Event(), []

    def run() -> None:
        try:
            server.run(started.set)
        except BaseException as err:
            ended.append(err)
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(WAIT_S)
    try:
        yield server
    finally:
        server.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()
    if ended:
        raise ended[0]


def opened(path: Path, file: Path, batch: int = 4, channel: str = "test") -> RemoteFaces:
    faces = RemoteFaces(path, "1.5", batch, channel=channel)
    faces.load(file)
    return faces


def until(holds: Callable[[], object]) -> None:
    """Waits for what another thread or process brings about."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)


def taken(faces: Faces, count: int) -> list[Face]:
    """The next `count` faces."""
    found: list[Face] = []
    deadline = time.monotonic() + WAIT_S
    while len(found) < count:
        found += faces.take(0.05)
        assert time.monotonic() < deadline, f"{len(found)} of {count} faces"
    return found


def spoken(faces: Faces, seconds: float, seed: int, rows: int = 5) -> list[Face]:
    """One utterance, heard piece by piece and asked for in batches as an engine does it; its faces."""
    pcm, count = voiced(int(48_000 * seconds), seed), int(25 * seconds)
    faces.begin()
    found: list[Face] = []
    heard = asked = 0
    while asked < count or len(found) < count:
        if heard < len(pcm):
            faces.hear(pcm[heard : heard + 19_200])
            heard += 19_200
        most = min(count, heard // 2 // STEP // 2)
        faces.ask([Wanted(tick, 2 * tick, (tick * 3 + seed) % rows) for tick in range(asked, most)])
        asked = most
        if asked == count:
            faces.flush()
        found += faces.take(0.05)
    return found


class RawClient:
    """Says whatever the test wants."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(str(path))
        self._incoming = Incoming(MAX_TO_CLIENT)

    def say(self, *messages: ToServer) -> None:
        for message in messages:
            self.sock.sendall(encode(message))

    def open(self, message: ToServer, *files: int) -> None:
        socket.send_fds(self.sock, [encode(message)], list(files))

    def hears(self) -> ToClient | None:
        """The next message; None when the server has closed."""
        while (body := self._incoming.body()) is None:
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._incoming.feed(data)
        return from_server(body)

    def close(self) -> None:
        self.sock.close()
