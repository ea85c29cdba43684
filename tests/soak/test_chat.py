"""Half an hour of chat with interruptions in fast time, and a cut in real time (CHAT_SECONDS=60: a minute)."""

from __future__ import annotations

import os

import pytest

from broadcaster.paths import Paths
from tests.soak.chat import chat

pytestmark = pytest.mark.soak


async def test_half_an_hour_is_remembered_as_it_was_heard(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    report = await chat(paths, seconds=1800, speed=600)
    with capsys.disabled():
        print(f"\n{report.text()}")
    assert report.faults == []
    assert report.cut > 0
    assert report.returning > 0
    assert report.summaries > 0


async def test_a_cut_of_it_in_real_time(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = float(os.environ.get("CHAT_SECONDS", "1"))
    report = await chat(paths, seconds=seconds, speed=1, seed=3, pace=0.2 if seconds > 10 else 0.02)
    with capsys.disabled():
        print(f"\n{report.text()}")
    assert report.faults == []
    assert report.cut > 0
