"""One engine with its stand-ins: fewer pictures, other engines, and back; no tick is ever left out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from broadcaster.errors import HeadError
from broadcaster.head.between import between, planes_of, rendered
from broadcaster.head.ladder import CALM, TOO_LATE
from broadcaster.head.stepped import FIRST_RETRY_S, SteppedHead
from broadcaster.head.still import StillHead, base_planes
from broadcaster.head.timeline import TRAIL_TICKS, Timeline
from broadcaster.head.track import Track
from broadcaster.head.warp import WarpHead
from broadcaster.ports import TalkingHead, ThinningHead
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import MouthPatch, base_index, samples_at
from tests.fakes.heads import PlainHead, lightened
from tests.support.faces import babble, host, phones, track_of

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


class Works:
    """Makes engines by name and remembers them."""

    def __init__(self) -> None:
        self.plain: list[PlainHead] = []
        self.first_fails: list[Exception] = []

    def __call__(self, name: str) -> TalkingHead:
        if name == "plain":
            made = PlainHead()
            if self.first_fails:
                made.fails.append(self.first_fails.pop(0))
            self.plain.append(made)
            return made
        return {"warp": WarpHead, "still": StillHead}[name]()


@pytest.fixture
def works() -> Works:
    return Works()


def loaded(works: Works, avatar: ExpandedAvatar, now: Callable[[], float] = lambda: 0.0) -> SteppedHead:
    head = SteppedHead("plain", works, now)
    head.load(avatar)
    return head


def speak(head: SteppedHead, first_tick: int = 0, seconds: float = 2.0, generation: int = 1) -> Track:
    track = track_of(babble(seconds))
    head.begin(generation, 1, track, first_tick, 0)
    return track


def ticks(patches: list[MouthPatch]) -> list[int]:
    return [patch.tick for patch in patches]


def luma_change(avatar: ExpandedAvatar, patch: MouthPatch) -> float:
    base = base_planes(avatar, patch.box, patch.base)[0]
    return float((planes_of(patch)[0].astype(np.int16) - base).mean())


def test_in_full_the_engine_is_passed_through(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    assert isinstance(works.plain[0], ThinningHead)
    speak(head)
    patches = list(head.render(0, 20))
    assert ticks(patches) == works.plain[0].rendered == list(range(21))
    assert (head.name, head.step, head.degraded, head.note, head.lead_ticks) == ("plain", "", False, "", 3)


@pytest.mark.parametrize(("downs", "stride", "name"), [(1, 2, "half"), (2, 3, "third")])
def test_thinned_it_renders_fewer_and_gives_every_tick(
    works: Works, avatar: ExpandedAvatar, downs: int, stride: int, name: str
) -> None:
    head = loaded(works, avatar)
    for _ in range(downs):
        head.late(TOO_LATE)
    track = speak(head, first_tick=5)
    patches = list(head.render(5, 400))
    over = 5 + round(track.samples / samples_at(1, avatar.fps)) + TRAIL_TICKS
    assert ticks(patches) == list(range(5, over))
    assert [t for t in works.plain[0].rendered if (t - 5) % stride] == []
    assert len(works.plain[0].rendered) <= len(patches) // stride + 1
    assert (head.step, head.degraded) == (name, False)
    assert head.counts["interpolated"] == len(patches) - len([t for t in ticks(patches) if (t - 5) % stride == 0])
    for patch in patches[: over - 5 - TRAIL_TICKS - stride]:
        before = patch.tick - (patch.tick - 5) % stride
        share = (patch.tick - before) / stride
        expected = (1 - share) * (before % 7) + share * ((before + stride) % 7)
        assert luma_change(avatar, patch) == pytest.approx(expected, abs=0.51)
        assert patch.base == base_index(patch.tick, avatar.loop_frames)


@pytest.mark.parametrize("downs", [0, 1, 2])
def test_windows_of_any_length_give_each_tick_once(works: Works, avatar: ExpandedAvatar, downs: int) -> None:
    head = loaded(works, avatar)
    for _ in range(downs):
        head.late(TOO_LATE)
    speak(head)
    whole = list(head.render(0, 43))
    speak(head)
    parts: list[MouthPatch] = []
    for first, last in ((0, 0), (1, 4), (5, 5), (6, 11), (12, 12), (13, 29), (30, 43)):
        parts += head.render(first, last)
    assert ticks(parts) == list(range(44))
    assert [p.planes for p in parts] == [p.planes for p in whole]


def test_too_late_again_and_again_ends_at_the_shut_mouth(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    speak(head)
    seen = []
    for first in range(0, 30, 5):
        seen.append((head.name, head.step, head.degraded))
        assert ticks(list(head.render(first, first + 4))) == list(range(first, first + 5))
        head.late(TOO_LATE)
    assert seen == [
        ("plain", "", False),
        ("plain", "half", False),
        ("plain", "third", False),
        ("warp", "warp", True),
        ("still", "still", True),
        ("still", "still", True),
    ]
    assert head.counts["stepped_down"] == 4
    assert head.note == "plain is too slow here"


def test_a_step_down_ends_the_pictures_at_hand(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    speak(head)
    frames = head.render(0, 20)
    assert next(frames).tick == 0
    head.late(TOO_LATE)
    assert list(frames) == []
    assert ticks(list(head.render(1, 20))) == list(range(1, 21))


def test_it_rises_between_utterances_only(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    head.late(TOO_LATE)
    track = speak(head, seconds=16.0)
    assert len(list(head.render(0, CALM + 100))) == CALM + 101
    assert head.step == "half"
    head.begin(1, 2, track, 400, 0)
    assert head.step == "half", "a new anchor of the same utterance is no pause"
    speak(head, first_tick=900, generation=2)
    assert (head.step, head.counts["stepped_up"]) == ("", 1)
    assert works.plain[0].strides[-1] == 1


def test_an_engine_that_fails_is_replaced_in_the_middle(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    speak(head)
    frames = head.render(0, 20)
    assert ticks([next(frames) for _ in range(5)]) == list(range(5))
    works.plain[0].fails.append(RuntimeError("out of memory"))
    assert ticks(list(frames)) == list(range(5, 21)), "the stand-in goes on at the very tick"
    assert (head.name, head.degraded, head.step) == ("warp", True, "")
    assert head.note == "plain failed: out of memory"
    head.late(100)
    assert head.name == "warp", "a stand-in of a fault is not thinned"


def test_one_that_cannot_be_loaded_is_replaced_at_once(works: Works, avatar: ExpandedAvatar) -> None:
    works.first_fails.append(HeadError("no such file", retryable=False))
    head = loaded(works, avatar)
    assert (head.name, head.note) == ("warp", "plain cannot be loaded: no such file")
    head.idle()
    assert len(works.plain) == 1, "nothing is tried again that cannot come right"


def test_an_engine_that_was_away_comes_back_at_the_next_utterance(works: Works, avatar: ExpandedAvatar) -> None:
    clock = [100.0]
    head = loaded(works, avatar, lambda: clock[0])
    speak(head)
    works.plain[0].fails.append(HeadError("the server is away"))
    assert len(list(head.render(0, 20))) == 21
    assert head.name == "warp"
    head.idle()
    assert len(works.plain) == 1, "not before the pause is over"
    clock[0] += FIRST_RETRY_S
    head.idle()
    join_loading()
    assert head.name == "warp", "not in the middle of an utterance"
    speak(head, first_tick=100, generation=2)
    assert (head.name, head.degraded, head.note) == ("plain", False, "")
    assert head.counts["returned"] == 1
    assert ticks(list(head.render(100, 110))) == list(range(100, 111))
    assert len(works.plain) == 2


def join_loading() -> None:
    for thread in threading.enumerate():
        if thread.name == "head-loading":
            thread.join(10)


@pytest.mark.parametrize("broken", [False, True])
def test_one_that_takes_long_to_load_is_stood_in_for(
    works: Works, avatar: ExpandedAvatar, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlainHead, "loads_long", True, raising=False)
    gate = threading.Event()
    load = PlainHead.load

    def slow(self: PlainHead, pack: ExpandedAvatar) -> None:
        assert gate.wait(10)
        load(self, pack)

    monkeypatch.setattr(PlainHead, "load", slow)
    if broken:
        works.first_fails.append(HeadError("no GPU here", retryable=False))
    head = SteppedHead("plain", works)
    head.load(avatar, wait=False)
    speak(head)
    assert ticks(list(head.render(0, 10))) == list(range(11))
    assert (head.name, head.degraded, head.note) == ("warp", False, "plain is being loaded")
    gate.set()
    join_loading()
    assert head.name == "warp", "never within an utterance"
    speak(head, first_tick=100, generation=2)
    if broken:
        assert (head.name, head.degraded, head.note) == ("warp", True, "plain cannot be loaded: no GPU here")
    else:
        assert (head.name, head.degraded, head.note, head.counts["returned"]) == ("plain", False, "", 0)
        assert ticks(list(head.render(100, 110))) == list(range(100, 111))
    assert len(works.plain) == 1


def test_when_nothing_can_be_loaded_it_says_what(works: Works, avatar: ExpandedAvatar, tmp_path: Path) -> None:
    def broken(name: str) -> TalkingHead:
        made = PlainHead(name)
        made.fails.append(HeadError(f"{name} is broken", retryable=False))
        return made

    head = SteppedHead("plain", broken)
    with pytest.raises(HeadError, match=r"plain cannot be loaded: plain is broken.*still cannot be loaded"):
        head.load(avatar)


def test_between_two_pictures_the_base_is_that_of_its_own_tick(avatar: ExpandedAvatar) -> None:
    line = Timeline(1, 1, 0, 0, avatar.fps)
    first, last = (rendered(avatar, lightened(avatar, line, tick, by)) for tick, by in ((10, 0), (14, 4)))
    for tick in (11, 12, 13):
        patch = between(avatar, tick, first, last)
        assert (patch.tick, patch.base) == (tick, base_index(tick, avatar.loop_frames))
        assert luma_change(avatar, patch) == pytest.approx(tick - 10, abs=0.01)


def test_a_short_word_is_given_in_full_however_thin(works: Works, avatar: ExpandedAvatar) -> None:
    head = loaded(works, avatar)
    head.late(TOO_LATE)
    head.late(TOO_LATE)
    track = track_of(phones(("aa", 60)), tail_ms=0)
    head.begin(1, 1, track, 7, 0)
    patches = list(head.render(7, 60))
    assert ticks(patches) == list(range(7, patches[-1].tick + 1))
    assert len(patches) >= TRAIL_TICKS
