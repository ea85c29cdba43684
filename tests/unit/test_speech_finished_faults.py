"""Engines that are late, break, babble or are cancelled: what is heard, which error comes, and nothing stays open."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.types import Piece, RawSound
from tests.fakes.raw_voice import ScriptedEngine, broken, raw, silence, voiced
from tests.fakes.voice import run_virtually
from tests.support.finishing import (
    SOUND,
    TEXT,
    WHOLE,
    failure,
    heard,
    voice,
)

pytestmark = pytest.mark.unit


# -- time-outs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        [1e6],
        [RawSound(b"", 24_000), 2.0] * 9,
        [raw(silence(0.2)), 1.0] * 9,
        [raw(silence(0.2, offset=700)), 1.0] * 9,
        [3.99, raw(SOUND[:10]), 1e6],
    ],
    ids=["nothing", "empty chunks", "silence", "an offset", "less than a frame"],
)
def test_the_first_sound_is_waited_for_as_long_as_the_link_says(script: list[RawSound | float]) -> None:
    error, chunks, at = failure(script)
    assert "one: no sound within 4 s (first_sound_timeout_s)" in str(error)
    assert error.retryable
    assert at == pytest.approx(4.0)
    assert chunks == []


def test_a_gap_ends_the_piece_and_what_was_held_back_is_faded_out() -> None:
    error, chunks, at = failure(
        [1.0, raw(SOUND[:36_000]), 2.0, raw(SOUND[36_000:48_000]), RawSound(b"", 24_000), 1e6]
    )
    assert str(error) == "one: no more sound for 3 s (gap_timeout_s)"
    assert error.retryable
    assert at == pytest.approx(6.0)
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    assert len(chunks[-1].pcm) == 960
    assert np.array_equal(pcm[:-960], WHOLE[: len(pcm) - 960])
    assert abs(int(pcm[-1])) < 20
    assert chunks[-1].phones[-1].end == 960


def test_time_that_the_listener_takes_is_no_gap() -> None:
    async def run() -> int:
        engine = ScriptedEngine([raw(SOUND[:48_000]), 2.9, raw(SOUND[48_000:])])
        total = 0
        async for chunk in voice(engine).speak(Piece(TEXT, "zh", 0), 1):
            total += len(chunk.pcm)
            await asyncio.sleep(60)
        return total

    assert run_virtually(run()) == len(WHOLE)


def test_an_engine_that_cannot_be_closed_is_left_alone() -> None:
    error, _, at = failure([1e6], hangs_on_close=True)
    assert "first_sound_timeout_s" in str(error)
    assert at == pytest.approx(5.0)


@pytest.mark.parametrize("before", [0, 40_000])
def test_the_engine_s_own_error_comes_through(before: int) -> None:
    error, chunks, _ = failure([raw(SOUND[:before]), broken("the server ended")])
    assert str(error) == "the server ended"
    assert bool(chunks) == bool(before)


def test_a_fault_of_the_adapter_is_an_error_of_the_voice_and_tells_no_text() -> None:
    error, chunks, _ = failure([KeyError("秘密")])
    assert str(error) == "one: the engine failed with KeyError"
    assert chunks == []


def test_a_time_out_of_the_engine_s_own_is_not_taken_for_ours() -> None:
    error, _, at = failure([1.0, TimeoutError()])
    assert str(error) == "one: the engine failed with TimeoutError"
    assert at == pytest.approx(1.0)


# -- bad sound ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ([], "no sound"),
        ([RawSound(b"", 24_000)], "no sound"),
        ([raw(silence(1.0))], "nothing but silence"),
        ([raw(voiced(0.4))], "too short"),
        ([raw(voiced(30.0))], "too long"),
        ([raw(np.clip(voiced(2.5, level=0.9).astype(int) * 6, -32768, 32767).astype(np.int16))], "clipped"),
    ],
)
def test_sound_that_cannot_be_that_text_is_refused(script: list[RawSound], wrong: str) -> None:
    error, _, _ = failure(script)
    assert wrong in str(error)
    assert str(error).startswith("one: ")
    assert error.retryable


def test_an_engine_that_babbles_on_is_stopped_while_it_does() -> None:
    engine = ScriptedEngine([raw(voiced(1.0)), 1.0] * 1000)
    with pytest.raises(VoiceError, match="too long"):
        run_virtually(heard(voice(engine)))
    assert engine.sent < 14  # 12 units may take 8 s and a breath
    assert engine.open == 0


# -- cancelling ---------------------------------------------------------------------------------------------------


def test_closing_closes_the_engine_s_stream() -> None:
    async def run() -> int:
        engine = ScriptedEngine([raw(SOUND[:48_000]), 1e6])
        stream = voice(engine).speak(Piece(TEXT, "zh", 0), 1)
        async with aclosing(stream):  # type: ignore[type-var]
            await anext(stream)
            assert engine.open == 1
        return engine.open

    assert run_virtually(run()) == 0


def test_cancelling_while_it_waits_closes_the_engine_s_stream() -> None:
    async def run() -> int:
        engine = ScriptedEngine([1e6])
        task = asyncio.create_task(heard(voice(engine)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return engine.open

    assert run_virtually(run()) == 0
