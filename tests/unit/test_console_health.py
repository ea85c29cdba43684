"""Readiness follows the tick counter, on an injected clock."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.console.health import STALLED_AFTER_S, Readiness

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def status(tick: int, *, connected: bool = True, stopping: bool = False) -> dict[str, Any]:
    return {"clock": {"connected": connected, "tick": tick}, "stopping": stopping}


def test_ready_while_ticks_advance() -> None:
    clock = Clock()
    readiness = Readiness(clock)
    for second in range(60):
        clock.now = float(second)
        assert readiness.observe(status(second * 25)) == []


def test_a_tick_that_stands_still_is_a_stall_and_one_that_moves_again_is_not() -> None:
    clock = Clock()
    readiness = Readiness(clock)
    readiness.observe(status(10))
    clock.now = STALLED_AFTER_S
    assert readiness.observe(status(10)) == []
    clock.now = STALLED_AFTER_S + 2
    assert readiness.observe(status(10)) == ["playout's tick has stood still for 7 s"]
    assert readiness.observe(status(11)) == []


def test_a_restarted_playout_counts_from_zero_and_is_ready() -> None:
    clock = Clock()
    readiness = Readiness(clock)
    readiness.observe(status(90_000))
    clock.now = 60.0
    assert readiness.observe(status(0, connected=False)) == ["the director is not connected to playout"]
    assert readiness.observe(status(0)) == []


def test_nothing_known_is_not_ready() -> None:
    assert Readiness(Clock()).observe({}) == ["the director is not connected to playout"]


def test_a_stopping_daemon_is_not_ready() -> None:
    assert Readiness(Clock()).observe(status(1, stopping=True)) == ["the daemon is stopping"]
