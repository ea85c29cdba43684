"""The director alone: how long from a message to playout's socket? `python -m bench.director_latency [ROUNDS]`.

Three rows, milliseconds: a prompt until it is acknowledged (synced to disk); a prompt until playout reads its first
sound, with a voice that answers at once; an interrupt until playout reads the Cut. Playout is a thread that reads.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from broadcaster.brain.mind import ChainMind
from broadcaster.config import Config
from broadcaster.director import Director
from broadcaster.paths import channel_paths
from broadcaster.types import Origin, Role
from broadcaster.wire import Aired, AnyMessage, Connection, Cut, Speak, Welcome
from sources.websocket import PromptSession
from tests.fakes.gate import PassGate
from tests.fakes.voice_peer import ScriptedSpeaker

TEXT = "这是一句要说的话，说得不快也不慢。"


class Reader(threading.Thread):
    """Playout's end of the socket: notes when each message was read, and reports what a playout would."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.read: list[tuple[float, AnyMessage]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def run(self) -> None:
        connection = Connection(self._listener.accept()[0])
        connection.receive()
        connection.send(Welcome(0, 25, 200, 0))
        current: Speak | None = None
        while (message := connection.receive()) is not None:
            self.read.append((time.perf_counter(), message))
            if isinstance(message, Speak):
                current = message
                if message.opens is not None:
                    connection.send(_aired("on_air", message))
            elif isinstance(message, Cut) and current is not None:
                connection.send(_aired("cut", current))

    async def first(self, kind: type[AnyMessage], since: int) -> float:
        while True:
            for at, message in self.read[since:]:
                if isinstance(message, kind):
                    return at
            await asyncio.sleep(0.0005)


def _aired(event: str, about: Speak) -> Aired:
    return Aired(event, about.generation, about.utterance, about.sentence, about.opens or "", "tone", 1, 1, 0)


async def measure(rounds: int, folder: Path) -> dict[str, list[float]]:
    paths = channel_paths("bench", folder)
    paths.ensure()
    playout = Reader(paths.playout_socket)
    playout.start()
    director = Director(Config(), paths, speaker=ScriptedSpeaker(), mind=ChainMind.of([]), gate=PassGate())
    await director.open()
    running = asyncio.create_task(director.run())
    session = PromptSession(director, Origin("bench", role=Role.OPERATOR), per_minute=1_000_000)
    found: dict[str, list[float]] = {"acknowledged": [], "first sound": [], "interrupt to Cut": []}

    async def send(message: dict[str, str], done: Callable[[float], None] = lambda began: None) -> float:
        began = time.perf_counter()
        async for _ in session.handle(json.dumps(message)):
            done(began)
        return began

    while not director.link.connected:  # noqa: ASYNC110  # once, at the start
        await asyncio.sleep(0.01)
    for _ in range(rounds):
        seen = len(playout.read)
        began = await send(
            {"type": "say", "text": TEXT},
            lambda began: found["acknowledged"].append(time.perf_counter() - began),
        )
        found["first sound"].append(await playout.first(Speak, seen) - began)
        await asyncio.sleep(0.02)
        seen = len(playout.read)
        began = await send({"type": "interrupt"})
        found["interrupt to Cut"].append(await playout.first(Cut, seen) - began)
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await director.close()
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(rounds, Path(folder)))
    print(f"{'':18}{'P50':>8}{'P95':>8}{'max':>8}   ms, n={rounds}")
    for name, seconds in found.items():
        values = sorted(value * 1000 for value in seconds)
        print(f"{name:18}{values[len(values) // 2]:8.2f}{values[int(len(values) * 0.95)]:8.2f}{values[-1]:8.2f}")


if __name__ == "__main__":
    main()
