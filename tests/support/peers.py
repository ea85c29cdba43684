"""Peers that misbehave on purpose: TCP servers in threads, and a proxy that breaks a healthy server's connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Final, Self

CHUNK: Final = 16 * 1024
RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class _Peer:
    """A bound loopback port and the clean-up of everything opened on it."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def url(self, key: str = "stream", app: str = "live") -> str:
        return f"rtmp://127.0.0.1:{self.port}/{app}/{key}"

    def __enter__(self) -> Self:
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._close_all()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._keep(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.append(sock)

    def _close_all(self, *, reset: bool = False) -> None:
        with self._lock:
            sockets, self._open = self._open, []
        for sock in sockets:
            _drop(sock, reset=reset)


class RefusingPeer(_Peer):
    """A port that refuses every connection: bound, so that nobody else gets it, and never listened on."""

    def __enter__(self) -> Self:
        return self


class SilentPeer(_Peer):
    """Accepts, reads nothing and never answers."""

    def _serve(self, sock: socket.socket) -> None:
        pass


class ResettingPeer(_Peer):
    """Accepts and resets the connection after `after` bytes (0: at once)."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self._after = after

    def _serve(self, sock: socket.socket) -> None:
        got = 0
        with contextlib.suppress(OSError):
            while got < self._after:
                data = sock.recv(CHUNK)
                if not data:
                    break
                got += len(data)
        _drop(sock, reset=True)


class FaultProxy(_Peer):
    """A TCP proxy before a healthy server on `target` that can stall, reset, throttle and half-close.

    Faults hold for the connections open now and for later ones, until `resume`.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self._flow = threading.Event()
        self._flow.set()
        self._refusing = threading.Event()
        self.bytes_per_second = 0
        """0: as fast as the server takes it."""
        self.stalled_at_ns = 0
        self.forwarded = 0
        """Bytes passed on to the server."""

    def stall(self) -> None:
        """Both directions stop being read; the connections stay open."""
        self.stalled_at_ns = time.monotonic_ns()
        self._flow.clear()

    def resume(self) -> None:
        self.bytes_per_second = 0
        self._refusing.clear()
        self._flow.set()

    def reset(self) -> None:
        """Every open connection gets an RST; later ones are served."""
        self._close_all(reset=True)

    def cut_off(self) -> None:
        """RST now and at once for every later connection, until `resume`."""
        self._refusing.set()
        self.reset()

    def throttle(self, bytes_per_second: int) -> None:
        self.bytes_per_second = bytes_per_second

    def half_close(self) -> None:
        """The server's side of every connection is shut: the client reads the end, its writes still go through."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)

    def _serve(self, sock: socket.socket) -> None:
        if self._refusing.is_set():
            _drop(sock, reset=True)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5.0)
        except OSError:
            _drop(sock, reset=True)
            return
        server.settimeout(None)
        self._keep(server)
        threading.Thread(target=self._relay, args=(server, sock, False), daemon=True).start()
        self._relay(sock, server, True)

    def _relay(self, source: socket.socket, target: socket.socket, upstream: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                while not self._flow.wait(0.2):
                    if self._closing.is_set():
                        return
                data = source.recv(CHUNK)
                if not data:
                    break
                while not self._flow.wait(0.2):
                    if self._closing.is_set():
                        return
                target.sendall(data)
                if upstream:
                    self.forwarded += len(data)
                if upstream and self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _drop(sock: socket.socket, *, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        else:
            sock.shutdown(socket.SHUT_RDWR)
    # A thread blocked in recv keeps the descriptor's connection alive until it is woken.
    if reset:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RD)
    sock.close()
