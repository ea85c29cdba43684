"""Traces of a running director: which packages are numbered, who wrote and spoke them, and what a fault leaves."""

from __future__ import annotations

import pytest

from broadcaster.journal.traces import read_traces
from broadcaster.latency import Trace
from broadcaster.paths import Paths
from broadcaster.types import PromptKind
from tests.support.directing import LONG, Brain, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration


async def traced(air: Station, prompt: str) -> list[Trace]:
    await air.director.journal.flush()
    return [trace for trace in read_traces(air.paths.journal) if trace.prompt == prompt]


async def test_every_package_of_a_turn_is_traced(paths: Paths) -> None:
    async with station(paths, brains=[Brain("model", ["第一句话。", "第二句话。"])]) as air:
        asked = await air.say("你好？", PromptKind.ASK)
        said = await air.say(LONG)
        await air.ended(asked.id, said.id)
        found = await traced(air, asked.id)
        first = found[0]
        assert [trace.package for trace in found] == list(range(len(found)))
        assert len(found) >= 2
        assert (first.kind, first.brain) == ("ask", "model")
        assert list(first.stages) == ["accepted", "kept", "begun", "text", "playout", "on_air"]
        assert first.total_ms > 0
        more = await traced(air, said.id)
        assert [trace.package for trace in more] == list(range(len(more)))
        assert air.director.status()["turn"]["id"] == said.id
        counts = {key: sum(found.counts) for key, found in air.director.latencies().stages.items()}
        assert counts["total", "first"] == 2
        assert counts["on_air", "later"] == len(found) + len(more) - 2


async def test_a_package_that_is_heard_again_because_playout_died_is_traced_once(paths: Paths) -> None:
    async with station(paths) as air:
        air.playout.speed = 4.0
        said = await air.say(LONG)
        await until(lambda: "on_air" in air.playout.events(said.id))
        await air.playout.kill()
        air.playout.speed = 40.0
        await air.playout.start()
        await air.ended(said.id)
        found = [trace.package for trace in await traced(air, said.id)]
        assert found == list(range(len(found)))
        assert len(found) >= 4
