"""The real clock under a scripted monotonic time, and the render clock that waits."""

from __future__ import annotations

from queue import Queue
from threading import Event

import pytest

from broadcaster.playout.clock import LATE_NS, RealClock, RenderClock, Tick

pytestmark = pytest.mark.unit

MS = 1_000_000


class ScriptedTime(Queue[str]):
    """A monotonic clock that moves only when someone waits for messages; also the inbox that is waited on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 5_000 * MS

    def __call__(self) -> int:
        return self.now

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        if self.empty() and block:
            self.now += round((timeout or 0) * 1e9)
        return super().get(block=False)


def _run(
    fps: int, work_ms: list[int], messages: dict[int, str] | None = None
) -> tuple[list[Tick], RealClock[str], list[str], ScriptedTime]:
    time = ScriptedTime()
    clock = RealClock(fps, time, now_ns=time)
    ticks: list[Tick] = []
    seen: list[str] = []
    for tick in clock.ticks(Event(), seen.append):
        ticks.append(tick)
        if len(ticks) > len(work_ms):
            break
        time.now += work_ms[len(ticks) - 1] * MS
        if messages and tick.number in messages:
            time.put(messages[tick.number])
    return ticks, clock, seen, time


def test_on_time_ticks_are_neither_late_nor_held() -> None:
    ticks, clock, _, time = _run(25, [5] * 100)
    assert [t.number for t in ticks] == list(range(101))
    assert (clock.counters.late, clock.counters.held, clock.counters.reanchored) == (0, 0, 0)
    assert time.now == 5_000 * MS + 100 * 40 * MS


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_no_drift_at_any_rate(fps: int) -> None:
    """Deadlines come from the anchor: a thousand seconds of ticks end on the thousandth second."""
    _, _, _, time = _run(fps, [1] * fps * 1000)
    assert time.now - 5_000 * MS == 1_000_000 * MS


def test_a_slow_tick_is_late_and_the_clock_catches_up() -> None:
    ticks, clock, _, time = _run(25, [5, 55, 5, 5, 5])
    assert [t.hold for t in ticks] == [False] * 6
    assert clock.counters.late == 1
    assert ticks[2].lateness_ns == 15 * MS > LATE_NS
    assert time.now == 5_000 * MS + 5 * 40 * MS


def test_a_whole_tick_behind_holds_the_picture_until_it_has_caught_up() -> None:
    ticks, clock, _, _ = _run(25, [5, 135, 5, 5, 5, 5])
    assert [t.hold for t in ticks] == [False, False, True, True, False, False, False]
    assert clock.counters.held == 2
    assert [t.number for t in ticks] == list(range(7))


def test_more_than_a_second_behind_reanchors_instead_of_bursting() -> None:
    ticks, clock, _, time = _run(25, [5, 1500, 5, 5, 5])
    assert clock.counters.reanchored == 1
    assert [t.number for t in ticks] == list(range(6))
    assert not any(t.hold for t in ticks)
    assert time.now == 5_000 * MS + 40 * MS + 1500 * MS + 3 * 40 * MS


def test_messages_are_handled_between_ticks_in_order() -> None:
    _, _, seen, _ = _run(25, [5] * 6, {1: "a", 3: "b"})
    assert seen == ["a", "b"]


def test_the_render_clock_waits_for_what_a_tick_needs() -> None:
    inbox: Queue[int] = Queue()
    for upto in (3, 5, 9):
        inbox.put(upto)
    have = 0

    def arrived(upto: int) -> None:
        nonlocal have
        have = upto

    order: list[tuple[int, int]] = []
    clock = RenderClock(inbox, ready=lambda n: n < have, finished=lambda: len(order) == 9)
    for tick in clock.ticks(Event(), arrived):
        order.append((tick.number, have))
        assert tick.number < have
    assert [number for number, _ in order] == list(range(9))
