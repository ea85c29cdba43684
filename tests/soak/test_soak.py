"""The short form of both soaks. By hand: `make soak`, and `python -m tests.soak.run --virtual-days 40`."""

from __future__ import annotations

import pytest

from tests.soak.run import soak
from tests.soak.virtual_days import run_days

pytestmark = pytest.mark.soak


def test_a_channel_under_random_prompts_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    report = soak(0.3, voice="tone", seed=5, pause_s=(0.2, 1.0), gentle=True)
    with capsys.disabled():
        print(f"\n{report.text()}")
    assert report.deeds.total() >= 5
    assert report.faults() == []


def test_hours_of_ticks_over_three_rotations() -> None:
    """From half an hour before 2^31 ms of the channel's counter, so that it is passed on the way."""
    first = 2**31 // 40 // 50 * 50 - 50 * 1000
    report = run_days(2 / 24, first_tick=first, rotate_after_s=1800)
    assert report.faults == []
    assert len(report.sessions) == 4
    assert report.pictures == report.ticks == 2 * 3600 * 25
