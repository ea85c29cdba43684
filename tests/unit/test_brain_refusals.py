"""How refusals are read, and how events are put together from bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.brain.engines import refusals
from broadcaster.brain.engines.sse import LINE_LIMIT, data_of

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "words", "wait_s"),
    [
        ({}, "", None),
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after": "2.5"}, "", 2.5),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, "", 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "-3"}, "", None),
        ({"retry-after": "99999999"}, "", 86_400.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, "", 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, "", 1.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, "", 0.02),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, "", 12.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1764000000"}, "", None),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, "", None),
        ({"x-ratelimit-remaining-tokens": "0"}, "", None),
        ({}, "Rate limit reached. Please try again in 1.2s.", 1.2),
        ({}, "Please retry after 20 seconds.", 20.0),
        ({}, "please try again in 350ms", 0.35),
        ({}, "Try again in 2m", 120.0),
        ({"retry-after": "3"}, "try again in 20s", 3.0),
        ({}, "try again later", None),
    ],
)
def test_the_wait_a_refusal_asks_for(headers: dict[str, str], words: str, wait_s: float | None) -> None:
    found = refusals.wait_asked(headers, words, NOW)
    assert found == (pytest.approx(wait_s) if wait_s is not None else None)


@pytest.mark.parametrize(
    ("status", "code", "retryable", "denied"),
    [
        (400, "", False, False),
        (401, "", False, True),
        (402, "", False, True),
        (403, "", False, True),
        (404, "", False, True),
        (408, "", True, False),
        (413, "", False, False),
        (422, "", False, False),
        (429, "", True, False),
        (429, "insufficient_quota", False, True),
        (429, "rate_limit_exceeded", True, False),
        (307, "", False, True),
        (500, "", True, False),
        (503, "", True, False),
        (529, "", True, False),
        (400, "content_filter", False, False),
        (None, "", True, False),
        (None, "insufficient_quota", False, True),
        (None, "data_inspection_failed", False, False),
    ],
)
def test_what_a_status_and_a_code_mean(status: int | None, code: str, retryable: bool, denied: bool) -> None:
    error = refusals.refused("host:1", status, code, 4.0)
    assert (error.retryable, error.denied) == (retryable, denied)
    assert str(error).startswith("host:1 ")
    if retryable:
        assert error.retry_after_s == 4.0


def test_a_code_is_never_quoted() -> None:
    assert "sk-" not in str(refusals.refused("host:1", 400, "insufficient_quota sk-canary"))


async def events(body: bytes, sizes: list[int]) -> list[str]:
    async def cut() -> AsyncIterator[bytes]:
        at = number = 0
        while at < len(body):
            size = sizes[number % len(sizes)] if sizes else len(body)
            yield body[at : at + size]
            at += size
            number += 1

    return [data async for data in data_of(cut())]


BODY = (
    ': 你好\n\nevent: ping\n\ndata: {"a": "一\u2028二"}\n\nid: 1\r\nevent: message\r\ndata:two\r\ndata: lines\r\n\r\n'
    "data: \n\ndata: cut off"
).encode()


@given(st.lists(st.integers(1, 9), max_size=12))
async def test_events_are_the_same_wherever_the_bytes_are_cut(sizes: list[int]) -> None:
    assert await events(BODY, sizes) == ['{"a": "一\u2028二"}', "two\nlines"]


async def test_a_line_without_an_end_is_given_up() -> None:
    with pytest.raises(ValueError, match="without an end"):
        await events(b"data: " + b"x" * (LINE_LIMIT + 10), [65_536])
