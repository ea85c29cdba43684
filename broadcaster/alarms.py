"""Alarms: edges of faults, told once when they begin and once when they are over, by command or webhook.

Director's event loop. Observing never waits; each receiver has a queue and a task of its own, so that one that
hangs delays nobody else. `Level` and `Alarms.observe` are pure but for the injected clock.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from broadcaster.config import Alarm

log = logging.getLogger(__name__)

SINK_DOWN_S: Final = 30.0
SOURCE_DOWN_S: Final = 30.0
STAGE_DOWN_S: Final = 5.0
"""Voice or head may be away this long (a restart) before it counts as degraded."""

STEADY_S: Final = 5.0
"""A fault is over when it has been away this long: what flaps is one alarm."""

EVENT_LASTS_S: Final = 60.0
"""Things that happen at a moment (a restart, a replaced encoder) are over after this much quiet."""

QUEUE_EVENTS: Final = 64
"""Per receiver; more waiting means it is dead, and the oldest news is the least wanted."""

ATTEMPT_S: Final = 10.0
RETRY_S: Final = 2.0


@dataclass(slots=True)
class Level:
    """One fault of one thing: when it becomes an alarm and when it stops being one."""

    raise_after: float
    clear_after: float = STEADY_S
    raised: bool = False
    _since: float | None = None

    def update(self, faulty: bool, now: float) -> str | None:
        """ "raised", "cleared" or None. `now` is monotonic seconds."""
        if faulty == self.raised:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        if now - self._since < (self.clear_after if self.raised else self.raise_after):
            return None
        self.raised, self._since = faulty, None
        return "raised" if faulty else "cleared"


@dataclass(slots=True)
class _Counted:
    """A counter whose growth is a momentary event."""

    seen: int | None = None
    last: float = field(default=-EVENT_LASTS_S)

    def recent(self, value: int, now: float) -> bool:
        if self.seen is not None and value > self.seen:
            self.last = now
        self.seen = value
        return now - self.last < EVENT_LASTS_S


class Alarms:
    """Feed it with `observe`, `disk` and `child`; `run` delivers. `dropped` counts what no receiver could take."""

    def __init__(
        self, configured: Sequence[Alarm], channel: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._levels: dict[tuple[str, str], Level] = {}
        self._encoder = _Counted()
        self._playout = _Counted()
        self._panics = 0
        self._children_down: dict[str, str] = {}
        self._head_seen = False
        self.receivers = [Receiver(alarm) for alarm in configured]
        self.active: set[tuple[str, str]] = set()

    @property
    def dropped(self) -> int:
        return sum(receiver.dropped for receiver in self.receivers)

    def observe(self, status: dict[str, Any], playout_restarts: int) -> None:
        """Takes the channel's status (see `station.Station.status`), about once a second."""
        now = self._clock()
        connected = bool(status["clock"]["connected"])
        panics = int(status["counters"].get("panics", 0))
        panicked = status["panicked"] or panics > self._panics  # one may be over between two looks
        self._panics = panics
        self._set("panic", "", panicked, "the channel is in panic", 0.0, 0.0)
        self._set("playout_restarted", "", self._playout.recent(playout_restarts, now), "playout was restarted", 0, 0)
        voice = status["voice"]
        voice_down = self._children_down.get("voice", "")
        self._set(
            "voice_degraded", "", voice["degraded"] or bool(voice_down), voice["error"] or voice_down, STAGE_DOWN_S
        )
        self._observe_sources(status["sources"])
        if not connected:
            return  # what playout would have told is unknown: neither raised nor cleared
        self._observe_head(status["head"])
        restarts = int(status["clock"]["encoder_restarts"])
        self._set("encoder_replaced", "", self._encoder.recent(restarts, now), status["clock"]["encoder"], 0, 0)
        for sink in status["sinks"]:
            self._observe_sink(sink)
        self._forget_sinks({sink["name"] for sink in status["sinks"]})

    def _observe_head(self, head: dict[str, Any]) -> None:
        self._head_seen = self._head_seen or head["connected"]
        faulty = self._head_seen and (not head["connected"] or head["degraded"])
        detail = head.get("note") or ("" if head["connected"] else "the head process is away")
        self._set("head_degraded", "", faulty, detail, STAGE_DOWN_S)

    def _observe_sources(self, sources: list[dict[str, Any]]) -> None:
        for source in sources:
            state, error = source["state"], source["error"]
            down = state in ("connecting", "waiting")
            self._set("source_down", source["name"], down or state == "failed", error, SOURCE_DOWN_S if down else 0.0)

    def _observe_sink(self, sink: dict[str, Any]) -> None:
        name, state, error = sink["name"], sink["state"], sink["error"]
        self._set("sink_down", name, state in ("connecting", "waiting", "suspended", "failed"), error, SINK_DOWN_S)
        self._set("sink_key_rejected", name, state == "suspended", error, 0.0)

    def _forget_sinks(self, known: set[str]) -> None:
        """A sink that was removed has no faults any more."""
        for kind, key in list(self._levels):
            if kind.startswith("sink_") and key not in known:
                self._set(kind, key, False, "the sink was removed", 0.0, 0.0)
                del self._levels[kind, key]

    def disk(self, folder: str, low: bool, free_mb: int | None) -> None:
        detail = "cannot be read" if free_mb is None else f"{free_mb} MB free"
        self._set("disk_low", folder, low, detail, 0.0, 0.0)

    def child(self, role: str, event: str, detail: str) -> None:
        """A notice of the parent about one of its children."""
        if event == "started":
            self._children_down.pop(role, None)
        else:
            self._children_down[role] = f"{role} {event}: {detail}"

    def _set(
        self, kind: str, key: str, faulty: bool, detail: str, raise_after: float, clear_after: float = STEADY_S
    ) -> None:
        level = self._levels.setdefault((kind, key), Level(raise_after, clear_after))
        level.raise_after, level.clear_after = raise_after, clear_after
        edge = level.update(bool(faulty), self._clock())
        if edge is None:
            return
        (self.active.add if edge == "raised" else self.active.discard)((kind, key))
        log.log(logging.WARNING if edge == "raised" else logging.INFO, "alarm %s: %s", edge, kind, extra={"of": key})
        event = {
            "channel": self._channel,
            "alarm": kind,
            "state": edge,
            "of": key,
            "detail": detail,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for receiver in self.receivers:
            receiver.offer(event)

    async def run(self) -> None:
        """Delivers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for receiver in self.receivers:
                group.create_task(receiver.run())
            await asyncio.Event().wait()


class Receiver:
    """One entry of `alarms:` in the configuration."""

    def __init__(self, alarm: Alarm, *, attempt_s: float = ATTEMPT_S, retry_s: float = RETRY_S) -> None:
        self.dropped = 0
        self.delivered = 0
        self.failed = 0
        self._alarm = alarm
        self._attempt_s = attempt_s
        self._retry_s = retry_s
        self._queue: asyncio.Queue[dict[str, str]] = asyncio.Queue(QUEUE_EVENTS)

    def offer(self, event: dict[str, str]) -> None:
        """Queues it if it is wanted; when the queue is full the oldest one goes."""
        if event["alarm"] not in self._alarm.on:
            return
        if self._queue.full():
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(event)

    async def run(self) -> None:
        while True:
            await self._deliver(await self._queue.get())

    async def _deliver(self, event: dict[str, str]) -> None:
        body = json.dumps(event, ensure_ascii=False).encode()
        for attempt in self._ways(body):
            fault = await attempt()
            if fault:
                await asyncio.sleep(self._retry_s)
                fault = await attempt()
            if fault:
                self.failed += 1
                log.error("an alarm could not be delivered", extra={"alarm": event["alarm"], "reason": fault})
            else:
                self.delivered += 1

    def _ways(self, body: bytes) -> list[Callable[[], Awaitable[str]]]:
        """Each returns empty, or what went wrong, without the address or the arguments, which may hold secrets."""
        ways: list[Callable[[], Awaitable[str]]] = []
        if (command := self._alarm.command) is not None:
            ways.append(lambda: _execute(command, body, self._attempt_s))
        if (webhook := self._alarm.webhook) is not None:
            ways.append(lambda: _post(webhook.get_secret_value(), body, self._attempt_s))
        return ways


async def _execute(command: list[str], body: bytes, seconds: float) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as err:
        return f"the command cannot be started: {err.strerror}"
    try:
        async with asyncio.timeout(seconds):
            await process.communicate(body)
    except TimeoutError:
        return f"the command took longer than {seconds:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return f"the command ended with {process.returncode}" if process.returncode else ""


async def _post(address: str, body: bytes, seconds: float) -> str:
    import httpx

    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client:
            answer = await client.post(address, content=body, headers={"Content-Type": "application/json"})
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as err:
        return f"the webhook did not answer ({type(err).__name__})"
    return "" if answer.is_success else f"the webhook answered {answer.status_code}"


def free_megabytes(folder: Path) -> int | None:
    """Free space where `folder` is or will be; None when that cannot be told. Blocking."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free // 1_000_000
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
