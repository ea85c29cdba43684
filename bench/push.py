"""How long a push of Douyin with gifts waits for its answer, which is given when they are on disk.

A running director with a real journal on this machine's disk, and the source with its own door; the sender is another
process. Beside the quiet director: one whose event loop gives nothing else a turn, and holds the interpreter too.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

from bench.run_tables import Row, percentile, table
from broadcaster.brain.mind import ChainMind
from broadcaster.brain.responder import Responder
from broadcaster.paths import channel_paths
from tests.contract.test_source_douyin import room_at
from tests.fakes.douyin_server import DouyinServer, gift, signed
from tests.support.directing import station, until

PER_SECOND: Final = 100
"""What the platform sends at most of one task."""

LIMIT_MS: Final = 2000.0
"""After that the platform counts the push as failed."""


def run(*, quick: bool = False) -> list[Row]:
    count = 50 if quick else 1000
    quiet = asyncio.run(_answers(count, busy=False))
    busy = asyncio.run(_answers(count, busy=True))
    rows = [
        Row("answer, median", percentile(quiet, 50), "ms", None, f"{PER_SECOND} pushes/s, a gift each"),
        Row("answer, 99th percentile", percentile(quiet, 99), "ms", None),
        Row("answer, longest", max(quiet), "ms", LIMIT_MS),
        Row("loop that never rests, median", percentile(busy, 50), "ms", None),
        Row("loop that never rests, 99th percentile", percentile(busy, 99), "ms", None),
        Row("loop that never rests, longest", max(busy), "ms", LIMIT_MS),
        Row("pushes refused", 2 * count - len(quiet) - len(busy), "", 0),
    ]
    table("Pushes of Douyin", rows)
    return rows


async def _answers(count: int, *, busy: bool) -> list[float]:
    """Milliseconds of each that was answered 200."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="push-") as folder:
        paths = channel_paths("bench", Path(folder))
        paths.ensure()
        async with DouyinServer() as server, station(paths, mind=ChainMind.of([], Responder("小播"))) as made:
            room = room_at(server, room_id=None)
            running = asyncio.create_task(room.run(made.director.room.intake))
            await until(lambda: bool(room.address))
            command = [sys.executable, "-m", "bench.push", room.address, str(count)]
            sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220  # before the figures
            while sender.poll() is None:
                if busy:
                    sum(number * number for number in range(200_000))  # this is the director's loop
                else:
                    await asyncio.sleep(0.01)
            assert sender.stdout is not None
            answers: list[float] = json.loads(sender.stdout.read())
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return answers


def send(address: str, count: int) -> list[float]:
    answers: list[float] = []
    with httpx.Client(trust_env=False, timeout=10) as client:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            body = json.dumps([gift(value=100, sec_openid=f"openid-{number % 99}")]).encode()
            headers = signed("live_gift", body)
            sent = time.perf_counter()
            if client.post(address, content=body, headers=headers).status_code == 200:
                answers.append((time.perf_counter() - sent) * 1000)
    return answers


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], int(sys.argv[2]))))
