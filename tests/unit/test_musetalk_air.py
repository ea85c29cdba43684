"""Engine musetalk on the air, in virtual time: the body never jumps, a late head shifts neither sound nor picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.head.paste import Paster
from broadcaster.ports import FacePack, TalkingHead
from broadcaster.types import MouthPatch, base_index
from tests.fakes.painted_faces import painted_head
from tests.support.air import Composed, EngineHead, VirtualAir, air_of, differs_outside
from tests.support.faces import babble
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.unit

CHANGES = 12


class LateHead(EngineHead):
    """Its patches arrive `late` ticks after they were asked for, and none while it is stalled."""

    def __init__(self, engine: TalkingHead, pack: FacePack, late: int, stalls: dict[int, int]) -> None:
        super().__init__(engine, pack)
        self._late, self._stalls = late, stalls
        self._held: list[tuple[int, MouthPatch]] = []
        self._blocked_until = 0

    def due(self, tick: int) -> Iterator[MouthPatch]:
        self._held += [(tick + self._late, patch) for patch in super().due(tick)]
        self._blocked_until = max(self._blocked_until, tick + self._stalls.get(tick, 0))
        if tick < self._blocked_until:
            return
        arrived = [patch for when, patch in self._held if when <= tick]
        self._held = [(when, patch) for when, patch in self._held if when > tick]
        yield from arrived


def made(folder: Path, late: int = 0, stalls: dict[int, int] | None = None) -> VirtualAir:
    pack = NoiseFace(folder)
    engine, _ = painted_head(folder)
    return air_of(pack, LateHead(engine, pack, late, stalls or {}), engine.lead_ticks)


def speech(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise without a zero in it, so that silence is told from speech sample by sample."""
    return np.random.default_rng(seed).integers(1, 9000, round(seconds * 48_000)).astype(np.int16)


def check_picture(air: VirtualAir, shown: Composed) -> None:
    """The base of the tick everywhere outside of the face's own mask and the label."""
    pack = air.avatar
    assert isinstance(pack, NoiseFace)
    index = base_index(shown.tick, pack.loop_frames)
    box = Paster(pack.width, pack.height).box(pack.crop(index))
    mouth = [box] if shown.mouth is not None else []
    assert not differs_outside(shown.picture, pack.frame(index), air.label.box, *mouth), f"tick {shown.tick}"
    if shown.mouth is not None:
        patch = shown.mouth.patch
        assert (patch.tick, patch.base, patch.box) == (shown.tick, index, box)


def test_idle_talk_idle_changes_nothing_outside_the_mouth(tmp_path: Path) -> None:
    air = made(tmp_path)
    lengths = np.random.default_rng(3)
    changes, before, mouths = 0, False, 0
    for number in range(CHANGES):
        pcm = speech(float(lengths.uniform(0.5, 1.2)), number)
        air.speak(f"u{number}", pcm, babble(len(pcm) / 48_000, number), generation=number + 1)
        gap = int(lengths.integers(2, 20))
        cut_at = int(lengths.integers(9, 14)) if number % 5 == 4 else None
        after, ticks = 0, 0
        while after < gap:
            ticks += 1
            if ticks == cut_at:
                air.talk.cut(number + 2)
            shown = air.step()
            check_picture(air, shown)
            changes += shown.talking != before
            before = shown.talking
            mouths += shown.mouth is not None
            after = 0 if air.talk.busy else after + 1
    assert changes == 2 * CHANGES
    assert mouths > CHANGES
    assert air.talk.counters.patches_late == 0
    assert air.talk.counters.started_without_lips == 0


@pytest.mark.parametrize(("late", "stalls"), [(1, {}), (3, {}), (10, {}), (100, {}), (0, {60: 10}), (0, {60: 60})])
def test_a_head_that_is_late_or_stalls_breaks_no_sound(tmp_path: Path, late: int, stalls: dict[int, int]) -> None:
    air = made(tmp_path, late, stalls)
    pcm = speech(5.0)
    air.speak("u", pcm, babble(5.0))
    heard = []
    for _ in range(160):
        shown = air.step()
        heard.append(shown.sound)
        check_picture(air, shown)
    sound = np.concatenate(heard)
    start = int(np.flatnonzero(sound)[0])
    assert start % (48_000 // 25) == 0
    assert np.array_equal(sound[start : start + len(pcm)], pcm)
    assert not sound[start + len(pcm) :].any()
    assert air.talk.counters.holes == 0
    assert (air.talk.counters.patches_shown == 0) is (late == 100)
    assert (air.talk.counters.patches_missing > 0) is (late > 1 or 60 in stalls.values())
    assert [event.event for event in air.aired] == ["on_air", "heard", "done"]


def test_the_mouth_comes_and_goes_over_several_pictures(tmp_path: Path) -> None:
    """From one picture to the next the mouth's region never changes by all of the way between base and face."""
    air = made(tmp_path)
    air.speak("u", speech(1.0), [("a", "aa", 4800, 38_400)])
    away = []
    for _ in range(60):
        shown = air.step()
        base = air.avatar.frame(base_index(shown.tick, air.avatar.loop_frames))[0].astype(int)
        box = air.label.box
        there = np.abs(shown.picture[0].astype(int) - base)
        there[box.y : box.y + box.height, box.x : box.x + box.width] = 0
        away.append(int(there.sum()))
    most = max(away)
    first, last = np.flatnonzero(away)[[0, -1]]
    assert all(away[first + n] < 0.95 * most for n in range(2))
    assert all(away[last - n] < 0.8 * most for n in range(2))
