"""Who is told to stop when, in virtual time."""

from __future__ import annotations

import pytest

from broadcaster.parent.ending import Ending

pytestmark = pytest.mark.unit

ALL = {"playout", "head", "voice", "director"}
OTHERS = ALL - {"director"}


def test_the_director_stops_first_and_the_others_when_it_is_gone() -> None:
    ending = Ending(10.0)
    assert ending.to_terminate(ALL, 10.0) == {"director"}
    assert ending.to_terminate(ALL, 11.0) == set()
    assert ending.to_terminate(OTHERS, 11.5) == OTHERS
    assert ending.to_terminate({"playout"}, 11.6) == set()
    assert ending.to_kill({"playout"}, 14.5) == set()


def test_a_slow_director_has_three_seconds() -> None:
    ending = Ending(10.0)
    assert ending.to_terminate(ALL, 10.0) == {"director"}
    assert ending.deadline() == 13.0
    assert ending.to_terminate(ALL, 12.9) == set()
    assert ending.to_terminate(ALL, 13.0) == OTHERS
    assert ending.deadline() < 15.0


def test_what_is_left_is_killed_before_five_seconds() -> None:
    ending = Ending(10.0)
    ending.to_terminate(ALL, 10.0)
    ending.to_terminate(ALL, 13.0)
    assert ending.to_kill({"director", "voice"}, 14.59) == set()
    assert ending.to_kill({"director", "voice"}, 14.7) == {"director", "voice"}
    assert ending.to_kill({"director", "voice"}, 14.8) == set()


def test_without_a_director_all_stop_at_once() -> None:
    assert Ending(0.0).to_terminate(OTHERS, 0.0) == OTHERS


def test_force_kills_at_once() -> None:
    ending = Ending(0.0)
    ending.to_terminate(ALL, 0.0)
    ending.force()
    assert ending.to_kill(ALL, 0.1) == ALL
