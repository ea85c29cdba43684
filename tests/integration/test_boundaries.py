"""Talk, compositor and mixer together: the body never jumps, and a late head never shifts sound or picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.head.warp import WarpHead
from broadcaster.studio.compositor import FADE_TICKS, FEATHER
from broadcaster.types import base_index
from tests.support.air import Composed, EngineHead, VirtualAir, air_of, differs_outside, shade, virtual_air
from tests.support.faces import babble, host

pytestmark = pytest.mark.integration

CHANGES = 50


def speech(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise without a zero in it, so that silence is told from speech sample by sample."""
    noise = np.random.default_rng(seed).integers(1, 9000, round(seconds * 48_000))
    return noise.astype(np.int16)


def check_picture(air: VirtualAir, shown: Composed) -> None:
    base = air.avatar.frame(base_index(shown.tick, air.avatar.loop_frames))
    mouth = [air.head.box] if shown.mouth is not None else []
    assert not differs_outside(shown.picture, base, air.label.box, *mouth), f"tick {shown.tick}"
    box = air.label.box
    stamped = air.label.over(base)[0]
    assert np.array_equal(shown.picture[0][box.y : box.y + box.height, box.x : box.x + box.width], stamped)


@pytest.fixture(params=["scripted", "warp"])
def air(request: pytest.FixtureRequest, tmp_path: Path) -> VirtualAir:
    """Noise that shows every mistake, and the presenter with the real engine."""
    if request.param == "scripted":
        return virtual_air()
    pack = host(tmp_path, 640, 360)
    return air_of(pack, EngineHead(WarpHead(), pack), WarpHead.lead_ticks)


def test_idle_talk_idle_changes_nothing_outside_mouth_and_label(air: VirtualAir) -> None:
    lengths = np.random.default_rng(3)
    changes, before = 0, False
    mouths = 0
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


@pytest.mark.parametrize("late", [1, 3, 10, 100])
def test_a_late_head_shows_no_wrong_patch_and_breaks_no_sound(late: int) -> None:
    air = virtual_air(late=late)
    pcm = speech(6.0)
    air.speak("u", pcm)
    check_late(air, pcm, ticks=200)
    assert (air.talk.counters.patches_shown == 0) is (late == 100)


@pytest.mark.parametrize("stall", [1, 3, 10, 100])
def test_a_head_that_stalls_in_mid_utterance(stall: int) -> None:
    air = virtual_air(stalls={60: stall})
    pcm = speech(8.0)
    air.speak("u", pcm)
    check_late(air, pcm, ticks=260)
    assert air.talk.counters.patches_shown > 50
    assert (air.talk.counters.patches_missing > 0) is (stall > 30)


def check_late(air: VirtualAir, pcm: NDArray[np.int16], ticks: int) -> None:
    heard: list[NDArray[np.int16]] = []
    for _ in range(ticks):
        shown = air.step()
        heard.append(shown.sound)
        check_picture(air, shown)
        if shown.mouth is None:
            continue
        patch = shown.mouth.patch
        assert (patch.tick, patch.base) == (shown.tick, base_index(shown.tick, air.avatar.loop_frames))
        box = air.head.box
        inside = shown.picture[0][
            box.y + FEATHER : box.y + box.height - FEATHER, box.x + FEATHER : box.x + box.width - FEATHER
        ]
        if shown.mouth.gain == FADE_TICKS:
            assert (inside == shade(shown.tick)).all()
    sound = np.concatenate(heard)
    start = int(np.flatnonzero(sound)[0])
    assert start % (48_000 // 25) == 0
    assert np.array_equal(sound[start : start + len(pcm)], pcm)
    assert not sound[start + len(pcm) :].any()
    assert air.talk.counters.holes == 0
    assert [event.event for event in air.aired] == ["on_air", "heard", "done"]
