"""The engine server without a GPU: what sharing costs beside the device, and whether turns are fair.

A stand-in for the networks takes as long for a batch as an H100 is expected to (`BATCH_MS`) and gives noise. The
server is a process of its own; the channels live in this one. Each hears 160 ms of sound and asks for four faces
every 160 ms, as a talking presenter at 25 pictures a second does, or, the greedy one, for as many as it gets.
`python -m bench.gpu_face` measures the networks where there is a GPU.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from bench.run_tables import Row, percentile, table
from broadcaster.head.musetalk.batcher import BOUND
from broadcaster.head.musetalk.faces import FACE_SIZE, Wanted
from broadcaster.head.musetalk.generator import DEPTH, Job
from broadcaster.head.musetalk.link import state_of
from broadcaster.head.musetalk.remote import RemoteFaces
from broadcaster.head.musetalk.seat import About
from broadcaster.head.musetalk.server import EngineServer
from broadcaster.head.musetalk.window import WINDOW

BATCH = 8
BATCH_MS = 18.0
"""A batch of 8 with the full decoder: 440 faces a second, what 35 to 40 % of an H100's peak would make."""

CHANNELS = 12
ASKED = 4
EVERY_S = 0.16
LATE_MS = 160.0
"""The lead of a channel that asks for four at a time."""

CPU_MS = 1.0
"""Of the server's process per face: 440 a second are then less than half a core."""

TICK_BYTES = 2 * 1920


class Timed:
    """Stands where `FaceGenerator` does."""

    def __init__(self) -> None:
        self.batch, self.window = BATCH, WINDOW
        self._faces = np.random.default_rng(0).integers(0, 256, (BATCH, FACE_SIZE, FACE_SIZE, 3), dtype=np.uint8)
        self._work: deque[tuple[float, int]] = deque()

    @property
    def in_flight(self) -> int:
        return len(self._work)

    @property
    def room(self) -> bool:
        return len(self._work) < DEPTH

    def hold(self, latents: NDArray[np.float16]) -> NDArray[np.float16]:
        return latents

    def submit(self, jobs: Sequence[Job]) -> None:
        free = self._work[-1][0] if self._work else 0.0
        self._work.append((max(free, time.monotonic()) + BATCH_MS / 1000, len(jobs)))

    def take(self, timeout: float = 0.0) -> list[NDArray[np.uint8]] | None:
        if not self._work:
            return None
        left = self._work[0][0] - time.monotonic()
        if left > timeout:
            time.sleep(timeout)
            return None
        time.sleep(max(0.0, left))
        return list(self._faces[: self._work.popleft()[1]].copy())


@dataclass
class Channel:
    """One presenter that talks all the time."""

    path: Path
    latents: Path
    greedy: bool = False
    waits_ms: list[float] = field(default_factory=list)
    asked: int = 0

    def talk(self, seconds: float, start: float) -> None:
        faces = RemoteFaces(self.path, "1.5", ASKED)
        faces.load(self.latents)
        sound = np.random.default_rng(1).integers(-3000, 3000, 30 * 48_000, dtype=np.int16).tobytes()
        since: dict[int, float] = {}
        due, end = start, start + seconds
        while (now := time.monotonic()) < end or (since and not self.greedy):
            if now < end and (now >= due or (self.greedy and faces.asked < BOUND - ASKED)):
                due += EVERY_S
                at = self.asked * TICK_BYTES % (len(sound) - ASKED * TICK_BYTES)
                faces.hear(sound[at : at + ASKED * TICK_BYTES])
                keys = range(self.asked, self.asked + ASKED)
                since.update(dict.fromkeys(keys, now))
                faces.ask([Wanted(key, 2 * key, key % 50) for key in keys])
                self.asked += ASKED
            for face in faces.take(max(0.0, min(due - time.monotonic(), 0.02)) if now < end else 0.02):
                self.waits_ms.append(1000 * (time.monotonic() - since.pop(face.key)))
        faces.close()


def run(*, quick: bool = False) -> list[Row]:
    seconds = 2.0 if quick else 20.0
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        path, latents = Path(folder, "s"), Path(folder, "latents.npy")
        np.save(latents, np.zeros((50, 8, 32, 32), np.float16))
        server = subprocess.Popen([sys.executable, "-m", "bench.head_server", str(path)], stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            process = psutil.Process(server.pid)
            rows = [
                *_talk(path, latents, 1, seconds, process),
                *_talk(path, latents, CHANNELS, seconds, process),
                *_talk(path, latents, CHANNELS, seconds, process, greedy=True),
            ]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(10)
    table(
        f"Engine server, batches of {BATCH} that take {BATCH_MS:g} ms (no GPU: a stand-in), {seconds:g} s each", rows
    )
    return rows


def _talk(
    path: Path, latents: Path, count: int, seconds: float, process: psutil.Process, *, greedy: bool = False
) -> list[Row]:
    channels = [Channel(path, latents) for _ in range(count)]
    everybody = [*channels, Channel(path, latents, greedy=True)] if greedy else channels
    start = time.monotonic() + 0.5
    threads = [
        threading.Thread(target=channel.talk, args=(seconds, start + EVERY_S * number / count))
        for number, channel in enumerate(everybody)
    ]
    before, faces = sum(process.cpu_times()[:2]), state_of(path).faces
    for thread in threads:
        thread.start()
    time.sleep(0.5 + 0.8 * seconds)
    state = state_of(path)
    for thread in threads:
        thread.join()
    made, took = state_of(path).faces - faces, time.monotonic() - start
    cpu_ms = 1000 * (sum(process.cpu_times()[:2]) - before) / made
    waits = [wait for channel in channels for wait in channel.waits_ms]
    late = sum(wait > LATE_MS for wait in waits)
    who = f"{count} channel{'s' * (count > 1)}" + (" beside a greedy one" if greedy else "")
    note = f"{made / took:.0f} faces/s, batches {100 * state.fill:.0f} % full"
    return [
        Row(f"{who}: from asking to the face P50", percentile(waits, 50), "ms", None, note),
        Row(f"{who}: P95", percentile(waits, 95), "ms", LATE_MS, f"{late} of {len(waits)} later than {LATE_MS:g} ms"),
        Row(f"{who}: faces missing of those asked for", sum(c.asked for c in channels) - len(waits), "", 0),
        Row(f"{who}: CPU of the server per face", cpu_ms, "ms", CPU_MS),
    ]


def _serve(path: Path) -> None:
    server = EngineServer(path, About("1.5", "full", "stand-in", ""), Timed(), 1 << 28)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.run(lambda: print("up", flush=True))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve(Path(sys.argv[1]))
    else:
        run()
