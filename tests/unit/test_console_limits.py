"""Token buckets: what they let through, what they ask to wait, and that they forget."""

from __future__ import annotations

import pytest

from broadcaster.console.limits import MAX_KEYS, RateLimiter

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_silent_key_may_spend_a_minutes_worth_at_once_and_no_more() -> None:
    limiter = RateLimiter(5, Clock())
    assert [limiter.take("a") for _ in range(6)] == [0, 0, 0, 0, 0, 12]
    assert limiter.refused == 1
    assert limiter.take("b") == 0, "keys do not share a bucket"


def test_the_bucket_refills_evenly() -> None:
    clock = Clock()
    limiter = RateLimiter(6, clock)
    for _ in range(6):
        limiter.take("a")
    clock.now = 9.9
    assert limiter.wait("a") == 1
    clock.now = 10.0
    assert limiter.wait("a") == 0
    assert limiter.take("a") == 0
    assert limiter.take("a") == 10


def test_waiting_takes_nothing() -> None:
    limiter = RateLimiter(1, Clock())
    assert [limiter.wait("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a") == 0


def test_many_keys_do_not_grow_the_table() -> None:
    limiter = RateLimiter(1, Clock())
    for number in range(MAX_KEYS + 10):
        limiter.take(str(number))
    assert len(limiter._levels) == MAX_KEYS
    assert limiter.take("0") == 0, "the longest silent key was forgotten"
    assert limiter.take(str(MAX_KEYS + 9)) > 0
