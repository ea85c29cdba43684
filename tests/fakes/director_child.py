"""A director in a process of its own, to be killed: `python -m tests.fakes.director_child STATE_DIR SECONDS`.

Reads one prompt per line from standard input and prints its id once it is accepted; one that begins with + is
resumable. SIGTERM ends it cleanly.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from broadcaster.brain.gate import PassGate
from broadcaster.brain.mind import ChainMind
from broadcaster.config import Config
from broadcaster.director.process import run_director
from broadcaster.errors import Refused
from broadcaster.paths import channel_paths
from broadcaster.station import Station
from broadcaster.types import Origin, PromptKind, Role
from tests.fakes.voice_peer import ScriptedSpeaker


async def main(state_dir: Path, seconds: float) -> None:
    paths = channel_paths("test", state_dir)
    paths.ensure()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def serve(station: Station) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while line := await reader.readline():
            try:
                text, by = line.decode(), Origin("child", role=Role.MODERATOR)
                goes_on = text.startswith("+")
                prompt = await station.accept(PromptKind.SAY, text.removeprefix("+"), by, resumable=goes_on)
                print(prompt.id, flush=True)
            except Refused as err:
                print("refused", err.code, flush=True)
        await asyncio.Event().wait()

    await run_director(
        Config(channel="test"),
        paths,
        speaker=ScriptedSpeaker(seconds=seconds),
        mind=ChainMind.of([]),
        gate=PassGate(),
        beat=lambda progress, ready, note: None,
        stop=stop,
        serve=serve,
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
