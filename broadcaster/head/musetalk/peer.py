"""One client of an engine server, seen from its socket: what came and is not understood, what it has not read.

The sockets' thread alone reads and writes; `queue` may be called by any thread. Nothing here waits.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from broadcaster.head.musetalk.messages import MAX_TO_SERVER, Incoming, Made, ToClient, ToServer, encode, from_client

if TYPE_CHECKING:
    from broadcaster.head.musetalk.seat import Seat

READ: Final = 1 << 18

SOCKET_BUFFER: Final = 1 << 22
"""Bytes asked of the kernel, which may give less (net.core.wmem_max): a face is 0.2 MB."""

FILES_AT_ONCE: Final = 4
"""Descriptors taken with one read; the kernel closes what is over."""

_CREDENTIALS: Final = struct.Struct("3i")


class Peer:
    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        self.sock = sock
        self.pid: int = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )[0]
        self.since = self.moved = time.monotonic()
        """`moved`: when the client last read something, or nothing waited for it."""
        self.seat: Seat | None = None
        self.files: list[int] = []
        """Open files that came along and belong to us now."""
        self.spoke = False
        self.paused = False
        """Its session has enough to do: it is not read."""
        self.closing = False
        """It is gone when everything is sent."""
        self.gone = False
        self.unread = 0
        """Bytes that wait for the client."""
        self._incoming = Incoming(MAX_TO_SERVER)
        self._out: deque[tuple[memoryview, int]] = deque()
        """What is to be sent, and how many faces end with it."""
        self._lock = threading.Lock()

    def receive(self) -> bool:
        """Takes in what has come. False when the client has closed."""
        try:
            data, ancillary, _, _ = self.sock.recvmsg(
                READ, socket.CMSG_SPACE(FILES_AT_ONCE * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files = array.array("i")
                files.frombytes(content[: len(content) - len(content) % files.itemsize])
                self.files.extend(files)
        if not self.closing:
            self._incoming.feed(data)
        return bool(data)

    def message(self) -> ToServer | None:
        """The next whole one of what was taken in. Raises WireError."""
        body = self._incoming.body()
        if body is None:
            return None
        self.spoke = True
        return from_client(body)

    def queue(self, message: ToClient) -> None:
        data = encode(message)
        with self._lock:
            self._out.append((memoryview(data), len(message.keys) if isinstance(message, Made) else 0))
            self.unread += len(data)

    @property
    def waits(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._out)

    def write(self) -> int:
        """Sends what the client takes; gives the number of faces that are out of our hands. Raises OSError when it is
        gone."""
        faces = 0
        while self._out:
            data, ends = self._out[0]
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                return faces
            self.moved = time.monotonic()
            with self._lock:
                self.unread -= sent
                if sent < len(data):
                    self._out[0] = (data[sent:], ends)
                else:
                    self._out.popleft()
                    faces += ends
        self.moved = time.monotonic()
        return faces

    def close(self) -> None:
        self.gone = True
        self.sock.close()
        while self.files:
            os.close(self.files.pop())
