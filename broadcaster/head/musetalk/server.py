"""The engine server's sockets: channels in, faces out, and nobody waits for anybody. One thread (the process's main
one) and one selector; the device is worked by the thread of module `workshop`.

What may grow has a bound: connections, the messages of a session that wait, the faces that wait for a client to read
them, the latents. A client that sends nonsense, or reads nothing, loses its own session and no other.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from broadcaster.errors import AssetError, HeadError, WireError
from broadcaster.head.musetalk.messages import PROTOCOL, Failed, Hello, Open, Query, State, ToClient
from broadcaster.head.musetalk.peer import Peer
from broadcaster.head.musetalk.seat import About, Arrived, Seat
from broadcaster.head.musetalk.shelf import read_latents
from broadcaster.head.musetalk.socketfile import listening
from broadcaster.head.musetalk.workshop import SAID, Generator, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

PEERS: Final = 64
"""Connections at a time: several times the channels that the largest GPU serves."""

TICK_S: Final = 0.25
"""How often time-outs are looked at."""

SOON_S: Final = 0.02
"""And while a session waits to be read again, or the server ends."""

OPEN_S: Final = 10.0
"""From connecting to the first message."""

STALLED_S: Final = 5.0
"""A client that has read nothing of what waits for it for so long hangs."""

UNREAD: Final = 32 * 1024 * 1024
"""Bytes that wait for a client: all that a session may have asked for is less than half of it."""

STOP_S: Final = 3.0
"""For the batches in the making and for the farewells at the end."""


class EngineServer:
    """`limit`: bytes of latents on the device. `run` returns after `stop`, which any thread or signal may call."""

    def __init__(self, path: Path, about: About, generator: Generator, limit: int, group: str = "") -> None:
        self._path = path
        self._group = group
        self._about = about
        self._batch = generator.batch
        self._limit = limit
        self._workshop = Workshop(generator, about, limit, self._hand)
        self._selector = selectors.DefaultSelector()
        self._peers: set[Peer] = set()
        self._seated: dict[Seat, Peer] = {}
        self._ready: deque[Peer] = deque()
        """Peers that something was queued for."""
        self._stopping = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._refused = 0

    def stop(self) -> None:
        self._stopping.set()
        self._wake()

    def state(self) -> State:
        return self._workshop.state(self._refused)

    def run(self, started: Callable[[], None] = lambda: None, alive: Callable[[], None] = lambda: None) -> None:
        """Serves until `stop`. `started` is called when clients can connect, `alive` several times a second.

        Raises HeadError when the device fails or hangs, AlreadyRunning and ConfigError for the socket's path.
        """
        fault: HeadError | None = None
        with listening(self._path, self._group) as listener:
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(self._wake_out, selectors.EVENT_READ)
            self._workshop.start()
            started()
            try:
                while not self._stopping.is_set() and fault is None:
                    self._turn(listener)
                    alive()
                    fault = self._workshop.fault()
                self._selector.unregister(listener)
            finally:
                listener.close()
                self._end(fault)
        if fault is not None:
            raise fault

    # -- one turn of the loop

    def _turn(self, listener: socket.socket | None) -> None:
        soon = self._stopping.is_set() or any(peer.paused for peer in self._peers)
        for key, mask in self._selector.select(SOON_S if soon else TICK_S):
            peer = key.data
            if isinstance(peer, Peer):
                if mask & selectors.EVENT_READ and not peer.gone:
                    self._read(peer)
                if mask & selectors.EVENT_WRITE and not peer.gone:
                    self._write(peer)
            elif key.fileobj is listener:
                self._accept(listener)
            else:
                self._wake_out.recv(4096)
        while self._ready:
            peer = self._ready.popleft()
            if not peer.gone:
                self._write(peer)
        self._look_after()

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # it has gone already, or no descriptors are left
        peer = Peer(sock)
        self._selector.register(sock, selectors.EVENT_READ, peer)
        self._peers.add(peer)
        if len(self._peers) > PEERS:
            return self._refuse(peer, "busy", f"{PEERS} connections are open already")
        about = self._about
        self._send(peer, Hello(PROTOCOL, about.version, about.fingerprint, about.device, self._batch))

    def _read(self, peer: Peer) -> None:
        if not peer.receive():
            return self._drop(peer)
        try:
            self._understand(peer)
        except Exception:
            _log.exception("a client's message found a fault of the server")
            self._drop(peer, "said what the server cannot cope with")

    def _understand(self, peer: Peer) -> None:
        """Works through what came, until the session has so much to do that no more is wanted of it."""
        peer.paused = False
        try:
            while not (peer.closing or peer.paused or peer.gone) and (message := peer.message()) is not None:
                if isinstance(message, Query):
                    self._send(peer, self.state())
                elif isinstance(message, Open):
                    self._open(peer, message)
                elif peer.seat is None:
                    self._refuse(peer, "client", "the first message must open an avatar")
                else:
                    peer.paused = not self._workshop.tell(peer.seat, message)
            if peer.files and (peer.seat is not None or len(peer.files) > 1):
                self._refuse(peer, "client", "it sends open files that nobody wants")
        except WireError as err:
            self._refuse(peer, "client", str(err))
        self._watch(peer)

    def _open(self, peer: Peer, message: Open) -> None:
        about = self._about
        if peer.seat is not None or len(peer.files) != 1:
            return self._refuse(peer, "client", "an avatar is opened once, with the open file of its latents")
        if message.protocol != PROTOCOL:
            return self._refuse(peer, "client", f"protocol {message.protocol}, and the server speaks {PROTOCOL}")
        if message.version != about.version or message.fingerprint not in ("", about.fingerprint):
            return self._refuse(
                peer,
                "client",
                f"the latents are for MuseTalk {message.version[:8]} and the image coder "
                f"{message.fingerprint[:12] or '?'}, the server has {about.version} and {about.fingerprint}",
            )
        seat = peer.seat = self._workshop.seat(message.channel[:64], peer.pid)
        self._seated[seat] = peer
        threading.Thread(
            target=self._read_latents, args=(seat, peer.files.pop()), name="latents", daemon=True
        ).start()

    def _read_latents(self, seat: Seat, descriptor: int) -> None:
        """In a thread of its own: a disk may be slow."""
        try:
            arrived = Arrived(*read_latents(descriptor, self._limit))
        except AssetError as err:
            arrived = Arrived("", None, str(err))
        except Exception as err:  # whatever it is, the client waits for an answer
            arrived = Arrived("", None, f"the latents cannot be read: {err}")
        self._workshop.tell(seat, arrived)

    def _look_after(self) -> None:
        """Time-outs, and sessions that can be read again."""
        now = time.monotonic()
        for peer in list(self._peers):
            if not peer.spoke and now - peer.since > OPEN_S:
                self._drop(peer, f"has said nothing for {OPEN_S:.0f} s")
            elif peer.waits and (now - peer.moved > STALLED_S or peer.unread > UNREAD):
                self._drop(peer, f"does not read: {peer.unread} bytes wait for it")
            elif peer.paused and peer.seat is not None and len(peer.seat.said) <= SAID // 2:
                self._understand(peer)

    # -- sending

    def _hand(self, seat: Seat, message: ToClient) -> None:
        """From the workshop's thread."""
        peer = self._seated.get(seat)
        if peer is not None:
            peer.queue(message)
            peer.closing = peer.closing or isinstance(message, Failed)
            self._ready.append(peer)
            self._wake()

    def _send(self, peer: Peer, message: ToClient) -> None:
        peer.queue(message)
        self._write(peer)

    def _write(self, peer: Peer) -> None:
        try:
            faces = peer.write()
        except OSError:
            return self._drop(peer)
        if faces and peer.seat is not None:
            self._workshop.sent(peer.seat, faces)
        if peer.closing and not peer.waits:
            return self._drop(peer)
        self._watch(peer)

    def _refuse(self, peer: Peer, fault: str, reason: str) -> None:
        if peer.closing or peer.gone:
            return
        self._refused += 1
        _log.warning("a connection is refused", extra={"reason": reason, "pid": peer.pid})
        peer.closing = True
        self._leave(peer)
        self._send(peer, Failed(fault, reason))

    def _watch(self, peer: Peer) -> None:
        """Reading unless it is paused, writing while something waits."""
        if peer.gone:
            return
        wanted = (0 if peer.paused else selectors.EVENT_READ) | (selectors.EVENT_WRITE if peer.waits else 0)
        known = self._selector.get_map().get(peer.sock)
        if known is None and wanted:
            self._selector.register(peer.sock, wanted, peer)
        elif known is not None and not wanted:
            self._selector.unregister(peer.sock)
        elif known is not None and known.events != wanted:
            self._selector.modify(peer.sock, wanted, peer)

    # -- ends

    def _leave(self, peer: Peer) -> None:
        if peer.seat is not None:
            self._seated.pop(peer.seat, None)
            self._workshop.leave(peer.seat)

    def _drop(self, peer: Peer, why: str = "") -> None:
        if peer.gone:
            return
        if why:
            self._refused += 1
            _log.warning("a connection is closed", extra={"reason": f"process {peer.pid} {why}"})
        self._leave(peer)
        if self._selector.get_map().get(peer.sock) is not None:
            self._selector.unregister(peer.sock)
        self._peers.discard(peer)
        peer.close()

    def _end(self, fault: HeadError | None) -> None:
        """Hands back what is in the making, says why it ends, closes."""
        until = time.monotonic() + STOP_S
        self._workshop.stop()
        while fault is None and not self._workshop.over and time.monotonic() < until:
            self._turn(None)
        reason = str(fault) if fault is not None else "the server was stopped"
        for peer in list(self._peers):
            peer.closing = True
            self._send(peer, Failed("server", reason))
        while self._peers and time.monotonic() < until:
            self._turn(None)
        for peer in list(self._peers):
            self._drop(peer)
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # it is awake already, or has ended
