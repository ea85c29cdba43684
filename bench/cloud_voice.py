"""How soon a cloud voice sounds: the SDK as its documentation uses it, and the SDK over a connection of ours.

Both ask a server on loopback in turn, so that only the client's share is in the figures; and how long it takes to let
go of a request whose server has fallen silent.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from bench.run_tables import Row, spread, table
from broadcaster.types import Piece
from tests.contract.voice_cases.case import Fault
from tests.fakes.dashscope_server import DashScopeServer
from tests.support.cloud_voice import KEY, ONE, cosyvoice

GOAL = 1.0
"""Ours over the SDK's own."""

LET_GO_MS = 50.0


def sdk_alone(url: str) -> float:
    """Milliseconds from the request to the first sound."""
    import dashscope
    from dashscope.audio.tts_v2 import AudioFormat, ResultCallback, SpeechSynthesizer

    first: list[float] = []

    class Callback(ResultCallback):  # type: ignore[misc]
        def on_data(self, data: bytes) -> None:
            first.append(time.perf_counter())

    dashscope.api_key = KEY
    began = time.perf_counter()
    sdk = SpeechSynthesizer("m", "v", AudioFormat.PCM_24000HZ_MONO_16BIT, callback=Callback(), url=url)
    sdk.streaming_call(ONE)
    sdk.streaming_complete(5000)
    return (first[0] - began) * 1000


async def ours(server: DashScopeServer) -> tuple[float, float]:
    """Milliseconds to the first sound, and from closing the stream to the end of its threads."""
    began = time.perf_counter()
    stream = cosyvoice(server).stream(Piece(ONE, "zh", 0))
    await anext(stream)
    sounded = time.perf_counter()
    await stream.aclose()  # type: ignore[attr-defined]
    return (sounded - began) * 1000, (time.perf_counter() - sounded) * 1000


async def measured(rounds: int) -> list[Row]:
    alone: list[float] = []
    here: list[float] = []
    let_go: list[float] = []
    async with DashScopeServer() as server:
        await ours(server)  # the import of the SDK is not what is measured
        for _ in range(rounds):
            server.fault = None
            alone.append(await asyncio.to_thread(sdk_alone, server.tts_url))
            server.fault = Fault.STALL
            first, closed = await ours(server)
            here.append(first)
            let_go.append(closed)
    ratio = statistics.median(here) / statistics.median(alone)
    return [
        *spread("first sound, SDK alone", alone, "ms"),
        *spread("first sound, ours", here, "ms"),
        Row("ours / SDK alone", ratio, "x", GOAL),
        *spread("let go of a silent server", let_go, "ms", p95=LET_GO_MS),
    ]


def run(*, quick: bool) -> list[Row]:
    rows = asyncio.run(measured(5 if quick else 50))
    table("Cloud voice, on loopback", rows)
    return rows
