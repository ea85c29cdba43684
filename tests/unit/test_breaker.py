"""The circuit breaker on an invented clock: when it opens, for how long, and what its one try decides."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.supervisor.breaker import CAP_S, FAILURES, FIRST_S, CircuitBreaker

pytestmark = pytest.mark.unit


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> CircuitBreaker:
    return CircuitBreaker(time, random.Random(1))


def open_it(breaker: CircuitBreaker) -> None:
    for _ in range(FAILURES):
        assert breaker.allows()
        breaker.failed()
    assert breaker.state == "open"


def rest(breaker: CircuitBreaker, time: Time) -> float:
    """Seconds until it is half open."""
    began = time.now
    while breaker.state == "open":
        time.now += 0.1
    return time.now - began


def test_it_opens_on_failures_in_a_row_only(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.opened == 0
    open_it(breaker)
    assert not breaker.allows()
    assert breaker.opened == 1


def test_what_no_other_try_would_change_opens_it_at_once(breaker: CircuitBreaker) -> None:
    breaker.failed(for_good=True)
    assert breaker.state == "open"
    assert not breaker.allows()


def test_after_the_rest_one_try_decides(breaker: CircuitBreaker, time: Time) -> None:
    open_it(breaker)
    rest(breaker, time)
    assert breaker.state == "half_open"
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.allows()


def test_a_try_that_was_broken_off_is_given_back(breaker: CircuitBreaker, time: Time) -> None:
    open_it(breaker)
    rest(breaker, time)
    assert breaker.allows()
    breaker.released()
    assert breaker.state == "half_open"
    assert breaker.allows()


def test_every_failed_try_doubles_the_rest_up_to_the_most(breaker: CircuitBreaker, time: Time) -> None:
    open_it(breaker)
    rests = [rest(breaker, time)]
    for _ in range(8):
        assert breaker.allows()
        breaker.failed()
        rests.append(rest(breaker, time))
    assert FIRST_S * 0.75 <= rests[0] <= FIRST_S * 1.25 + 0.1
    assert all(0.75 * 2 / 1.25 <= b / a for a, b in itertools.pairwise(rests[:4]))
    assert CAP_S * 0.75 <= rests[-1] <= CAP_S + 0.1


def test_a_long_healthy_time_makes_the_rest_short_again(breaker: CircuitBreaker, time: Time) -> None:
    open_it(breaker)
    for _ in range(5):
        rest(breaker, time)
        assert breaker.allows()
        breaker.failed()
    rest(breaker, time)
    assert breaker.allows()
    breaker.succeeded()
    time.now += 3600
    open_it(breaker)
    assert rest(breaker, time) <= FIRST_S * 1.25 + 0.1


def test_what_was_asked_before_it_opened_changes_nothing(breaker: CircuitBreaker, time: Time) -> None:
    open_it(breaker)
    breaker.failed()
    breaker.failed(for_good=True)
    assert breaker.opened == 1
    breaker.succeeded()
    assert breaker.state == "open"
    assert rest(breaker, time) <= FIRST_S * 1.25 + 0.1


@given(st.lists(st.sampled_from(["ask", "ok", "fail", "bad", "released", "wait"]), max_size=60))
def test_it_can_always_be_tried_again(actions: list[str]) -> None:
    """Whatever came in whatever order: an asked breaker lets one through after at most the longest rest."""
    time = Time()
    breaker = CircuitBreaker(time, random.Random(1))
    asked = False
    for action in actions:
        match action:
            case "ask":
                asked = breaker.allows() or asked
            case "ok" if asked:
                breaker.succeeded()
                asked = False
            case "fail" | "bad" if asked:
                breaker.failed(for_good=action == "bad")
                asked = False
            case "released" if asked:
                breaker.released()
                asked = False
            case "wait":
                time.now += 4.0
    if asked:
        breaker.released()
    time.now += CAP_S + 1
    assert breaker.allows()
