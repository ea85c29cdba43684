"""Runs the sources: each by itself, again after every failure, and none of them can end the channel.

Director process, event loop. Sources that others knock at receive in a thread of their own and call `bring` there.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from broadcaster.errors import AdapterError, SourceError
from broadcaster.ports import Intake, Source
from broadcaster.supervisor import Backoff
from broadcaster.supervisor.aio import keep_running
from broadcaster.types import Post

log = logging.getLogger(__name__)

GOODBYE_S: Final = 3.0
"""A source may take so long to close its session with its platform. The daemon must be gone after 5."""

LOOK_S: Final = 1.0
"""How often a source is asked whether it is connected, for the log."""

FIRST_S: Final = 1.0
CAP_S: Final = 60.0
"""The wait after the first failure, doubled at each one up to the most: platforms count how often one begins."""


class State(StrEnum):
    """What a source is doing."""

    OFF = "off"  # switched off in the configuration
    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"  # it failed and is tried again
    FAILED = "failed"  # it cannot work as it is set up


class Tape(Intake, Protocol):
    """An intake that records what it passes on (`sources.recorder`)."""

    def status(self) -> dict[str, Any]: ...

    def close(self) -> None:
        """Blocks until everything is written, some seconds at most."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One source as it is configured. `source` is None when it is switched off; `tape` makes its recorder."""

    name: str
    type: str
    source: Source | None
    tape: Callable[[Intake], Tape] | None = None


class Feeds:
    """`run` until cancelled; `status` at any time."""

    def __init__(self, feeds: Sequence[Feed], *, goodbye_s: float = GOODBYE_S) -> None:
        self._kept = [_Kept(feed, goodbye_s) for feed in feeds]

    async def run(self, intake: Intake) -> None:
        """Runs every source and brings what it receives to `intake`. Cancelled, it ends within `GOODBYE_S`."""
        async with asyncio.TaskGroup() as group:
            for kept in self._kept:
                group.create_task(kept.run(intake))
            while True:
                await asyncio.sleep(LOOK_S)
                for kept in self._kept:
                    kept.look()

    def status(self) -> list[dict[str, Any]]:
        """Of each, in the order of the configuration: `name`, `type`, `state`, `error`, `note` (all for people),
        `retry_in_s`, `restarts`, `received`, `paid` (posts), `kinds` (posts by kind), `counters` (its own), and
        `recording` (None or what the recorder says)."""
        return [kept.status() for kept in self._kept]


class _Counted:
    """Counts what passes. From the thread that the source brings it in."""

    def __init__(self, intake: Intake) -> None:
        self.kinds: Counter[str] = Counter()
        self.paid = 0
        self._intake = intake
        self._lock = threading.Lock()

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        with self._lock:
            for post in posts:
                self.kinds[post.kind.value] += 1
                self.paid += post.price > 0
        return self._intake.bring(posts)


class _Kept:
    """One source and how it is doing."""

    def __init__(self, feed: Feed, goodbye_s: float) -> None:
        self._feed = feed
        self._goodbye_s = goodbye_s
        self._counted: _Counted | None = None
        self._tape: Tape | None = None
        self._error = ""
        self._failed = False
        self._troubled = False
        self._restarts = 0
        self._retry_at: float | None = None

    async def run(self, intake: Intake) -> None:
        """Ends only when cancelled, or at once when there is nothing to run."""
        source = self._feed.source
        if source is None:
            return
        self._counted = counted = _Counted(intake)
        self._tape = tape = self._feed.tape(counted) if self._feed.tape is not None else None
        working = asyncio.ensure_future(self._work(source, tape or counted))
        try:
            await asyncio.shield(working)
        finally:
            await self._end(working)
            if tape is not None:
                await asyncio.to_thread(tape.close)

    async def _work(self, source: Source, intake: Intake) -> None:
        backoff = Backoff(random.Random(), first_s=FIRST_S, cap_s=CAP_S)
        try:
            await keep_running(lambda: self._once(source, intake), backoff, failed=self._stumbled, at_once=_is_over)
        except AdapterError as err:
            self._failed, self._error = True, str(err)
            log.error("a source cannot work as it is set up", extra={"source": self._feed.name, "reason": err})

    async def _once(self, source: Source, intake: Intake) -> None:
        self._retry_at = None
        try:
            await source.run(intake)
        except SourceError:
            raise
        except Exception as err:  # a fault of the program in one source must not end the channel
            raise SourceError(f"it failed by a fault of the program: {_place(err)}") from err
        raise SourceError("it ended by itself")

    def _stumbled(self, err: AdapterError, delay: float) -> None:
        self._restarts += 1
        self._error = str(err)
        self._retry_at = asyncio.get_running_loop().time() + delay
        about = {"source": self._feed.name, "reason": str(err)}
        if delay == 0.0:
            log.info("the session of a source is over; the next one begins", extra=about)
        elif not self._troubled:
            self._troubled = True
            log.warning("a source failed; it is tried again", extra={**about, "retry_in_s": round(delay, 1)})

    async def _end(self, working: asyncio.Future[None]) -> None:
        working.cancel()
        await asyncio.wait({working}, timeout=self._goodbye_s)
        if not working.done():
            log.warning("a source did not close in time", extra={"source": self._feed.name})
        elif not working.cancelled() and working.exception() is not None:
            log.warning("a source failed while it closed", extra={"source": self._feed.name})

    def look(self) -> None:
        """Tells once that a source which had failed is connected again."""
        if self.state is not State.LIVE:
            return
        self._error = ""
        if self._troubled:
            self._troubled = False
            log.info("a source works again", extra={"source": self._feed.name})

    @property
    def state(self) -> State:
        if self._feed.source is None:
            return State.OFF
        if self._failed:
            return State.FAILED
        if self._retry_at is not None:
            return State.WAITING
        return State.LIVE if self._counted and self._feed.source.status().get("connected") else State.CONNECTING

    def status(self) -> dict[str, Any]:
        state = self.state
        own = self._feed.source.status() if self._feed.source is not None else {}
        kinds = dict(self._counted.kinds) if self._counted else {}
        left = 0.0
        if state is State.WAITING and self._retry_at is not None:
            left = max(0.0, self._retry_at - asyncio.get_running_loop().time())
        return {
            "name": self._feed.name,
            "type": self._feed.type,
            "state": state.value,
            "error": "" if state is State.LIVE else self._error,
            "note": str(own.get("note", "")),
            "retry_in_s": round(left, 1),
            "restarts": self._restarts,
            "received": sum(kinds.values()),
            "paid": self._counted.paid if self._counted else 0,
            "kinds": kinds,
            "counters": {
                name: value
                for name, value in own.items()
                if name not in ("connected", "note") and isinstance(value, int)
            },
            "recording": self._tape.status() if self._tape is not None else None,
        }


def _is_over(err: AdapterError) -> bool:
    return isinstance(err, SourceError) and err.at_once


def _place(err: Exception) -> str:
    """Kind and place of an error, without its words: they may quote a viewer."""
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(err).__name__}{where}"
