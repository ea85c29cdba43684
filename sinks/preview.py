"""Serves the stream as fragmented MP4 on a UNIX socket, to any number of local clients. A sink child, one thread.

Messages: length (4 bytes, big endian, of what follows), kind (1 byte), payload. A client gets b"C" (codec string),
b"I" (init segment), the fragments since the last key frame, and then each new one: b"K" begins with a key frame,
b"D" does not. A client that falls behind is dropped alone.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event
from typing import Final

from broadcaster.errors import SinkError, SinkFailure
from broadcaster.media import EncodedPacket
from sinks import fmp4
from sinks.packets import PacketReader, Rebase
from sinks.report import Report

CLIENT_BYTES: Final = 4 * 1024 * 1024
"""What may wait for one client: about ten seconds. A page that is further behind does better with a fresh start."""
GOP_BYTES: Final = 8 * 1024 * 1024
"""The fragments kept since the last key frame; a longer GOP is not kept, and clients then wait for the next."""
MAX_CLIENTS: Final = 64
LATE_SOUND: Final = 16
"""Packets of sound that may wait for a picture (0.3 s) before they go out in a fragment of their own."""


class PreviewSink:
    """settings: socket (path; whoever may enter its directory may watch)."""

    def __init__(self, settings: Mapping[str, object], report: Report) -> None:
        self._path = Path(str(settings["socket"]))
        self._report = report

    def run(self, packets: PacketReader, stop: Event) -> None:
        stream = Stream(packets)
        with selectors.DefaultSelector() as selector, self._listen() as listener:
            selector.register(packets, selectors.EVENT_READ)
            selector.register(listener, selectors.EVENT_READ)
            self._report("live")
            clients = Clients(selector)
            try:
                while not stop.is_set():
                    for key, _ in selector.select():
                        if key.fileobj is packets:
                            batch = packets.read()
                            if batch is None:
                                return
                            clients.send(stream.take(batch))
                        elif key.fileobj is listener:
                            clients.accept(listener, stream.opening())
                        else:
                            clients.serve(key.data, key.events)
            finally:
                clients.close()

    def _listen(self) -> socket.socket:
        """Binds under another name and moves it into place: the one before may still be there."""
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            new.unlink(missing_ok=True)
            listener.bind(str(new))
            new.chmod(0o600)
            listener.listen(16)
            listener.setblocking(False)
            new.replace(self._path)
        except OSError as err:
            listener.close()
            raise SinkError(f"cannot listen on {self._path}: {err.strerror}", SinkFailure.STORAGE) from err
        return listener


class Stream:
    """Packets in, messages out, and what a new client must get first."""

    def __init__(self, packets: PacketReader) -> None:
        form = packets.format
        self._head = _message(b"C", fmp4.codec_string(form).encode()) + _message(b"I", fmp4.init_segment(form))
        self._rebase = Rebase(form.fps)
        self._pictures: list[tuple[int, EncodedPacket]] = []
        self._sound: list[tuple[int, EncodedPacket]] = []
        self._sequence = 0
        self._gop: list[bytes] = []
        self._gop_bytes = 0

    def take(self, batch: Iterable[EncodedPacket]) -> list[bytes]:
        """The batch as messages: one fragment, and another one from each key frame on."""
        messages = []
        for packet in batch:
            pts = self._rebase.pts(packet)
            if pts is None:
                continue
            if packet.kind == "audio":
                self._sound.append((pts, packet))
                continue
            if packet.keyframe and self._pictures:
                messages.append(self._fragment())
            self._pictures.append((pts, packet))
        if self._pictures or len(self._sound) >= LATE_SOUND:
            messages.append(self._fragment())
        return messages

    def opening(self) -> bytes:
        return self._head + b"".join(self._gop)

    def _fragment(self) -> bytes:
        self._sequence += 1
        key = bool(self._pictures) and self._pictures[0][1].keyframe
        message = _message(b"K" if key else b"D", fmp4.fragment(self._sequence, self._pictures, self._sound))
        self._pictures, self._sound = [], []
        if key:
            self._gop, self._gop_bytes = [], 0
        self._gop_bytes += len(message)
        if self._gop_bytes <= GOP_BYTES and (key or self._gop):
            self._gop.append(message)
        else:
            self._gop = []
        return message


class Client:
    __slots__ = ("queue", "queued", "sock")

    def __init__(self, sock: socket.socket, opening: bytes) -> None:
        self.sock = sock
        self.queue: deque[memoryview] = deque([memoryview(opening)])
        self.queued = len(opening)


class Clients:
    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._clients: list[Client] = []

    def accept(self, listener: socket.socket, opening: bytes) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        client = Client(sock, opening)
        self._clients.append(client)
        self._selector.register(sock, selectors.EVENT_READ, client)
        self._push(client)

    def send(self, messages: list[bytes]) -> None:
        if not messages:
            return
        data = b"".join(messages)
        for client in list(self._clients):
            if client.queued + len(data) > CLIENT_BYTES:
                self._drop(client)
                continue
            client.queue.append(memoryview(data))
            client.queued += len(data)
            self._push(client)

    def serve(self, client: Client, events: int) -> None:
        """The client's socket can be written again, or it has closed (clients say nothing)."""
        try:
            if not client.sock.recv(256):
                self._drop(client)
                return
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        self._push(client)

    def close(self) -> None:
        for client in list(self._clients):
            self._drop(client)

    def _push(self, client: Client) -> None:
        try:
            while client.queue:
                first = client.queue[0]
                sent = client.sock.send(first)
                client.queued -= sent
                if sent == len(first):
                    client.queue.popleft()
                else:
                    client.queue[0] = first[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.queue else 0)
        if self._selector.get_key(client.sock).events != wanted:
            self._selector.modify(client.sock, wanted, client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._selector.unregister(client.sock)
            client.sock.close()


def _message(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) + 1) + kind + payload
