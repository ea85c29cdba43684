"""Pacing in virtual time: what it learns, when it lets go, and the holes that follow for engines of any speed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.pacing import (
    FIRST,
    LARGEST,
    LARGEST_FIRST,
    LATER,
    MAX_HOLD_IN_HOLE_S,
    MAX_HOLD_S,
    SECOND,
    SHORTEST_PACKAGE,
    SOUND_PER_UNIT_S,
    Pacer,
    Size,
    SoundModel,
    SpeedModel,
)
from broadcaster.types import Manner, Piece

pytestmark = pytest.mark.unit

SOUND_PER_UNIT = 0.21


@dataclass(frozen=True)
class Engine:
    fixed: float
    per_unit: float
    noise: float = 0.0

    def seconds(self, units: float, dice: random.Random) -> float:
        return (self.fixed + self.per_unit * units) * dice.uniform(1 - self.noise, 1 + self.noise)


def learned(engine: Engine, dice: random.Random) -> SpeedModel:
    speed = SpeedModel()
    for units in (6, 14, 22, 6, 9, 18, 25, 6, 12, 20, 30, 6):
        speed.observe(units, engine.seconds(units, dice))
    return speed


def perform(
    engine: Engine, speed: SpeedModel, units: float, dice: random.Random
) -> tuple[float, list[float], list[float]]:
    """One utterance of `units` without any marks: (seconds to the first sound, holes behind it, sizes of its pieces).

    The engine works without a break; each piece is let go as the pipeline would.
    """
    pacer = Pacer(speed)
    now = 0.0
    made: list[tuple[float, float, float]] = []  # size, ready at, predicted at
    plan: list[tuple[float, float]] = []
    first: float | None = None
    holes: list[float] = []
    play_end = 0.0
    waiting: list[tuple[float, float]] = []  # sound seconds, ready at

    def let_go(next_in_by: float | None, next_ready: float | None) -> None:
        nonlocal first, play_end
        sound, ready = waiting.pop(0)
        at = ready
        if next_in_by is not None:
            hold = pacer.hold(at, 0.0, sound, next_in_by - at)
            at = min(at + hold, max(at, next_ready if next_ready is not None else at + hold))
        if first is None:
            first = at
        else:
            holes.append(max(0.0, at - play_end))
        pacer.released(at, sound)
        play_end = max(play_end, at) + sound

    left = units
    while left > 0:
        size = pacer.size(now, sum(s for s, _ in waiting))
        assert 0 < size.minimum <= size.maximum <= LARGEST
        piece = left if left <= size.maximum else size.maximum
        left -= piece
        plan.append((size.minimum, piece))
        pacer.began(piece)
        predicted = now + speed.predicted(piece)
        done = now + engine.seconds(piece, dice)
        if waiting:
            let_go(predicted, done)
        speed.observe(piece, done - now)
        now = done
        made.append((piece, done, predicted))
        waiting.append((piece * SOUND_PER_UNIT, done))
    let_go(None, None)
    assert first is not None
    return first, holes, [p for _, p in plan]


@given(
    fixed=st.floats(0.02, 0.45), per_unit=st.floats(0.005, 0.09), units=st.floats(5, 120), seed=st.integers(0, 10_000)
)
@settings(max_examples=200, deadline=None)
def test_a_steady_engine_that_is_fast_enough_leaves_no_hole(
    fixed: float, per_unit: float, units: float, seed: int
) -> None:
    engine = Engine(fixed, per_unit)
    dice = random.Random(seed)
    speed = learned(engine, dice)
    first, holes, _ = perform(engine, speed, units, dice)
    assert sum(holes) <= 0.05
    assert first <= engine.seconds(FIRST[1], dice) + MAX_HOLD_S + 1e-9


@given(fixed=st.floats(0.02, 0.3), per_unit=st.floats(0.005, 0.06), seed=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_a_fifth_of_jitter_leaves_small_holes_at_most(fixed: float, per_unit: float, seed: int) -> None:
    engine = Engine(fixed, per_unit, noise=0.2)
    dice = random.Random(seed)
    speed = learned(engine, dice)
    for units in (15, 30, 60):
        _, holes, _ = perform(engine, speed, units, dice)
        assert max(holes, default=0.0) <= 0.6


@given(fixed=st.floats(0, 3), per_unit=st.floats(0, 0.4), sizes=st.lists(st.floats(2, 60), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_engine_is_learned(fixed: float, per_unit: float, sizes: Sequence[float]) -> None:
    """After enough pieces the prediction is right where it was measured, whatever the speed and the sizes."""
    speed = SpeedModel()
    for _ in range(12):
        for units in sizes:
            speed.observe(units, 0.01 + fixed + per_unit * units)
    units = sizes[-1]
    seconds = 0.01 + fixed + per_unit * units
    assert speed.fixed >= 0
    assert speed.per_unit > 0
    assert speed.predicted(units) == pytest.approx(seconds, rel=0.8, abs=0.05)
    assert speed.units_within(speed.predicted(units)) == pytest.approx(units, rel=1e-6)


def test_one_stall_does_not_upset_what_was_learned() -> None:
    speed = learned(Engine(0.2, 0.04), random.Random(1))
    before = speed.predicted(20)
    speed.observe(20, 60.0)
    assert speed.predicted(20) < 2.5 * before


def test_pieces_grow_when_the_engine_keeps_up() -> None:
    engine = Engine(0.15, 0.03)
    dice = random.Random(1)
    _, holes, sizes = perform(engine, learned(engine, dice), 100, dice)
    assert FIRST[0] <= sizes[0] <= FIRST[1]
    assert SECOND <= sizes[1]
    assert all(size >= LATER for size in sizes[2:-1])
    assert sum(holes) == 0


def test_a_slow_engine_gets_smaller_pieces_and_small_holes() -> None:
    engine = Engine(0.7, 0.13)
    dice = random.Random(1)
    _, holes, sizes = perform(engine, learned(engine, dice), 60, dice)
    assert FIRST[1] <= sizes[0] < SECOND, "nor does a larger first one keep it waiting for long"
    assert FIRST[1] - 1 <= sizes[1] < LATER
    assert sum(holes) <= 0.5


def test_a_piece_is_held_just_long_enough() -> None:
    pacer = Pacer(SpeedModel())
    assert pacer.hold(10.0, 0.0, sound_s=1.2, next_in_s=1.5) == pytest.approx(0.3)
    assert pacer.hold(10.0, 0.0, sound_s=1.2, next_in_s=1.1) == 0
    assert pacer.hold(10.0, 0.0, sound_s=1.2, next_in_s=60.0) == MAX_HOLD_S
    assert pacer.hold(10.0, 0.8, sound_s=1.2, next_in_s=60.0) == pytest.approx(MAX_HOLD_S - 0.8)


def test_nothing_is_held_while_sound_is_in_hand_and_hardly_in_a_hole() -> None:
    pacer = Pacer(SpeedModel())
    pacer.released(10.0, 2.0)
    assert pacer.buffered(11.5) == pytest.approx(0.5)
    assert pacer.hold(11.0, 0.0, sound_s=1.0, next_in_s=9.0) == 0
    assert pacer.hold(13.0, 0.0, sound_s=1.0, next_in_s=9.0) == MAX_HOLD_IN_HOLE_S
    pacer.released(13.0, 1.0)
    pacer.released(13.5, 1.0)
    assert pacer.buffered(13.5) == pytest.approx(1.5)


def test_a_greeting_does_not_count_as_a_first_piece() -> None:
    pacer = Pacer(SpeedModel())
    pacer.began(2.0)
    assert pacer.size(0.0, 0.5).maximum == FIRST[1]
    pacer.began(6.0)
    assert pacer.size(0.0, 99.0).minimum == SECOND


def model(fixed: float, per_unit: float) -> SpeedModel:
    """As if it had been measured so, without any spread."""
    speed = SpeedModel()
    speed.fixed, speed.per_unit, speed.spread = fixed, per_unit, 0.0
    return speed


def test_the_least_package_is_ten_characters_or_what_keeps_the_voice_ahead() -> None:
    assert Pacer(model(0.1, 0.02)).sustained() == SHORTEST_PACKAGE
    assert Pacer(model(2.4, 0.04)).sustained() == pytest.approx(15.0)
    assert Pacer(model(2.4, 0.04), lips=lambda: 0.4).sustained() == pytest.approx(17.5)
    assert Pacer(model(60.0, 0.04)).sustained() == LARGEST
    assert Pacer(model(0.1, 0.3)).sustained() == LATER, "no size helps a voice slower than speech"
    assert Pacer(model(0.1, 0.02), shortest=14.0).sustained() == 14.0


def test_the_least_package_shrinks_rather_than_to_come_late() -> None:
    pacer = Pacer(model(0.7, 0.1))
    pacer.began(6.0)
    pacer.released(0.0, 2.0)
    assert pacer.least(0.0, 5.0) == SHORTEST_PACKAGE
    assert pacer.least(0.4, 0.0) == pytest.approx(9.0)
    assert pacer.least(1.0, 0.6) == pytest.approx(9.0)
    assert pacer.least(1.9, 0.0) == FIRST[1]
    pacer.speed = model(1.4, 0.1)
    assert pacer.least(1.9, 0.0) == pytest.approx(14.0), "a smaller one would be late for ever"
    assert Pacer(model(0.5, 0.1)).least(0.0, 0.0) == FIRST[0]


def test_the_head_needs_its_time() -> None:
    near, far = Pacer(model(0.5, 0.1)), Pacer(model(0.5, 0.1), lips=lambda: 0.3)
    for pacer in (near, far):
        pacer.began(6.0)
        pacer.released(0.0, 4.0)
    assert near.slack(0.0, 0.0, 10.0) - far.slack(0.0, 0.0, 10.0) == pytest.approx(0.3)
    assert near.size(0.0, 0.0).maximum - far.size(0.0, 0.0).maximum == pytest.approx(3.0)
    assert Pacer(SpeedModel(), lips=lambda: 0.3).hold(10.0, 0.0, sound_s=1.2, next_in_s=1.1) == pytest.approx(0.2)


def test_the_first_piece_of_a_voice_that_takes_long_to_begin_lasts_until_the_second() -> None:
    assert Pacer(model(0.4, 0.08)).size(0.0, 0.0).maximum == FIRST[1]
    slow = Pacer(model(2.0, 0.03))
    assert slow.size(0.0, 0.0).maximum == pytest.approx(slow.speed.expected(2.0 / 0.17) / 0.2)
    assert Pacer(model(9.0, 0.03)).size(0.0, 0.0).maximum == LARGEST_FIRST


def test_how_long_a_unit_sounds_is_learned_for_each_language() -> None:
    sound = SoundModel()
    text = "今天天气很好"
    assert sound.per_unit("zh") == SOUND_PER_UNIT_S
    sound.observe(Piece("好", "zh", 0), 3.0)
    assert sound.per_unit("zh") == SOUND_PER_UNIT_S, "a single character says nothing"
    for _ in range(20):
        sound.observe(Piece(text, "zh", 0), 6 * 0.3)
        sound.observe(Piece(text, "en", 0), 99.0)
    assert sound.per_unit("zh") == pytest.approx(0.3)
    assert sound.per_unit("en") == pytest.approx(0.6), "what cannot be is not believed"
    fast = Piece(text, "zh", 0, Manner(speed=2.0))
    assert sound.seconds(fast) == pytest.approx(0.9)
    sound.observe(fast, 0.9)
    assert sound.per_unit("zh") == pytest.approx(0.3)


def test_a_voice_that_takes_long_to_begin_is_not_asked_for_a_small_rest() -> None:
    slow, quick = Pacer(model(2.0, 0.03)), Pacer(model(0.4, 0.08))
    size = Size(12.0, 16.0)
    assert slow.with_tail(size, 20.0) == size, "the first piece is as early as it can be"
    for pacer in (slow, quick):
        pacer.began(8.0)
    assert slow.with_tail(size, 20.0) == Size(12.0, 20.0)
    assert slow.with_tail(size, 30.0) == slow.with_tail(size, 16.0) == size
    assert quick.with_tail(size, 20.0) == size
