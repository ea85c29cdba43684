"""Playout's socket: the director, the head and command-line peers connect here.

One thread accepts, each peer has a reader and a writer thread. Readers put (peer, message) into playout's inbox,
but for sink commands, which touch the disk and are answered in the reader's thread; nothing here touches the talk
state, and nothing the tick thread calls here can block.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

from broadcaster.errors import WireError
from broadcaster.wire import Aired, AnyMessage, Connection, Hello, SinkCommand, SinkReply, Welcome

log = logging.getLogger(__name__)

OUTBOX = 512
"""Messages waiting for one peer: a head that is a second behind has about 30; a peer with this many is dropped."""

MISSED_EVENTS = 1000
"""`Aired` events kept while no director is connected: over half an hour of speech in short sentences."""

TOLD_EVENTS = 16
"""`Aired` events told again to the next director: one that died may not have written the last ones down. A few
sentences' worth; whoever is told one twice knows it by its generation and sentence."""

INBOX = 4096
"""Messages waiting for the tick thread: a second of patches for several heads; readers wait when it is full."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A peer said hello and may be talked to."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Left:
    peer: Peer


@dataclass(frozen=True, slots=True)
class Said:
    peer: Peer
    message: AnyMessage


Event = Arrived | Left | Said


class Peer:
    """One connected process. `post` never blocks; a peer that does not keep up is disconnected."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        self.role = hello.role
        self.hello = hello
        self._connection = connection
        self._outbox: Queue[AnyMessage | None] = Queue(OUTBOX)
        self.gone = threading.Event()
        threading.Thread(target=self._write, name=f"to-{self.role}", daemon=True).start()

    @property
    def waiting(self) -> int:
        return self._outbox.qsize()

    def post(self, message: AnyMessage) -> bool:
        """False when the peer is gone or was just dropped for being too slow."""
        if self.gone.is_set():
            return False
        try:
            self._outbox.put_nowait(message)
        except Full:
            log.warning("a peer does not keep up and is disconnected", extra={"role": self.role})
            self.drop()
            return False
        return True

    def drop(self) -> None:
        self.gone.set()
        self._connection.close()

    def _write(self) -> None:
        while not self.gone.is_set():
            try:
                message = self._outbox.get(timeout=1.0)
            except Empty:
                continue
            if message is None:
                return
            try:
                self._connection.send(message)
            except (OSError, WireError) as err:
                if isinstance(err, WireError):
                    log.error("a message cannot be sent", extra={"role": self.role, "error": str(err)})
                self.drop()  # the reader reports it
                return


class Links:
    """The newest peer of a role is the one that counts: a process that was restarted replaces its dead self."""

    def __init__(
        self, path: Path, inbox: Queue[Event], on_sink_command: Callable[[SinkCommand], SinkReply] | None = None
    ) -> None:
        self._path = path
        self._inbox = inbox
        self._on_sink_command = on_sink_command
        self._peers: dict[str, Peer] = {}
        self._missed: deque[Aired] = deque(maxlen=MISSED_EVENTS)
        self._told: deque[Aired] = deque(maxlen=TOLD_EVENTS)
        self._listener = _listen(path)

    def start(self) -> None:
        threading.Thread(target=self._accept, name="links", daemon=True).start()

    def peer(self, role: str) -> Peer | None:
        peer = self._peers.get(role)
        return peer if peer is not None and not peer.gone.is_set() else None

    # The following are called by the tick thread only.

    def welcome(self, peer: Peer, welcome: Welcome) -> None:
        old = self._peers.get(peer.role)
        if old is not None and old is not peer:
            old.drop()
        self._peers[peer.role] = peer
        peer.post(welcome)
        if peer.role == "director":
            for event in self._told:
                peer.post(event)
            self._catch_up(peer)

    def forget(self, peer: Peer) -> bool:
        """True when `peer` was the current one of its role."""
        if self._peers.get(peer.role) is not peer:
            return False
        del self._peers[peer.role]
        return True

    def to_head(self, message: AnyMessage) -> None:
        peer = self.peer("head")
        if peer is not None:
            peer.post(message)

    def to_director(self, message: AnyMessage) -> None:
        """Events that find no director are kept for the next one, in order; anything else is dropped."""
        peer = self.peer("director")
        if isinstance(message, Aired):
            self._missed.append(message)
        elif peer is not None:
            peer.post(message)
        if peer is not None:
            self._catch_up(peer)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)  # a close alone leaves the thread in accept(), still accepting
        self._listener.close()
        for peer in list(self._peers.values()):
            peer.drop()

    def _catch_up(self, director: Peer) -> None:
        """Half the outbox at most, so that a long absence does not look like a peer that does not keep up."""
        while self._missed and director.waiting < OUTBOX // 2 and director.post(self._missed[0]):
            self._told.append(self._missed.popleft())

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(sock,), name="peer", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        try:
            hello = connection.receive()
        except (OSError, WireError):
            hello = None
        if not isinstance(hello, Hello):
            connection.close()
            return
        peer = Peer(connection, hello)
        self._inbox.put(Arrived(peer))
        try:
            while (message := connection.receive()) is not None:
                if isinstance(message, SinkCommand) and self._on_sink_command is not None:
                    peer.post(self._on_sink_command(message))
                else:
                    self._inbox.put(Said(peer, message))
        except WireError as err:
            log.warning("a peer broke the framing", extra={"role": peer.role, "error": str(err)})
        except OSError:
            pass  # it was reset or dropped: the same as a close
        peer.drop()
        self._inbox.put(Left(peer))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(16)
    return listener
