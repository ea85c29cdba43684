"""The head's work for one connection, message by message: what a trim leaves of a batch, what it says last."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace

import pytest

from broadcaster.errors import HeadError
from broadcaster.head.desk import SEEN_AHEAD, Desk
from broadcaster.head.ladder import TOO_LATE
from broadcaster.head.process import _Shift
from broadcaster.head.stepped import SteppedHead
from broadcaster.head.still import StillHead
from broadcaster.ports import TalkingHead
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import MouthPatch
from broadcaster.wire import Anchor, Connection, End, HeadStatus, Patch, Speak, Trim, Window
from tests.fakes.heads import PlainHead, lightened
from tests.support.faces import host, voiced

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


class InBatches(PlainHead):
    """Renders four pictures before it gives the first of them; one that hears the end is not lightened."""

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        for start in range(first, last + 1, 4):
            yield from [self._hearing(patch) for patch in super().render(start, min(last, start + 3))]

    def _hearing(self, patch: MouthPatch) -> MouthPatch:
        line = self._line
        assert line is not None
        whole = line.middle(patch.tick) - 960 + SEEN_AHEAD <= self._track.samples
        return lightened(self.avatar, line, patch.tick, 1 + patch.tick % 7 if whole else 0)


class Bench:
    def __init__(self, avatar: ExpandedAvatar, engine: TalkingHead) -> None:
        ours, theirs = socket.socketpair()
        self.ours, self.theirs = Connection(ours), Connection(theirs)
        theirs.settimeout(5)
        head = SteppedHead(
            "plain", lambda name: StillHead() if name == "still" else engine if name == "plain" else PlainHead(name)
        )
        head.load(avatar)
        self.head = SimpleNamespace(engine=head, stop=Event(), rendered=0, skipped=0, alive=lambda: None)
        self.desk = Desk(avatar.fps, head.lead_ticks)
        self.shift = _Shift(self.head, self.ours, self.desk)  # type: ignore[arg-type]

    def take(self, *messages: Speak | End | Anchor | Window | Trim) -> None:
        for message in messages:
            self.shift._take(message)

    def patch(self) -> Patch:
        work = self.desk.work()
        assert work is not None
        self.shift._render(*work)
        got = self.theirs.receive()
        assert isinstance(got, Patch)
        return got

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def bench(avatar: ExpandedAvatar) -> Iterator[Bench]:
    made = Bench(avatar, InBatches())
    yield made
    made.close()


def spoken(pictures: int) -> Speak:
    return Speak(1, "u", 0, "text", voiced(1920 * pictures), [])


def test_a_trim_voids_the_batch_at_hand_as_well(bench: Bench, avatar: ExpandedAvatar) -> None:
    bench.take(spoken(40), End(1, "u"), Anchor(1, "u", 1, 100, 0), Window(99, 140))
    first = [bench.patch() for _ in range(5)]
    bench.take(Trim(1, "u", 0, 1920 * 9 + 100))
    rest = []
    while bench.desk.work() is not None:
        rest.append(bench.patch())
    assert [patch.tick for patch in first + rest] == list(range(100, 100 + 13))
    for patch in rest:
        box = avatar.mouth_box_at(patch.base)
        lighter = int(patch.planes[0]) - int(avatar.frame(patch.base)[0][box.y, box.x])
        assert lighter == (1 + patch.tick % 7 if patch.tick < 106 else 0)


def test_how_far_back_a_trim_goes_is_asked_of_the_engine_that_is_at_work_then(bench: Bench) -> None:
    bench.take(spoken(40), End(1, "u"), Anchor(1, "u", 1, 100, 0), Window(99, 140))
    for _ in range(30):
        bench.patch()
    bench.head.engine.late(3)
    assert bench.head.engine.step == "half"
    bench.take(Trim(1, "u", 0, 1920 * 20))
    assert bench.desk.work() == (115, 140), "140 ms and one picture before the end"


def test_the_last_status_says_why_no_engine_is_left(avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PlainHead()
    bench = Bench(avatar, engine)

    def broken(*args: object) -> None:
        raise HeadError("gone for good", retryable=False)

    try:
        monkeypatch.setattr(PlainHead, "begin", broken)
        monkeypatch.setattr(StillHead, "begin", broken)
        for message in (spoken(4), Anchor(1, "u", 1, 100, 0)):
            bench.theirs.send(message)
        with pytest.raises(HeadError, match="gone for good"):
            bench.shift.run()
        statuses = [bench.theirs.receive() for _ in range(2)]
    finally:
        bench.close()
    assert isinstance(statuses[1], HeadStatus)
    assert "gone for good" in statuses[1].note


def test_pictures_whose_speech_was_late_are_not_held_against_the_engine(bench: Bench) -> None:
    bench.take(spoken(6), Anchor(1, "u", 1, 100, 0), Window(99, 140))
    while not bench.shift._starved:
        work = bench.desk.work()
        assert work is not None
        bench.shift._render(*work)
    bench.take(Window(120, 150), spoken(60))
    assert bench.desk.skipped > TOO_LATE
    assert bench.head.engine.step == ""
    bench.take(Window(130, 160))
    assert bench.head.engine.step == "half", "now it was there to be rendered"


def test_what_was_skipped_is_not_sent_after_all(bench: Bench) -> None:
    bench.take(spoken(60), End(1, "u"), Anchor(1, "u", 1, 100, 0), Window(99, 140))
    assert [bench.patch().tick for _ in range(2)] == [100, 101]
    bench.take(Window(103, 140))
    assert [bench.patch().tick for _ in range(2)] == [104, 105]
    assert (bench.desk.skipped, bench.head.engine.step) == (2, "")


def test_a_window_that_grows_goes_on_where_the_last_one_ended(bench: Bench) -> None:
    bench.take(spoken(60), End(1, "u"), Anchor(1, "u", 1, 100, 0))
    assert bench.patch().tick == 100
    bench.take(Window(99, 120))
    got = [bench.patch().tick for _ in range(8)]
    assert got == list(range(101, 109))
    bench.shift._render(109, 120)
    assert not bench.shift._starved


def test_the_engine_is_looked_after_when_there_is_nothing_to_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcaster.head.process.IDLE_S", 0.0)
    looked: list[bool] = []

    def idle() -> None:
        looked.append(True)
        bench.head.stop.set()

    monkeypatch.setattr(bench.head.engine, "idle", idle)
    bench.shift.run()
    assert looked == [True]
