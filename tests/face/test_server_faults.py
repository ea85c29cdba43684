"""What an engine server makes of clients that are broken, slow or dead, and of a server's end."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.errors import AlreadyRunning, ConfigError, HeadError, WireError
from broadcaster.head.musetalk import messages, server
from broadcaster.head.musetalk.batcher import BOUND
from broadcaster.head.musetalk.faces import Wanted
from broadcaster.head.musetalk.link import hello_of, state_of
from broadcaster.head.musetalk.messages import (
    MAX_TO_SERVER,
    PROTOCOL,
    Ask,
    Begin,
    Failed,
    Flush,
    Hear,
    Hello,
    Incoming,
    Lost,
    Made,
    Open,
    Opened,
    Rewind,
    encode,
)
from broadcaster.head.musetalk.remote import RemoteFaces
from broadcaster.head.musetalk.server import PEERS
from broadcaster.head.musetalk.socketfile import listening
from tests.face.support.serving import RawClient, latents, opened, serving, spoken, taken, until
from tests.fakes.face_maker import FaceMaker

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
OPEN = Open(PROTOCOL, "raw", "1.5", "")


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "head.sock"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return latents(tmp_path / "latents.npy")


@pytest.fixture
def maker(path: Path) -> Iterator[FaceMaker]:
    made = FaceMaker()
    with serving(path, made):
        yield made


def raw(path: Path, file: Path | None = None) -> RawClient:
    """A client that was greeted, and has opened an avatar where `file` is given."""
    client = RawClient(path)
    assert isinstance(client.hears(), Hello)
    if file is not None:
        with file.open("rb") as latents_file:
            client.open(OPEN, latents_file.fileno())
        assert client.hears() == Opened(4, 5, BOUND, 300.0)
    return client


def wanted(count: int) -> list[Wanted]:
    return [Wanted(key, 2 * key, key % 5) for key in range(count)]


NONSENSE: dict[str, bytes] = {
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length without end": struct.pack(">I", 0xFFFFFFFF) + b"x" * 100,
    "one byte over the limit": struct.pack(">I", MAX_TO_SERVER + 1),
    "no msgpack": struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1",
    "an unknown message": struct.pack(">I", 8) + b"\x81\xa1$\xa4Nope",
    "a field of another type": struct.pack(">I", 20) + b"\x82\xa1$\xa5Begin\xa6number\xa3one",
    "a server's own message": encode(Failed("x", "y")),
    "a question without end": encode(Ask([(0, 0, 0)] * 100_000)),
    "text that is no UTF-8": struct.pack(">I", 12) + b"\x82\xa1$\xa4Open\xa2\xf2\x01\x01",
    "lists in lists without end": struct.pack(">I", 100_011) + b"\x82\xa1$\xa5Flush\xa1x" + b"\x91" * 100_000,
    "nothing in a message": struct.pack(">I", 0),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_ends_its_own_connection_alone(path: Path, maker: FaceMaker, file: Path, what: str) -> None:
    faces = opened(path, file)
    client = raw(path)
    client.sock.sendall(NONSENSE[what])
    answer = client.hears()
    assert isinstance(answer, Failed)
    assert answer.fault == "client"
    assert client.hears() is None
    client.close()
    assert len(spoken(faces, 0.4, seed=1)) == 10
    assert state_of(path).refused == 1
    faces.close()


WRONG: dict[str, tuple[bool, list[messages.ToServer], str]] = {
    "a face before an avatar": (False, [Ask([(0, 0, 0)])], "first message must open"),
    "sound before an avatar": (False, [Begin(1)], "first message must open"),
    "an avatar without its file": (False, [OPEN], "with the open file"),
    "another avatar": (True, [OPEN], "opened once"),
    "half a sample": (True, [Hear(b"abc")], "half a sample"),
    "a row that is not there": (True, [Ask([(0, 0, 5)])], "row 5 of an avatar with 5"),
    "a row before the first": (True, [Ask([(0, 0, -1)])], "row -1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_told(path: Path, maker: FaceMaker, file: Path, what: str) -> None:
    with_avatar, said, answer = WRONG[what]
    client = raw(path, file if with_avatar else None)
    client.say(*said)
    failed = client.hears()
    assert isinstance(failed, Failed)
    assert answer in failed.reason
    assert client.hears() is None
    client.close()
    until(lambda: state_of(path).sessions == [])


def test_numbers_without_measure_cost_nothing(path: Path, maker: FaceMaker, file: Path) -> None:
    client = raw(path, file)
    most = 2**63 - 1
    client.say(Begin(most), Hear(bytes(9600)), Rewind(most), Rewind(-most), Ask([(most, most, 0), (-most, -most, 4)]))
    client.say(Flush())
    made = client.hears()
    assert isinstance(made, Made)
    assert (made.number, made.keys) == (most, [most, -most])
    client.close()


def test_open_files_that_nobody_wants_are_closed(path: Path, maker: FaceMaker, file: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for number in (2, 4, 10):
        client = raw(path)
        with file.open("rb") as given:
            client.open(OPEN, *[given.fileno()] * number)
        assert isinstance(client.hears(), Failed)
        client.close()
    client = raw(path, file)
    with file.open("rb") as given:
        client.open(Flush(), given.fileno())
    assert isinstance(client.hears(), Failed)
    client.close()
    until(lambda: descriptors() <= before)


def test_a_client_that_reads_nothing_is_held_to_its_bound_and_dropped(
    path: Path, maker: FaceMaker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.5)
    client, faces = raw(path, file), opened(path, file)
    client.say(*[Ask([(key, 0, 0) for key in range(at, at + 8)]) for at in range(0, 400, 8)], Flush())
    assert len(spoken(faces, 1.0, seed=1)) == 25
    until(lambda: len(state_of(path).sessions) == 1)
    assert sum(maker.batches) < 25 + BOUND + 16
    assert state_of(path).refused == 1
    client.close()
    faces.close()


def test_beyond_the_bound_faces_are_lost_and_told(path: Path, maker: FaceMaker, file: Path) -> None:
    client = raw(path, file)
    maker.hold_back()
    client.say(Begin(1), Ask([(key, 0, 0) for key in range(BOUND + 6)]))
    assert client.hears() == Lost(1, list(range(BOUND, BOUND + 6)))
    maker.release()
    keys: list[int] = []
    while len(keys) < BOUND:
        made = client.hears()
        assert isinstance(made, Made)
        keys += made.keys
    assert keys == list(range(BOUND))
    (session,) = state_of(path).sessions
    assert (session.asked, session.made, session.lost) == (BOUND + 6, BOUND, 6)
    client.close()


def test_a_flood_delays_itself(path: Path, maker: FaceMaker, file: Path) -> None:
    """More than a socket holds, of everything that costs work: it is read as it is worked on, beside another."""
    client, faces = raw(path, file), opened(path, file)
    client.sock.setblocking(False)
    flood = b"".join(encode(each) for each in (Hear(bytes(1920)), Flush(), Rewind(0), Begin(1)) * 500)
    left = memoryview(flood * 4)

    def push() -> None:
        nonlocal left
        try:
            left = left[client.sock.send(left) :] if left else left
        except BlockingIOError:
            pass

    push()
    found = 0
    faces.ask(wanted(40))
    faces.flush()
    while found < 40 or left:
        push()
        found += len(faces.take(0.001))
    until(lambda: hello_of(path))
    assert len(state_of(path).sessions) == 2
    client.close()
    faces.close()


def test_a_full_house_sends_the_next_one_away(path: Path, maker: FaceMaker, file: Path) -> None:
    clients = [raw(path) for _ in range(PEERS)]
    with pytest.raises(HeadError, match=f"takes nobody: {PEERS} connections") as caught:
        opened(path, file)
    assert caught.value.retryable
    clients.pop().close()
    until(lambda: _opens(path, file))
    for client in clients:
        client.close()


def _opens(path: Path, file: Path) -> bool:
    try:
        opened(path, file).close()
    except HeadError:
        return False
    return True


def test_who_says_nothing_is_not_waited_for(path: Path, maker: FaceMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OPEN_S", 0.1)
    client = raw(path)
    assert client.hears() is None
    client.close()


def _answers(path: Path) -> bool:
    try:
        hello_of(path)
    except HeadError:
        return False
    return True


def test_a_device_that_fails_ends_the_server_and_says_so(path: Path, file: Path) -> None:
    maker = FaceMaker()

    def evening() -> None:
        with serving(path, maker):
            faces = opened(path, file)
            maker.broken = "CUDA error: an illegal memory access was encountered"
            faces.ask(wanted(4))
            with pytest.raises(HeadError, match="ended the session: the engine server failed: CUDA error") as caught:
                taken(faces, 4)
            assert caught.value.retryable

    with pytest.raises(HeadError, match="the engine server failed: CUDA error"):
        evening()
    assert not path.exists()


def test_a_device_that_hangs_ends_the_server(path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.musetalk.workshop.PATIENCE_CPU_S", 0.3)
    maker = FaceMaker()

    def evening() -> None:
        with serving(path, maker):
            faces = opened(path, file)
            maker.hold_back()
            faces.ask(wanted(4))
            with pytest.raises(HeadError, match=r"hangs|has made no face"):
                taken(faces, 4)
            until(lambda: not path.exists())

    with pytest.raises(HeadError, match="the device hangs"):
        evening()


def test_a_stop_hands_over_what_is_in_the_making(path: Path, file: Path) -> None:
    maker = FaceMaker()
    with serving(path, maker) as running:
        faces = opened(path, file)
        maker.hold_back()
        faces.ask(wanted(20))
        until(lambda: maker.in_flight == 2)
        running.stop()
        until(lambda: not _answers(path))
        maker.release()
        assert [face.key for face in taken(faces, 8)] == list(range(8))
        with pytest.raises(HeadError, match="ended the session: the server was stopped") as caught:
            taken(faces, 1)
        assert caught.value.retryable
    for use in (lambda: faces.begin(), lambda: faces.ask(wanted(1)), lambda: faces.take(0)):
        with pytest.raises(HeadError, match="the server was stopped"):
            use()
    with pytest.raises(HeadError, match="no engine server answers") as caught:
        faces.load(file)
    assert caught.value.retryable
    with serving(path, FaceMaker()):
        faces.load(file)
        assert len(spoken(faces, 0.4, seed=1)) == 10
        faces.close()


def test_a_server_that_says_nothing_is_given_up(path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.musetalk.link.CONNECT_S", 0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        faces = RemoteFaces(path, "1.5", 4)
        with pytest.raises(HeadError, match="did not say hello"):
            faces.load(file)
        listener.accept()[0].close()


def test_one_server_at_a_path(path: Path, maker: FaceMaker) -> None:
    with pytest.raises(AlreadyRunning, match="listens at"), listening(path):
        pass
    assert hello_of(path).batch == 4


def test_what_lies_in_the_way(short_dir: Path) -> None:
    place = short_dir / "in" / "a" / "folder" / "head.sock"
    with listening(place):
        assert place.parent.stat().st_mode & 0o777 == 0o700
    assert not place.exists()
    place.write_text("a note")
    with pytest.raises(ConfigError, match="is there and is no socket"), listening(place):
        pass
    with pytest.raises(ConfigError, match="too long"), listening(short_dir / ("x" * 120)):
        pass
    with pytest.raises(ConfigError, match="no group"), listening(short_dir / "other.sock", "nobody-has-this-group"):
        pass
    with pytest.raises(ConfigError, match="cannot listen there"), listening(Path("/proc/head.sock")):
        pass


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
@settings(max_examples=50)
def test_messages_survive_any_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    incoming, found = Incoming(40), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        incoming.feed(stream[:size])
        stream = stream[size:]
        while (body := incoming.body()) is not None:
            found.append(bytes(body))
    assert found == bodies
    incoming.feed(struct.pack(">I", 41))
    with pytest.raises(WireError):
        incoming.body()
