"""How long what was paid for takes from its receipt to the disk, at the rate of a busy evening, and to the queue.

A real journal on this machine's disk. `bring` is called as sources call it; the time is that of the future, which is
done when the post is synced. The figures are the disk's as much as ours: `fsync` alone is measured beside them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.run_tables import Row, table
from broadcaster.config import Config
from broadcaster.director.admission import Admission
from broadcaster.director.room import Room
from broadcaster.director.rules import HouseRules
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal
from broadcaster.types import Inbound, Post, PostKind, Viewer
from tests.fakes.gate import PassGate

DURABLE_MS: Final = 100.0
"""A post that was read so long ago is on disk, whatever its platform was told."""

PER_SECOND: Final = 50


def run(*, quick: bool = False) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        synced = _fsyncs(Path(folder, "fsync"), 20 if quick else 200)
        stored, queued = asyncio.run(_posts(Path(folder), 1.0 if quick else 20.0))
    rows = [
        Row("fsync of this disk, median", statistics.median(synced), "ms", None),
        Row("fsync of this disk, 99th percentile", _p99(synced), "ms", None),
        Row("receipt to disk, median", statistics.median(stored), "ms", None, f"{PER_SECOND} posts/s"),
        Row("receipt to disk, 99th percentile", _p99(stored), "ms", DURABLE_MS),
        Row("receipt to disk, longest", max(stored), "ms", None, f"{len(stored)} posts"),
        Row("receipt to the queue, 99th percentile", _p99(queued), "ms", None),
    ]
    table("What was paid for", rows)
    return rows


async def _posts(folder: Path, seconds: float) -> tuple[list[float], list[float]]:
    config = Config(channel="bench")
    journal = Journal(folder / "journal.sqlite")
    await journal.open()
    began: dict[str, float] = {}
    stored: list[float] = []
    queued: list[float] = []
    inbox = Inbox(config.inbox)

    def arrived(prompt: Inbound) -> None:
        queued.append((time.perf_counter() - began.pop(prompt.post)) * 1000)
        inbox.remove(prompt.id)
        journal.finish(prompt.id, "done")

    room = Room(
        config, journal, inbox, PassGate(), Admission(2000), HouseRules(journal.decisions),
        hold=lambda prompt, reason: None, withdraw=lambda id, reason: None, let_go=lambda prompt, reason: None,
        arrived=arrived,
    )  # fmt: skip
    await room.open()
    running = asyncio.create_task(room.run())

    async def one(number: int) -> None:
        post = Post("bench", PostKind.SUPER_CHAT, str(number), Viewer(str(number % 99), "x"), "hello", price=30_000)
        began[post.key] = at = time.perf_counter()
        await asyncio.wrap_future(room.intake.bring([post]))
        stored.append((time.perf_counter() - at) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * PER_SECOND)):
            group.create_task(one(number))
            await asyncio.sleep(1 / PER_SECOND)
    while began:  # noqa: ASYNC110  # the last ones are on their way
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    return stored, queued


def _fsyncs(path: Path, count: int) -> list[float]:
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return times


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]
