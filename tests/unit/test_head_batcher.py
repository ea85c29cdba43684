"""Batching across sessions: nobody is starved, nobody waits longer than the hold, nothing is lost or made twice."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broadcaster.head.musetalk.batcher import HOLD_S, Batcher

pytestmark = pytest.mark.unit

NAMES = ("a", "b", "c", "d")
Face = tuple[str, int]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def batcher(batch: int = 4, bound: int = 16) -> tuple[Batcher[str, int], Clock]:
    clock = Clock()
    made: Batcher[str, int] = Batcher(batch, clock, bound=bound)
    for name in NAMES:
        made.add(name)
    return made, clock


def test_a_full_batch_starts_at_once() -> None:
    line, _ = batcher()
    line.ask("a", range(3))
    assert line.due_in() == pytest.approx(HOLD_S)
    assert line.next() == []
    line.ask("b", [0])
    assert line.due_in() == 0.0
    assert Counter(name for name, _ in line.next()) == {"a": 3, "b": 1}
    assert line.due_in() is None


def test_a_part_of_a_batch_starts_after_the_hold() -> None:
    line, clock = batcher()
    line.ask("a", [0])
    clock.now += HOLD_S / 2
    line.ask("b", [1])
    assert line.next() == []
    wait = line.due_in()
    assert wait == pytest.approx(HOLD_S / 2)
    clock.now += HOLD_S / 2 + 1e-6
    assert line.next() == [("a", 0), ("b", 1)]


def test_within_a_round_who_has_waited_longest_comes_first() -> None:
    line, clock = batcher(batch=1)
    line.ask("b", [0])
    clock.now += HOLD_S / 2
    line.ask("a", [1])
    assert [line.next(), line.next()] == [[("b", 0)], [("a", 1)]]


def test_who_flushes_twice_hurries_no_more_than_once() -> None:
    line, _ = batcher()
    line.ask("a", [0])
    line.flush("a")
    line.flush("a")
    assert line.next() == [("a", 0)]
    line.ask("b", [1])
    assert line.due_in() == pytest.approx(HOLD_S)


def test_a_flush_waits_for_nobody_and_takes_the_others_along() -> None:
    line, _ = batcher()
    line.ask("a", [0])
    line.ask("b", [0])
    line.flush("b")
    assert line.due_in() == 0.0
    assert line.next() == [("a", 0), ("b", 0)]
    line.flush("b")
    assert line.due_in() is None


def test_what_is_flushed_waits_for_nobody_in_the_next_batch_either() -> None:
    line, _ = batcher(batch=4)
    line.ask("a", range(5))
    line.flush("a")
    line.ask("a", [5])
    assert line.next() == [("a", face) for face in range(4)]
    assert line.next() == [("a", 4), ("a", 5)]


def test_a_greedy_session_gets_no_more_than_a_modest_one() -> None:
    line, _ = batcher(bound=64)
    line.ask("a", range(64))
    modest = Counter[str]()
    for _ in range(8):
        line.ask("b", range(line.batch // 2 - line.waiting("b")))
        modest.update(name for name, _ in line.next())
    assert modest == {"a": 16, "b": 16}


def test_who_comes_back_is_served_at_once_and_does_not_make_up_for_its_silence() -> None:
    line, _ = batcher(bound=64)
    line.ask("a", range(64))
    for _ in range(8):
        line.next()
    line.ask("b", range(32))
    served = Counter(name for _ in range(4) for name, _ in line.next())
    assert served == {"a": 8, "b": 8}


def test_beyond_the_bound_the_last_ones_are_refused() -> None:
    line, _ = batcher(batch=16, bound=4)
    assert line.ask("a", range(3)) == 3
    assert line.ask("a", range(3, 9)) == 1
    assert line.ask("a", [9]) == 0
    line.flush("a")
    assert line.next() == [("a", face) for face in range(4)]
    counts = line.counts("a")
    assert (counts.asked, counts.refused, counts.started) == (10, 6, 4)


def test_what_is_forgotten_never_starts() -> None:
    line, _ = batcher()
    line.ask("a", range(3))
    line.flush("a")
    line.ask("b", [7])
    assert line.forget("a") == [0, 1, 2]
    assert line.due_in() == pytest.approx(HOLD_S)
    assert line.remove("b") == [7]
    assert len(line) == 0
    assert line.due_in() is None
    with pytest.raises(KeyError):
        line.counts("b")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 6), st.floats(0, 0.05)), max_size=40))
@settings(max_examples=60)
def test_with_a_device_that_is_free_nothing_waits_longer_than_the_hold(asks: list[tuple[str, int, float]]) -> None:
    line, clock = batcher(bound=64)
    since: dict[Face, float] = {}
    longest = 0.0

    def until(moment: float) -> None:
        nonlocal longest
        while (wait := line.due_in()) is not None and clock.now + wait <= moment:
            clock.now += wait
            for face in line.next() or _a_moment_later(clock):
                longest = max(longest, clock.now - since.pop(face))

    for number, (name, count, pause) in enumerate(asks):
        until(clock.now + pause)
        faces = [100 * number + index for index in range(count)]
        since.update({(name, face): clock.now for face in faces})
        assert line.ask(name, faces) == count
    until(clock.now + 1.0)
    assert not since
    assert longest <= HOLD_S + 1e-6


def _a_moment_later(clock: Clock) -> list[Face]:
    """Where rounding left the clock just short of the moment."""
    clock.now += 1e-9
    return []


class Sessions(RuleBasedStateMachine):
    """Any order of events: the books are right, each session's order is kept, and no turn is skipped."""

    @initialize(batch=st.integers(1, 8), bound=st.integers(1, 24))
    def start(self, batch: int, bound: int) -> None:
        self.line, self.clock = batcher(batch, bound)
        self.number = 0
        self.expected: dict[str, list[int]] = {name: [] for name in NAMES}
        self.served: Counter[str] = Counter()
        self.together: dict[tuple[str, str], Counter[str]] = {}
        """What a pair got since both have been waiting."""

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 10))
    def ask(self, name: str, count: int) -> None:
        faces = list(range(self.number, self.number + count))
        self.number += count
        taken = self.line.ask(name, faces)
        assert taken == min(count, self.line.bound - len(self.expected[name]))
        self.expected[name] += faces[:taken]

    @rule(name=st.sampled_from(NAMES))
    def flush(self, name: str) -> None:
        self.line.flush(name)

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name: str) -> None:
        assert self.line.forget(name) == self.expected[name]
        self.expected[name] = []
        self.together = {pair: got for pair, got in self.together.items() if name not in pair}

    @rule(seconds=st.floats(0, 2 * HOLD_S))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.line.due_in() == 0.0)
    @rule()
    def serve(self) -> None:
        waited = sum(map(len, self.expected.values()))
        chosen = self.line.next()
        assert len(chosen) == min(self.line.batch, waited)
        for name, face in chosen:
            for first, second in combinations(NAMES, 2):
                pair = (first, second)
                if self.expected[first] and self.expected[second]:
                    got = self.together.setdefault(pair, Counter())
                    got[name] += name in pair
                    assert abs(got[first] - got[second]) <= 2
                else:
                    self.together.pop(pair, None)
            assert self.expected[name].pop(0) == face
            self.served[name] += 1

    @invariant()
    def books(self) -> None:
        if not hasattr(self, "line"):
            return
        for name in NAMES:
            counts, waiting = self.line.counts(name), len(self.expected[name])
            assert self.line.waiting(name) == waiting
            assert counts.started == self.served[name]
            assert counts.asked == counts.refused + counts.forgotten + counts.started + waiting
        assert len(self.line) == sum(map(len, self.expected.values()))
        due = self.line.due_in()
        assert (due is None) == (len(self.line) == 0)
        assert due is None or due <= HOLD_S


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=40, stateful_step_count=40)
