"""A director in a process of its own, to be killed: `python -m tests.fakes.director_child STATE_DIR SECONDS`.

Reads one prompt per line from standard input and prints its id once it is accepted; one that begins with + is
resumable. One that begins with ! is something that was paid for, "!KIND ID": its id is printed once it is on disk.
SIGTERM ends it cleanly.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from broadcaster.brain.mind import ChainMind
from broadcaster.brain.responder import Responder
from broadcaster.config import Config
from broadcaster.director import Director
from broadcaster.director.process import run_director
from broadcaster.errors import JournalError, Refused
from broadcaster.paths import channel_paths
from broadcaster.types import Origin, Post, PostKind, PromptKind, Role, Viewer
from tests.fakes.gate import PassGate
from tests.fakes.voice_peer import ScriptedSpeaker


def paid_post(kind: str, id: str) -> Post:
    """Each of a viewer of its own; "small" gifts are thanked for together, all others one by one."""
    viewer = Viewer(id, f"观众{id}")
    about = {"chat": (PostKind.SUPER_CHAT, 30_000), "guard": (PostKind.GUARD, 198_000), "small": (PostKind.GIFT, 100)}
    what, price = about[kind]
    text, item = ("今天讲什么？", "") if kind == "chat" else ("", "花")
    return Post("child", what, id, viewer, text, item, price=price, received_ns=time.time_ns())


async def main(state_dir: Path, seconds: float) -> None:
    paths = channel_paths("test", state_dir)
    paths.ensure()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def serve(station: Director) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while line := await reader.readline():
            try:
                text, by = line.decode(), Origin("child", role=Role.MODERATOR)
                if text.startswith("!"):
                    post = paid_post(*text[1:].split())
                    await asyncio.wrap_future(station.room.intake.bring([post]))
                    print(post.id, flush=True)
                    continue
                goes_on = text.startswith("+")
                prompt = await station.accept(PromptKind.SAY, text.removeprefix("+"), by, resumable=goes_on)
                print(prompt.id, flush=True)
            except Refused as err:
                print("refused", err.code, flush=True)
            except JournalError:
                print("refused", "journal", flush=True)
        await asyncio.Event().wait()

    await run_director(
        Config.model_validate({"channel": "test", "inbox": {"waiting": 5, "thanks_window_s": 0.2}}),
        paths,
        speaker=ScriptedSpeaker(seconds=seconds),
        mind=ChainMind.of([], Responder("小播")),
        gate=PassGate(),
        beat=lambda progress, ready, note: None,
        stop=stop,
        serve=serve,
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
