"""What our own chain adds, with engines that take no time: accepted -> on air, stage by stage, beside the tick grid.

A whole channel that says one sentence again and again: its sound comes from the cache, which takes no more time than
reading a file. Its model is a server on loopback that answers at once, asked through the real SDK. Times are the
traces that `broadcaster latency` shows; every turn meets a silent channel at another moment between two ticks. The
floor: sound begins only with a picture, so it waits 0 to 40 ms for the next one whatever the rest does, and
ANCHOR_LEAD_NS more with a head that renders.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bench.run_station import FULL
from bench.run_tables import Row, percentile, table
from broadcaster.journal.traces import read_traces
from broadcaster.latency import STAGES, Trace, spans_of
from broadcaster.paths import channel_paths
from broadcaster.playout.talk import ANCHOR_LEAD_NS
from tests.fakes.llm_server import LlmServer
from tests.support.channel import Channel

TEXT: Final = "好的，我知道了。"
WARM: Final = 4
"""Turns that load what is loaded on demand, and fill the cache."""
TICK_MS: Final = 40.0
CASES: Final = (
    ("say, no head", "say", "still"),
    ("ask, rules, no head", "rules", "still"),
    ("ask, model, no head", "model", "still"),
    ("ask, model, head", "model", "warp"),
)


@contextmanager
def model() -> Iterator[LlmServer]:
    """A server in a thread of its own that writes TEXT at once."""
    server, ready, loop = LlmServer([TEXT]), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def measure(way: str, head: str, count: int) -> list[Trace]:
    """Turns that met a silent channel, each at another moment between two ticks."""
    chance = random.Random(4)
    with model() as server:
        link = {"engine": "openai", "base_url": server.base_url, "model": "test"}
        settings: dict[str, Any] = {
            "video": FULL,
            "voice": {"cache_mb": 16},
            "brain": {"chain": [link] if way == "model" else []},
        }
        with Channel(head=head, settings=settings) as channel:
            asked = []
            for _ in range(count + WARM):
                time.sleep(0.3 + chance.random() * TICK_MS / 1000)
                prompt = channel.say(TEXT) if way == "say" else channel.ask("你是真人吗？")
                channel.wait_event("on_air", prompt)
                channel.interrupt()
                channel.wait_event("cut", prompt)
                asked.append(prompt)
            time.sleep(1.0)
            found = read_traces(channel_paths("t", channel.root).journal)
    wanted = set(asked[WARM:])
    return [trace for trace in found if trace.first and trace.prompt in wanted]


def run(*, quick: bool) -> list[Row]:
    rows: list[Row] = []
    for name, way, head in CASES:
        first, _ = spans_of(measure(way, head, 6 if quick else 60))
        mine = [*_rows(name, first), *_floor(name, head)]
        table(f"Overhead, {name}: accepted -> on air with engines that take no time", mine)
        rows += mine
    return rows


def _rows(name: str, spans: dict[str, list[float]]) -> list[Row]:
    rows = []
    for stage in (*STAGES, "total"):
        values = spans.get(stage)
        if values:
            note = f"n={len(values)}" if stage == "total" else STAGES.get(stage, "")
            p95 = percentile(values, 95)
            rows.append(Row(f"{name}: {stage} P50", percentile(values, 50), "ms"))
            rows.append(Row(f"{name}: {stage} P95", p95, "ms", 100 if stage == "total" else None, note))
    return rows


def _floor(name: str, head: str) -> list[Row]:
    lead = ANCHOR_LEAD_NS / 1e6 if head == "warp" else 0.0
    return [
        Row(f"{name}: the grid alone P50", TICK_MS / 2 + lead, "ms", note="the floor"),
        Row(f"{name}: the grid alone P95", 0.95 * TICK_MS + lead, "ms"),
    ]


if __name__ == "__main__":
    run(quick=False)
