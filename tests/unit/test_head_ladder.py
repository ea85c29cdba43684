"""When a head that falls behind steps down, and when it dares to go up again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.head.ladder import CALM, MOST_CALM, TOO_LATE, WINDOW, Ladder

pytestmark = pytest.mark.unit


def made(ladder: Ladder, pictures: int) -> None:
    for _ in range(pictures):
        ladder.made()


def test_one_late_picture_is_a_hiccup() -> None:
    ladder = Ladder(5)
    for _ in range(20):
        assert not ladder.skipped(1)
        made(ladder, WINDOW)
    assert (ladder.step, ladder.stepped_down) == (0, 0)


def test_a_few_within_the_window_step_down_one_by_one() -> None:
    ladder = Ladder(3)
    assert [ladder.skipped(1) for _ in range(TOO_LATE)] == [False] * (TOO_LATE - 1) + [True]
    assert ladder.step == 1
    assert ladder.skipped(TOO_LATE)
    assert ladder.step == 2
    assert not ladder.skipped(100), "there is nothing below the last step"
    assert (ladder.step, ladder.stepped_down) == (2, 2)


@pytest.mark.parametrize(("between", "down"), [(WINDOW - TOO_LATE, True), (WINDOW - TOO_LATE + 1, False)])
def test_late_pictures_count_together_within_the_window(between: int, down: bool) -> None:
    """Skipped pictures are pictures of the window like those that were made."""
    ladder = Ladder(2)
    for _ in range(TOO_LATE - 1):
        ladder.skipped(1)
    made(ladder, between)
    assert ladder.skipped(1) is down


def test_a_step_is_not_blamed_for_what_was_late_before_it() -> None:
    ladder = Ladder(3)
    assert ladder.skipped(TOO_LATE)
    assert not ladder.skipped(TOO_LATE - 1)


def test_calm_lets_it_rise_one_step_at_a_time() -> None:
    ladder = Ladder(3)
    ladder.skipped(TOO_LATE)
    ladder.skipped(TOO_LATE)
    made(ladder, CALM - 1)
    assert not ladder.may_rise()
    made(ladder, 1)
    assert ladder.may_rise()
    assert not ladder.may_rise(), "the step that was reached has to prove itself"
    made(ladder, CALM)
    assert ladder.may_rise()
    assert (ladder.step, ladder.stepped_up) == (0, 2)
    made(ladder, 10 * CALM)
    assert not ladder.may_rise()


def test_every_failed_try_doubles_the_wait_and_a_good_one_ends_it() -> None:
    ladder = Ladder(2)
    ladder.skipped(TOO_LATE)
    waits = []
    for _ in range(7):
        wait = 0
        while not ladder.may_rise():
            ladder.made()
            wait += 1
        waits.append(wait)
        ladder.skipped(TOO_LATE)
    assert waits == [min(CALM * 2**n, MOST_CALM) for n in range(7)]
    made(ladder, MOST_CALM)
    assert ladder.may_rise()
    made(ladder, CALM)
    ladder.skipped(TOO_LATE)
    made(ladder, CALM)
    assert ladder.may_rise(), "a step that was held makes the next fall a first one again"


@given(st.integers(1, 6), st.lists(st.one_of(st.integers(1, 9), st.just("made"), st.just("rise")), max_size=300))
def test_the_step_is_always_one_of_the_steps(steps: int, deeds: list[int | str]) -> None:
    ladder = Ladder(steps)
    for deed in deeds:
        before = ladder.step
        if isinstance(deed, int):
            ladder.skipped(deed)
        elif deed == "made":
            made(ladder, 100)
        else:
            ladder.may_rise()
        assert 0 <= ladder.step < steps
        assert abs(ladder.step - before) <= 1
    assert ladder.stepped_down - ladder.stepped_up == ladder.step


def test_a_ladder_that_loses_a_step_stays_where_it_is_or_at_its_end() -> None:
    ladder = Ladder(5)
    for _ in range(3):
        ladder.skipped(TOO_LATE)
    ladder.shorten(4)
    assert ladder.step == 3
    assert not ladder.skipped(TOO_LATE), "that is the last one now"
    ladder.shorten(3)
    assert ladder.step == 2
    made(ladder, CALM - 1)
    assert not ladder.may_rise(), "what is in use now has to prove itself"
    made(ladder, 1)
    assert ladder.may_rise()
