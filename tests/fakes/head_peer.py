"""Playout as the head process sees it: a real socket that welcomes, sends speech and collects patches."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from broadcaster.wire import AnyMessage, Connection, HeadStatus, Hello, Patch, Welcome

REPLY_S = 10.0
"""Longest wait for the head; only a broken one needs it."""


class HeadPeer:
    """Listens on `path`; `meet` takes the next head that connects."""

    def __init__(self, path: Path, fps: int, loop_frames: int) -> None:
        self._fps, self._loop_frames = fps, loop_frames
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.settimeout(REPLY_S)
        path.unlink(missing_ok=True)
        self._server.bind(str(path))
        self._server.listen()
        self.statuses: list[HeadStatus] = []
        self.hello: Hello | None = None

    def __enter__(self) -> HeadPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def meet(self, tick: int = 0) -> Hello:
        sock, _ = self._server.accept()
        sock.settimeout(REPLY_S)
        self._sock = sock
        self._connection = Connection(sock)
        hello = self._connection.receive()
        assert isinstance(hello, Hello)
        self.hello = hello
        self.send(Welcome(tick, self._fps, self._loop_frames, 0))
        return hello

    def send(self, *messages: AnyMessage) -> None:
        for message in messages:
            self._connection.send(message)

    def patches(self, count: int) -> list[Patch]:
        """The next `count` patches; statuses in between are kept in `statuses`."""
        found: list[Patch] = []
        while len(found) < count:
            message = self._connection.receive()
            if isinstance(message, Patch):
                found.append(message)
            elif isinstance(message, HeadStatus):
                self.statuses.append(message)
            else:
                raise AssertionError(f"{len(found)} of {count} patches, then {message!r}")
        return found

    def status(self) -> HeadStatus:
        """The next status; a patch before it is an error of the test."""
        message = self._connection.receive()
        assert isinstance(message, HeadStatus), message
        self.statuses.append(message)
        return message

    def hang_up(self) -> None:
        self._connection.close()

    def close(self) -> None:
        self._server.close()
        if hasattr(self, "_connection"):
            self._connection.close()
