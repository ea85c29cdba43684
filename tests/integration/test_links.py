"""Playout's socket with real peers: order, replacement, missed events, slow and broken peers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue

import pytest

from broadcaster.playout.links import MISSED_EVENTS, OUTBOX, TOLD_EVENTS, Arrived, Event, Left, Links, Said
from broadcaster.wire import (
    MAX_MESSAGE,
    Aired,
    Connection,
    Cut,
    Hello,
    Patch,
    SinkCommand,
    SinkReply,
    Welcome,
)

pytestmark = pytest.mark.integration


class Rig:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.inbox: Queue[Event] = Queue()
        self.commands: list[SinkCommand] = []
        self.links = Links(path, self.inbox, self._command)
        self.links.start()

    def connect(self, role: str, hello: bool = True) -> Connection:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(10)
        sock.connect(str(self.path))
        connection = Connection(sock)
        if hello:
            connection.send(Hello(role))
        return connection

    def next(self) -> Event:
        return self.inbox.get(timeout=10)

    def join(self, role: str) -> Connection:
        connection = self.connect(role)
        arrived = self.next()
        assert isinstance(arrived, Arrived)
        self.links.welcome(arrived.peer, Welcome(7, 25, 250, 3))
        assert connection.receive() == Welcome(7, 25, 250, 3)
        return connection

    def _command(self, command: SinkCommand) -> SinkReply:
        self.commands.append(command)
        return SinkReply(command.request, True)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "playout.sock")
    yield made
    made.links.close()


def _aired(number: int) -> Aired:
    return Aired("heard", 1, "u", number, "", "", number, 0, 0)


def test_messages_of_a_peer_arrive_in_order(rig: Rig) -> None:
    director = rig.join("director")
    for generation in range(1, 50):
        director.send(Cut(generation))
    said = [rig.next() for _ in range(49)]
    assert [e.message for e in said if isinstance(e, Said)] == [Cut(n) for n in range(1, 50)]
    director.close()
    assert isinstance(rig.next(), Left)


def test_the_socket_belongs_to_its_user_alone(rig: Rig) -> None:
    assert rig.path.stat().st_mode & 0o777 == 0o600


def test_events_wait_for_a_director_and_are_bounded(rig: Rig) -> None:
    for number in range(MISSED_EVENTS + 5):
        rig.links.to_director(_aired(number))
    director = rig.join("director")
    seen = []
    while len(seen) < MISSED_EVENTS:
        rig.links.to_director(Cut(0))  # as the status does once a second
        while len(seen) < MISSED_EVENTS and not isinstance(message := director.receive(), Cut):
            assert isinstance(message, Aired)
            seen.append(message.sentence)
    assert seen == list(range(5, 5 + MISSED_EVENTS))
    director.close()


def test_a_restarted_director_replaces_its_old_self(rig: Rig) -> None:
    first = rig.join("director")
    second = rig.join("director")
    rig.links.to_director(_aired(1))
    assert second.receive() == _aired(1)
    assert first.receive() is None
    left = rig.next()
    assert isinstance(left, Left)
    assert not rig.links.forget(left.peer)
    assert rig.links.peer("director") is not None
    second.close()
    first.close()


def test_the_next_director_is_told_the_last_reports_again(rig: Rig) -> None:
    first = rig.join("director")
    for number in range(TOLD_EVENTS + 3):
        rig.links.to_director(_aired(number))
        assert first.receive() == _aired(number)
    first.close()
    while not isinstance(left := rig.next(), Left):
        pass
    rig.links.forget(left.peer)
    rig.links.to_director(_aired(100))
    second = rig.join("director")
    told = [second.receive() for _ in range(TOLD_EVENTS + 1)]
    assert told == [_aired(number) for number in (*range(3, TOLD_EVENTS + 3), 100)]
    second.close()


def test_a_head_that_does_not_read_is_dropped_and_never_waited_for(rig: Rig) -> None:
    head = rig.join("head")
    patch = Patch(1, 1, 1, 1, (0, 0, 16, 16), bytes(200_000))
    for _ in range(OUTBOX + 50):
        rig.links.to_head(patch)
    assert isinstance(rig.next(), Left)
    assert rig.links.peer("head") is None
    head.close()


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", MAX_MESSAGE + 1), struct.pack(">I", 3) + b"\xff\xff\xff", b""],
)
def test_what_is_not_a_hello_is_shown_the_door(rig: Rig, garbage: bytes) -> None:
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stranger.settimeout(10)
    stranger.connect(str(rig.path))
    stranger.sendall(garbage)
    stranger.shutdown(socket.SHUT_WR)
    with suppress(ConnectionResetError):  # unread bytes turn the close into a reset
        assert stranger.recv(1) == b""
    stranger.close()
    with pytest.raises(Empty):
        rig.inbox.get_nowait()
    rig.join("director").close()


def test_garbage_after_a_hello_ends_that_peer_only(rig: Rig) -> None:
    head = rig.join("head")
    director = rig.connect("director", hello=False)
    director.send(Hello("director"))
    arrived = rig.next()
    assert isinstance(arrived, Arrived)
    rig.links.welcome(arrived.peer, Welcome(7, 25, 250, 3))
    raw = socket.socket(fileno=director.fileno())
    raw.sendall(struct.pack(">I", 4) + b"oops")
    raw.detach()
    assert isinstance(rig.next(), Left)
    rig.links.to_head(Cut(9))
    assert head.receive() == Cut(9)
    head.close()
    director.close()


def test_sink_commands_are_answered_without_the_tick_thread(rig: Rig) -> None:
    director = rig.join("director")
    director.send(SinkCommand("r1", "pause", "main"))
    assert director.receive() == SinkReply("r1", True)
    assert rig.commands == [SinkCommand("r1", "pause", "main")]
    with pytest.raises(Empty):
        rig.inbox.get_nowait()
    director.close()
