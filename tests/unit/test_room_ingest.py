"""Bodies of the ingest, whatever is in them: every line is taken or told, and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.ingest import LINES_PER_S, MAX_LINES, MESSAGE_COST, REFUSALS, Pace, Taken, _App
from sources.lines_schema import EXAMPLES
from tests.fakes.intake import KeepingIntake
from tests.fakes.voice import run_virtually

pytestmark = pytest.mark.unit

LINE = 400


def app() -> tuple[_App, KeepingIntake]:
    intake = KeepingIntake()
    return _App("catcher", intake, "", LINE, Counter()), intake


GOOD = st.sampled_from([json.dumps(example).encode() for examples in EXAMPLES.values() for example in examples])
PIECES = st.lists(GOOD | st.binary(max_size=60) | st.just(b" ") | st.just(b"x" * (LINE + 1)), max_size=40)


@settings(max_examples=150)
@given(PIECES)
def test_fuzz_every_line_is_taken_or_told(pieces: list[bytes]) -> None:
    door, intake = app()
    body = b"\n".join(pieces)
    taken = asyncio.run(door.take(body))
    assert taken is not None
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    assert taken.accepted + taken.refused == len(lines)
    assert taken.accepted == len(intake.posts)
    answer = taken.answer()
    assert len(answer["refused"]) <= REFUSALS
    assert [bad["line"] for bad in answer["refused"]] == sorted(bad["line"] for bad in answer["refused"])
    json.dumps(answer)


def test_the_largest_bodies_take_a_bounded_multiple_of_their_size() -> None:
    wide = b'{"kind":"enter","viewer":{"id":"a"}}\n' * MAX_LINES
    for body in (b"\n" * 8_000_000, b"x" * 8_000_000, b"{}\n" * MAX_LINES, wide):
        door, _ = app()
        tracemalloc.start()
        try:
            taken = asyncio.run(door.take(body))
            assert taken is None or isinstance(taken, Taken)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000 + 2 * len(body)
        finally:
            tracemalloc.stop()


def test_who_sends_too_much_waits() -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        pace = Pace(LINES_PER_S)
        await pace.spend(LINES_PER_S)
        at_once = loop.time()
        for _ in range(100):
            await pace.spend(LINES_PER_S / 50)
        return at_once, loop.time()

    assert run_virtually(main()) == pytest.approx((0.0, 2.0), abs=0.05)


def test_many_messages_of_one_line_are_held_back_more_than_few_of_many() -> None:
    door, intake = app()
    line = b'{"kind":"enter","viewer":{"id":"a"}}'

    async def main(messages: int, lines: int) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(messages):
            await door.take(b"\n".join([line] * lines))
        return loop.time() - began

    assert run_virtually(main(3_000, 1)) == pytest.approx(3_000 * (MESSAGE_COST + 1) / LINES_PER_S - 1, abs=0.1)
    assert len(intake.posts) == 3_000
