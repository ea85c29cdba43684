"""An evening in a Bilibili room before a running director: everything paid is answered or accounted for, once.

Ten minutes in virtual time, and a cut of it in real time (ROOM_SECONDS=60: a minute).
"""

from __future__ import annotations

import os

import pytest

from broadcaster.paths import Paths
from sources.bilibili.connection import Times
from tests.support.hurried import hurried
from tests.support.room_session import Told, evening

pytestmark = pytest.mark.contract

DENSE = Times(game=0.4, beat=0.6, answer=0.7, settled=0.3, close=0.1, end=0.5)
"""The platform's clock, as much faster as the script of the cut is."""

HAPPENS = ("again", "bomb", "combo", "drop", "end", "expire", "fall_silent", "garbage", "oversized", "take_back")
COUNTED = ("bomb", "oversized", "bad_compression", "text_frame", "truncated", "twice", "unknown")


def check(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{told.text()}")
    assert told.faults == []
    assert told.states["done"] > told.unsure
    assert all(told.done[what] for what in HAPPENS), told.done
    assert told.counters["connections"] > told.counters["sessions"] > 1


def test_ten_minutes(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    told = hurried(evening(paths, 600))
    check(told, capsys)
    assert all(told.counters.get(what) for what in COUNTED), told.counters
    assert told.sent > 100


async def test_a_cut_of_it_in_real_time(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = float(os.environ.get("ROOM_SECONDS", "1"))
    check(await evening(paths, seconds, seed=2, times=DENSE, pace=0.05, speed=40, settled=0.4), capsys)
