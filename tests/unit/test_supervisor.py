"""Back-off, restart budget, edges and the two shells, in virtual time."""

from __future__ import annotations

import random
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import AdapterError
from broadcaster.supervisor import Backoff, Edge, RestartBudget, Turn, aio, keep_running

pytestmark = pytest.mark.unit


@given(st.integers(), st.lists(st.floats(0, 29.9), max_size=80))
def test_backoff_grows_to_the_cap_and_never_over_it(seed: int, runs: list[float]) -> None:
    backoff = Backoff(random.Random(seed), first_s=1, cap_s=60, jitter=0.25, healthy_s=30)
    for n, ran in enumerate(runs):
        delay = backoff.failed(ran)
        expected = min(60, 2**n)
        assert 0.75 * expected <= delay <= min(60, 1.25 * expected)


@given(st.integers(), st.integers(0, 50), st.floats(30, 1e7))
def test_backoff_forgets_after_a_healthy_run(seed: int, failures: int, healthy: float) -> None:
    backoff = Backoff(random.Random(seed))
    for _ in range(failures):
        backoff.failed(0)
    assert backoff.failed(healthy) <= 1.25


def test_what_may_begin_at_once_does_not_wait_unless_it_fails_in_a_loop() -> None:
    backoff = Backoff(random.Random(1), first_s=1)
    assert backoff.failed(20.0, at_once=True) == 0.0
    assert 0.75 <= backoff.failed(0.2, at_once=True) <= 1.25
    assert 1.5 <= backoff.failed(0.2, at_once=True) <= 2.5
    assert backoff.failed(20.0, at_once=True) == 0.0


def test_backoff_is_jittered() -> None:
    delays = {Backoff(random.Random(seed)).failed(0) for seed in range(20)}
    assert len(delays) == 20


def test_quick_restarts_then_back_off_then_quick_again() -> None:
    budget = RestartBudget(random.Random(1), quick=3, window_s=60)
    assert [budget.exited(t, 0.5) for t in (0.0, 1.0, 2.0)] == [0.05] * 3
    slow = [budget.exited(3.0 + t, 0.5) for t in range(8)]
    assert all(delay is not None and delay >= 0.75 for delay in slow)
    assert slow[-1] is not None
    assert 22.5 <= slow[-1] <= 30
    assert budget.exited(1000.0, 500.0) == 0.05
    assert budget.failures == 1
    assert budget.restarts == 12


def test_rare_exits_stay_quick() -> None:
    budget = RestartBudget(random.Random(1), quick=3, window_s=60)
    assert {budget.exited(t * 40.0, 39.0) for t in range(100)} == {0.05}


def test_a_budget_that_ends() -> None:
    budget = RestartBudget(random.Random(1), quick=2, give_up_after=4)
    answers = [budget.exited(float(t), 0.1) for t in range(5)]
    assert answers[-1] is None
    assert None not in answers[:-1]


@given(st.integers(), st.lists(st.floats(0, 1000), min_size=200, max_size=300))
def test_playout_is_never_given_up(seed: int, runs: list[float]) -> None:
    budget, now = RestartBudget(random.Random(seed)), 0.0
    for ran in runs:
        now += ran
        delay = budget.exited(now, ran)
        assert delay is not None
        assert 0 < delay <= 30
        now += delay


def test_an_edge_is_told_once_and_after_its_time() -> None:
    edge = Edge(raise_after_s=30, clear_after_s=5)
    assert edge.update(True, 0) is None
    assert edge.update(True, 29.9) is None
    assert edge.update(True, 30) is Turn.RAISED
    assert edge.update(True, 31) is None
    assert edge.update(False, 40) is None
    assert edge.update(True, 42) is None
    assert edge.update(False, 43) is None
    assert edge.update(False, 47.9) is None
    assert edge.update(False, 48) is Turn.CLEARED
    assert edge.update(False, 49) is None


def test_a_short_fault_is_no_edge() -> None:
    edge = Edge(raise_after_s=30)
    for t in range(0, 1000, 20):
        assert edge.update(t % 40 == 0, t) is None


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 50)), max_size=60))
def test_edges_alternate(changes: list[tuple[bool, float]]) -> None:
    edge, now, turns = Edge(raise_after_s=10, clear_after_s=3), 0.0, []
    for bad, step in changes:
        now += step
        if (turn := edge.update(bad, now)) is not None:
            turns.append(turn)
    assert turns == [Turn.RAISED if n % 2 == 0 else Turn.CLEARED for n in range(len(turns))]


def test_thread_shell_retries_until_stopped() -> None:
    stop, waits, told, runs = Event(), [], [], []

    def run(stopping: Event) -> None:
        runs.append(stopping)
        raise AdapterError("away")

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 4

    keep_running(
        run, stop, Backoff(random.Random(1), jitter=0), failed=lambda err, delay: told.append(delay),
        clock=lambda: 0.0, wait=wait,
    )  # fmt: skip
    assert waits == [1, 2, 4, 8]
    assert told == waits
    assert runs == [stop] * 4


def test_thread_shell_raises_what_cannot_be_retried() -> None:
    def run(stopping: Event) -> None:
        raise AdapterError("no such thing", retryable=False)

    with pytest.raises(AdapterError, match="no such thing"):
        keep_running(run, Event(), Backoff(random.Random(1)), wait=lambda seconds: False)


async def test_async_shell_retries_and_raises_what_is_final() -> None:
    waits: list[float] = []
    errors = [AdapterError("a"), AdapterError("b"), AdapterError("final", retryable=False)]

    async def run() -> None:
        raise errors[len(waits)]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.raises(AdapterError, match="final"):
        await aio.keep_running(run, Backoff(random.Random(1), jitter=0), sleep=sleep)
    assert waits == [1, 2]
