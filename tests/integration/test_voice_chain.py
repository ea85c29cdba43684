"""The chain in real time: real HTTP engines against servers that fail at random, with a sure voice behind them.

Ten seconds in `make test`; BROADCASTER_CHAIN_SECONDS=60 (or more) makes it long.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import cache

import numpy as np
import pytest

from broadcaster.config.voices import OpenAISpeechVoice
from broadcaster.speech import normalise, words
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.finished import FinishedVoice
from broadcaster.speech.mouth.alignment import Aligner
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.remote.openai_speech import OpenAISpeechEngine
from broadcaster.speech.units import spoken_units
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import SAMPLE_RATE, SpokenPiece
from tests.contract.voice_cases.case import Fault
from tests.fakes.http_wire import Refusal, Request
from tests.fakes.raw_voice import voiced
from tests.fakes.voice_links import SureLink
from tests.fakes.voice_server import OpenAISpeechServer
from tests.support.thousand import programme

pytestmark = pytest.mark.integration

SECONDS = float(os.environ.get("BROADCASTER_CHAIN_SECONDS", "10"))
FAILING = 0.5
FAULTS = (
    Fault.SLOW_START, Fault.STALL, Fault.TRUNCATED, Fault.ERROR, Fault.JSON, Fault.TOO_MANY,
    Fault.SERVER_ERROR, Fault.DROPPED, Fault.RESET, Fault.EMPTY,
)  # fmt: skip
"""All that can be noticed. Half of the sound with a proper end cannot: ten characters a second is still speech."""


@cache
def spoken_sound() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return voiced(20.0)


class Moody(OpenAISpeechServer):
    """Says each text at five units a second, or has one of FAULTS; `first` tells for the first requests."""

    def __init__(self, dice: random.Random, first: list[bool]) -> None:
        super().__init__()
        self.dice = dice
        self.first = first
        self.faults: Counter[Fault] = Counter()

    def check(self, request: Request) -> Refusal | None:
        fails = self.first.pop(0) if self.first else self.dice.random() < FAILING
        self.fault = self.dice.choice(FAULTS) if fails else None
        if self.fault is not None:
            self.faults[self.fault] += 1
        samples = round(spoken_units(request.fields["input"]) * 0.2 * self.rate)
        self.sound = spoken_sound()[:samples].tobytes()
        return super().check(request)


def link_to(server: Moody, name: str) -> Link:
    settings = OpenAISpeechVoice(
        name=name, base_url=f"http://127.0.0.1:{server.port}/v1",
        connect_timeout_s=0.5, first_sound_timeout_s=0.6, gap_timeout_s=0.4,
    )  # fmt: skip
    voice = FinishedVoice(OpenAISpeechEngine(settings, None), settings, loudness_lufs=-16, mouth=Aligner)
    return Link(name, voice, CircuitBreaker(time.monotonic, random.Random(1), first_s=0.5, cap_s=2.0))


async def test_every_sentence_is_heard_in_order_and_once() -> None:
    dice = random.Random(7)
    await asyncio.to_thread(words.load)
    await asyncio.to_thread(normalise.load)
    asked: list[str] = []
    short = (sentence for sentence in programme(10_000, dice) if spoken_units(sentence) <= 12)
    while sum(0.2 * spoken_units(sentence) + 0.3 for sentence in asked) < SECONDS:
        asked.append(next(short))

    async def text() -> AsyncIterator[str]:
        for sentence in asked:
            yield sentence

    async with AsyncExitStack() as stack:
        # The first sentence is the first link's, and the next one nobody's but the last's: the rest is chance.
        servers = [Moody(dice, [False, True, False, False]), Moody(dice, [True, False, False])]
        for server in servers:
            await stack.enter_async_context(server)
        last = SureLink(fixed_s=0.1, per_unit_s=0.02)
        links = [link_to(server, name) for server, name in zip(servers, ("one", "two"), strict=True)]
        chain = ChainVoice([*links, Link("last", last)])
        stack.push_async_callback(chain.close)
        pieces, gaps = await listen(PacedSpeaker(chain, look_ahead_s=4.0).speak(text(), 1))
        assert [piece.opens for piece in pieces if piece.opens is not None] == [each.strip() for each in asked]
        assert [piece.sentence for piece in pieces] == sorted(piece.sentence for piece in pieces)
        sounded: Counter[int] = Counter()
        for piece in pieces:
            sounded[piece.sentence] += int(np.count_nonzero(piece.speech.pcm))
        long = 0
        for number, sentence in enumerate(asked):
            whole = 0.2 * spoken_units(sentence) * SAMPLE_RATE
            assert sounded[number] > 0.75 * whole, "nothing is missing"
            long += sounded[number] > 1.25 * whole
        assert long <= chain.repeated, "and nothing was said twice but what was cut inside"
        assert chain.left_out == 0
        assert all(server.faults for server in servers), "both had faults"
        engines = Counter(piece.engine for piece in pieces)
        assert set(engines) >= {"one", "last"}
    quantile = sorted(gaps)[int(0.95 * (len(gaps) - 1))]
    print(
        f"{len(asked)} sentences in {SECONDS:.0f} s, gaps between them P95 {1000 * quantile:.0f} ms, "
        f"max {1000 * max(gaps):.0f} ms; by voice {dict(engines)}; faults {sum(servers[0].faults.values())} and "
        f"{sum(servers[1].faults.values())}; clauses repeated {chain.repeated}"
    )


async def listen(spoken: AsyncIterator[SpokenPiece]) -> tuple[list[SpokenPiece], list[float]]:
    """All pieces, and the seconds of silence before each sentence beyond its own pauses."""
    pieces: list[SpokenPiece] = []
    gaps = [0.0]
    end: float | None = None
    async for piece in spoken:
        now = time.monotonic()
        if piece.opens is not None and end is not None:
            gaps.append(max(0.0, now - end))
        end = max(now, end or now) + len(piece.speech.pcm) / SAMPLE_RATE
        pieces.append(piece)
    return pieces, gaps
