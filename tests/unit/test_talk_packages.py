"""What playout tells of packages: when each came, when its mouth came, when it was on air, and how late it was."""

from __future__ import annotations

import pytest

from broadcaster.playout.packages import Packages
from broadcaster.playout.talk import Talk
from broadcaster.types import MouthBox, MouthPatch, base_index
from broadcaster.wire import Anchor, AnyMessage, Cut, End, PackageOnAir, Speak

pytestmark = pytest.mark.unit

LOOP = 50
TICK = 1920
TICK_NS = 40_000_000
NEAR = 1_000_000


class Air:
    """A talk on a clock of its own, one tick at a time; `lips` ticks before its own a patch comes."""

    def __init__(self, lips: int | None = None) -> None:
        self.told: list[PackageOnAir] = []
        self.head: list[AnyMessage] = []
        self.now_ns = 0
        self.tick = 0
        self.lips = lips
        packages = Packages(25, self.told.append, lambda: self.now_ns)
        self.talk = Talk(25, LOOP, self.head.append, lambda _: None, packages)
        if lips is not None:
            self.talk.head_changed(1)

    def speak(self, name: str, package: int, ticks: int, generation: int = 1) -> None:
        pcm = bytes(2 * TICK * ticks)
        self.talk.handle(Speak(generation, name, package, name, pcm, [], "tone", package), NEAR)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now_ns = self.tick * TICK_NS
            self._render()
            self.talk.pull(self.tick)
            self.talk.take(self.tick)
            self.tick += 1

    def _render(self) -> None:
        anchors = [message for message in self.head if isinstance(message, Anchor)]
        if self.lips is None or not anchors:
            return
        last = anchors[-1]
        for n in range(self.tick, self.tick + 1 + self.lips):
            box = MouthBox(0, 0, 16, 16)
            planes = bytes(16 * 16 * 3 // 2)
            self.talk.patch(MouthPatch(last.generation, last.epoch, n, base_index(n, LOOP), box, planes))


def test_the_first_package_tells_when_it_came_and_when_it_was_on_air() -> None:
    air = Air()
    air.run(10)
    air.speak("a", 0, 5)  # behind tick 9
    air.run(10)
    (told,) = air.told
    assert (told.utterance, told.package, told.gap_ms) == ("a", 0, 0)
    assert told.arrived_ns == 9 * TICK_NS
    assert told.free_ns == told.arrived_ns
    assert told.lips_ns == 0
    assert told.on_air_ns >= 10 * TICK_NS


def test_a_mouth_that_came_is_told() -> None:
    air = Air(lips=0)
    air.run(10)
    air.speak("a", 0, 5)
    air.run(10)
    (told,) = air.told
    assert told.arrived_ns < told.lips_ns <= told.on_air_ns


def test_what_waits_for_another_utterance_tells_when_the_air_became_free() -> None:
    air = Air()
    air.speak("a", 0, 20)
    air.talk.handle(End(1, "a"), NEAR)
    air.run(5)
    air.speak("b", 0, 5)
    air.run(60)
    first, second = air.told
    assert second.arrived_ns == 4 * TICK_NS
    assert second.free_ns >= first.on_air_ns + 19 * TICK_NS
    assert second.on_air_ns >= second.free_ns


def test_a_later_package_in_time_has_no_gap_and_a_late_one_tells_it() -> None:
    air = Air()
    air.speak("a", 0, 10)
    air.run(5)
    air.speak("a", 1, 3)
    air.run(40)
    air.speak("a", 2, 3)
    air.run(20)
    _, in_time, late = air.told
    assert (in_time.package, in_time.gap_ms, in_time.free_ns) == (1, 0, 0)
    assert in_time.on_air_ns - in_time.arrived_ns >= 5 * TICK_NS
    assert late.package == 2
    assert late.gap_ms * 1_000_000 > late.on_air_ns - late.arrived_ns


def test_pieces_of_one_package_are_one_and_what_has_no_number_is_not_told() -> None:
    air = Air()
    air.speak("a", 0, 2)
    air.speak("a", 0, 2)
    air.speak("a", -1, 2)
    air.run(20)
    assert [told.package for told in air.told] == [0]


def test_a_package_that_is_cut_before_it_sounds_is_not_told() -> None:
    air = Air()
    air.speak("a", 0, 10)
    air.speak("a", 1, 10)
    air.run(5)
    air.talk.handle(Cut(2), NEAR)
    air.speak("b", 0, 3, generation=2)
    air.run(30)
    assert [(told.utterance, told.package) for told in air.told] == [("a", 0), ("b", 0)]
