"""What libav does not let one set: probing a server before it is asked, tuning its socket, and watching for a peer
that stopped reading. The probe runs in the child's main thread, the watch in a thread of its own.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broadcaster.errors import SinkError, SinkFailure

CONNECT_S: Final = 5.0
PORTS: Final = {"rtmp": 1935, "rtmps": 443}
SEND_BUFFER: Final = (64 * 1024, 512 * 1024)
SEND_BUFFER_SECONDS: Final = 0.4
"""Small, so that congestion is felt early; not below what a round trip of 200 ms needs."""
USER_TIMEOUT_MS: Final = 5000
STALL_S: Final = 4.5
"""A peer that acknowledged nothing for this long while bytes wait has stopped reading."""
WATCH_S: Final = 0.25

_ACKED_OFFSET: Final = 120
_UNACKED_OFFSET: Final = 24
_NOTSENT_OFFSET: Final = 144


def probe(url: str) -> None:
    """Looks the host up and connects once. Raises SinkError UNREACHABLE: what fails later is a refusal."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or PORTS.get(parts.scheme, 1935)
    except ValueError as err:
        raise SinkError(f"not an address: {err}", SinkFailure.INTERNAL, retryable=False) from err
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise SinkError(f"cannot find the host {host}: {err}", SinkFailure.UNREACHABLE) from err
    problem = "no address"
    for family, kind, proto, _, address in found:
        with socket.socket(family, kind, proto) as sock:
            sock.settimeout(CONNECT_S / len(found))
            try:
                sock.connect(address)
            except ConnectionResetError:
                return  # it was connected: a peer that resets at once refuses, and that is told later
            except OSError as err:
                problem = err.strerror or str(err)
            else:
                return
    raise SinkError(f"cannot connect to {host}:{port}: {problem}", SinkFailure.UNREACHABLE)


def tune(bitrate: int) -> list[socket.socket]:
    """Bounds the send buffer and the patience of every TCP connection of this process; answers duplicates of them."""
    size = min(SEND_BUFFER[1], max(SEND_BUFFER[0], int(bitrate / 8 * SEND_BUFFER_SECONDS)))
    tuned = []
    for entry in list(Path("/proc/self/fd").iterdir()):
        try:
            if not str(entry.readlink()).startswith("socket:"):
                continue
            sock = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue
        if sock.type != socket.SOCK_STREAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
            sock.close()
            continue
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tuned.append(sock)
    return tuned


def cork(sockets: list[socket.socket], on: bool) -> None:
    """While on, small writes wait for each other; off sends them. FFmpeg writes head and body of each chunk apart."""
    for sock in sockets:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


class StallWatch:
    """Calls `stalled(reason)` once, from its own thread, when a peer stops reading; then it ends.

    Two signs: the kernel got no acknowledgement while bytes wait, and a write that has not returned.
    """

    def __init__(self, sockets: list[socket.socket], stalled: Callable[[str], None]) -> None:
        self._sockets = sockets
        self._stalled = stalled
        self._writing_since: float | None = None
        self._end = threading.Event()
        threading.Thread(target=self._watch, name="stall-watch", daemon=True).start()

    def writing(self, busy: bool) -> None:
        """Call before each write and, with False, after the last one of a batch."""
        self._writing_since = time.monotonic() if busy else None

    def close(self) -> None:
        self._end.set()

    def _watch(self) -> None:
        seen = [(-1, time.monotonic())] * len(self._sockets)
        while not self._end.wait(WATCH_S):
            now = time.monotonic()
            since = self._writing_since
            if since is not None and now - since > STALL_S:
                self._stalled("the peer stopped reading (a write did not return)")
                return
            for index, sock in enumerate(self._sockets):
                acked, waiting = _progress(sock)
                if not waiting or acked != seen[index][0]:
                    seen[index] = (acked, now)
                elif now - seen[index][1] > STALL_S:
                    self._stalled("the peer stopped reading (nothing acknowledged)")
                    return


def _progress(sock: socket.socket) -> tuple[int, bool]:
    """(bytes the peer's kernel has acknowledged so far, whether any wait to be)."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    except OSError:
        return 0, False
    if len(info) < _NOTSENT_OFFSET + 4:
        return 0, False
    acked: int = struct.unpack_from("=Q", info, _ACKED_OFFSET)[0]
    unacked, notsent = (
        struct.unpack_from("=I", info, _UNACKED_OFFSET)[0],
        struct.unpack_from("=I", info, _NOTSENT_OFFSET)[0],
    )
    return acked, unacked + notsent > 0
