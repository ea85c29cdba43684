"""A small channel behind the console: a real queue and real events, but nobody speaks until `air` is called."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from broadcaster.errors import Refused
from broadcaster.latency import Latencies, summary
from broadcaster.types import PLAIN, Happening, Inbound, Manner, Origin, PromptKind, Viewer
from broadcaster.wire import SinkReply

EVENTS = 64
"""Events a subscriber may lag behind, as in the director: the oldest go first."""


class FakeStation:
    """Implements `broadcaster.station.Station`. `tick` stands still unless the test moves it."""

    def __init__(self, *, capacity: int = 200, max_text: int = 2000, tick: int = 1000) -> None:
        self.capacity = capacity
        self.max_text = max_text
        self.tick = tick
        self.connected = True
        self.panicked = False
        self.waiting: deque[Inbound] = deque()
        self.held: set[str] = set()
        self.now: dict[str, Any] | None = None
        self.log: list[dict[str, Any]] = []
        self.calls: list[tuple[str, Origin]] = []
        self.commands: list[dict[str, Any]] = []
        self.sinks: list[dict[str, Any]] = [sink_status("preview", "preview", "live")]
        self.sources: list[dict[str, Any]] = []
        self.refuse_sink = ""
        self.recordings: dict[str, bytes] = {}
        self.listens = True
        self._subscribers: list[deque[dict[str, Any]]] = []
        self._news = asyncio.Condition()
        self._made = 0
        self.stopping = False
        self.latency_since_ns: int | None = None
        self.moderated: list[tuple[dict[str, Any], Origin]] = []
        self.banned: list[dict[str, Any]] = []

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound:
        if self.panicked:
            raise Refused("the channel is in panic; an operator has to resume", "panicked")
        if not text.strip() and happening is None:
            raise Refused("there is nothing to say in this text", "empty")
        if len(text) > self.max_text:
            raise Refused(f"the text has {len(text)} characters, {self.max_text} are allowed", "too_long")
        if len(self.waiting) >= self.capacity:
            raise Refused("the queue is full; try again later", "full")
        self._made += 1
        prompt = Inbound(f"p{self._made}", kind, text, origin, time.time_ns(), manner, viewer, resumable, happening)
        self.waiting.append(prompt)
        return prompt

    async def attach(self, data: bytes, by: Origin) -> str:
        if not self.listens:
            raise Refused("nobody here can listen to a recording")
        name = f"{len(self.recordings):024x}"
        self.recordings[name] = data
        return name

    async def forget(self, viewer: str | None, by: Origin) -> int:
        self.calls.append(("forget", by))
        return 2

    async def interrupt(self, by: Origin) -> None:
        self.calls.append(("interrupt", by))
        if self.now is not None:
            await self.emit({"type": "cut", "id": self.now["id"], "sentence": 0, "samples": 480, "tick": self.tick})
            self.now = None

    async def panic(self, by: Origin) -> None:
        self.calls.append(("panic", by))
        self.panicked = True
        self.now = None
        await self.emit({"type": "status", "status": self.status()})

    async def resume(self, by: Origin) -> None:
        self.calls.append(("resume", by))
        self.panicked = False
        await self.emit({"type": "status", "status": self.status()})

    async def sink(self, command: dict[str, Any]) -> SinkReply:
        self.commands.append(command)
        if self.refuse_sink == "unavailable":
            raise Refused("playout does not answer", "unavailable")
        return SinkReply("r1", not self.refuse_sink, self.refuse_sink)

    async def queue(self, limit: int = 50) -> dict[str, Any]:
        items = [queue_item(prompt, number + 1) for number, prompt in enumerate(self.waiting)]
        return {
            "items": items[:limit], "length": len(items), "held": 0, "on_disk": 0,
            "paused": False, "slow_s": 0.0, "delay_s": 0.0,
        }  # fmt: skip

    async def place(self, id: str) -> dict[str, Any]:
        found = next((item for item in (await self.queue())["items"] if item["id"] == id), None)
        if found is None:
            raise Refused("no prompt of this id waits, is held or is on air", "unknown")
        return found

    async def moderate(self, command: Mapping[str, Any], by: Origin) -> None:
        if "id" in command:
            await self.place(command["id"])
        self.moderated.append((dict(command), by))
        if command["type"] == "drop":
            self.waiting = deque(prompt for prompt in self.waiting if prompt.id != command["id"])

    def bans(self) -> list[dict[str, Any]]:
        return self.banned

    def subscribe(self) -> AsyncGenerator[dict[str, Any], None]:
        mine: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._subscribers.append(mine)

        async def events() -> AsyncGenerator[dict[str, Any], None]:
            try:
                while True:
                    async with self._news:
                        await self._news.wait_for(lambda: mine or self.stopping)
                    if not mine:
                        return
                    yield mine.popleft()
            finally:
                self._subscribers = [each for each in self._subscribers if each is not mine]

        return events()

    def status(self) -> dict[str, Any]:
        return {
            "channel": "demo",
            "version": "0.1.0",
            "uptime_s": 12.0,
            "pid": 1,
            "panicked": self.panicked,
            "stopping": self.stopping,
            "clock": {
                "connected": self.connected, "tick": self.tick, "fps": 25, "late_ticks": 3, "held_ticks": 2,
                "reanchored": 0, "tick_ms": 7.5, "lateness_p99_ms": 1.2, "encoder": "x264", "encoder_restarts": 0,
                "av_skew_ms": 0.4, "uptime_s": self.tick / 25, "queued_ms": 0, "holes": 0, "hole_ms": 0,
                "patches_shown": 40, "patches_missing": 1, "patches_late": 0,
            },
            "voice": {
                "engine": "kokoro",
                "degraded": False,
                "error": "",
                "links": [{"name": "kokoro", "state": "closed", "spoken": 3, "failures": 1, "error": ""}],
            },
            "head": {
                "connected": True, "engine": "warp", "degraded": False, "rendered": 40, "skipped": 0,
                "render_ms": 3.1, "note": "", "step": "", "counts": {"interpolated": 0, "stepped_down": 0},
            },
            "brain": {
                "engine": "rules", "degraded": False, "error": "", "rule_based": True,
                "links": [{"name": "rules", "state": "closed", "answered": 2, "failures": 0, "error": ""}],
                "budget": {"limit": None, "spent": 0.0, "currency": "CNY", "tokens": 0, "links": []},
                "memory": {"messages": 0, "tokens": 0, "viewers": 0},
            },
            "sources": self.sources,
            "sinks": self.sinks,
            "now": self.now,
            "next": [{**_waiting(prompt), "held": prompt.id in self.held} for prompt in list(self.waiting)[:5]],
            "queue": {"length": len(self.waiting), "capacity": self.capacity},
            "journal": {"ok": True, "error": ""},
            "counters": {"accepted": self._made, "done": len(self.log)},
        }  # fmt: skip

    def latencies(self) -> Latencies:
        return Latencies()

    async def latency(self, turns: int | None = 100, since_ns: int | None = None) -> dict[str, Any]:
        self.latency_since_ns = since_ns
        return summary([])

    async def asrun(self, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        newest = [row for row in reversed(self.log) if before is None or row["row"] < before]
        return newest[:limit]

    async def emit(self, event: dict[str, Any]) -> None:
        async with self._news:
            for subscriber in self._subscribers:
                subscriber.append(event)
            self._news.notify_all()

    async def air(self) -> Inbound:
        """The next prompt goes on air: `on_air`, and it stays there until `finish`."""
        prompt = self.waiting.popleft()
        self.now = {**_waiting(prompt), "sentence": 0}
        await self.emit({"type": "on_air", "id": prompt.id, "sentence": 0, "text": prompt.text, "tick": self.tick})
        await self.emit({"type": "status", "status": self.status()})
        return prompt

    async def finish(self) -> None:
        """What is on air ends in full and enters the as-run log."""
        assert self.now is not None
        said, self.now = self.now, None
        self.log.append(
            {
                "row": len(self.log) + 1,
                "prompt": said["id"],
                "kind": said["kind"],
                "source": said["origin"],
                "author": "",
                "sentence": 0,
                "text": said["text"],
                "engine": "kokoro",
                "start_tick": self.tick,
                "end_tick": self.tick + 25,
                "start_ns": time.time_ns(),
                "end_ns": time.time_ns(),
                "samples": 48_000,
                "outcome": "heard",
            }
        )
        await self.emit({"type": "done", "id": said["id"]})
        await self.emit({"type": "status", "status": self.status()})

    async def stop(self) -> None:
        self.stopping = True
        async with self._news:
            self._news.notify_all()


def sink_status(name: str, kind: str, state: str, **figures: Any) -> dict[str, Any]:
    """A `wire.SinkStatus` as the mapping that `Station.status` shows."""
    idle = {
        "address": "", "kbps": 2500.0, "dropped_frames": 0, "total_frames": 1000, "congestion": 0.0, "queue_ms": 40,
        "uptime_s": 40.0, "reconnects": 0, "bytes": 12_500_000, "retry_in_s": 0.0, "error": "",
    }  # fmt: skip
    return {"name": name, "type": kind, "state": state, **idle, **figures}


def queue_item(prompt: Inbound, place: int | None, state: str = "waiting") -> dict[str, Any]:
    """A `sources.moderation.QueueItem` as a mapping."""
    viewer = prompt.viewer
    return {
        "id": prompt.id, "place": place, "eta_s": None if place is None else 10.0 * place, "lane": prompt.lane.value,
        "kind": prompt.kind.value, "text": prompt.text, "viewer": viewer.id if viewer else "",
        "name": viewer.name if viewer else "", "paid": prompt.paid / 1000, "alike": prompt.alike, "state": state,
        "reason": "", "approved": prompt.approved, "why": {},
    }  # fmt: skip


def _waiting(prompt: Inbound) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "kind": prompt.kind.value,
        "lane": prompt.lane.value,
        "text": prompt.text,
        "origin": prompt.origin.source,
        "author": prompt.origin.author,
    }
