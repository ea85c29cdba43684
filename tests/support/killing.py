"""A director process that is killed at random moments while paid posts and prompts come in, and what is left of them.

`kill_often` brings posts and prompts, some of them twice as platforms do, kills the process in the middle of it,
starts it again, and in the end lets everything be said. What it finds wrong is in `Outcome.faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from broadcaster.paths import Paths
from tests.fakes.playout_peer import PlayoutPeer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("chat", "guard", "small", "small", "say")
AROUND_NS = 100_000_000
"""Before a death: what playout has reported since then may not have reached the disk. It is the sentence on air."""


@dataclass
class Outcome:
    kills: int = 0
    acknowledged: set[str] = field(default_factory=set)
    posts: int = 0
    sentences: int = 0
    repeated: int = 0
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        return (
            f"{self.kills} kills; {self.posts} paid posts, {len(self.acknowledged)} acknowledged (prompts too); "
            f"{self.sentences} sentences heard, {self.repeated} of them again; {len(self.faults)} faults"
        )


class Nursery:
    """Where the victims come from."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._path = state_dir / "victim.socket"
        self._lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(lambda *line: self._lines.put_nowait(line), str(self._path))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.director_nursery",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert await self._answer() == "ready"

    async def victim(self) -> Victim:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._state_dir} 0.05 {self._path}\n".encode())
        pid = int(await self._answer())
        async with asyncio.timeout(30):
            made = Victim(pid, *await self._lines.get())
            assert await made.line() == "ready"
        return made

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._server.close()

    async def _answer(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().strip()


class Victim:
    """A director process. Lines go in, and what it has acknowledged comes out, also of one that is dead."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pid = pid
        self._reader = reader
        self._writer = writer

    async def line(self) -> str:
        return (await self._reader.readline()).decode().strip()

    def write(self, lines: list[str]) -> None:
        self._writer.write("".join(f"{line}\n" for line in lines).encode())

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> list[str]:
        """What it had acknowledged by then."""
        os.kill(self._pid, how)
        try:
            async with asyncio.timeout(30):
                return (await self._reader.read()).decode().split("\n")
        except ConnectionError:
            return []  # it died with lines unread
        finally:
            self._writer.close()


async def kill_often(paths: Paths, state_dir: Path, kills: int, *, seed: int) -> Outcome:
    dice = random.Random(seed)
    outcome = Outcome()
    around: set[tuple[str, str]] = set()
    sent: list[str] = []
    peer = PlayoutPeer(paths.playout_socket, speed=4.0)
    await peer.start()
    nursery = Nursery(state_dir)
    await nursery.open()
    victim = await nursery.victim()
    try:
        for number in range(kills):
            fresh = [_line(dice.choice(KINDS), f"{number}-{each}") for each in range(dice.randint(2, 8))]
            again = dice.sample(sent, min(len(sent), 3))
            victim.write([*fresh, *again])
            sent += [line for line in fresh if line.startswith("!")]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(dice.uniform(0.0, 0.25)):
                    while True:
                        outcome.acknowledged.add(await victim.line())
            since = time.time_ns() - AROUND_NS
            outcome.acknowledged.update(await victim.kill())
            around |= {(event.utterance, event.text) for event in peer.aired if event.wall_ns >= since}
            outcome.kills += 1
            if dice.random() < 0.3:
                await peer.kill()
                await peer.start()
            victim = await nursery.victim()
        peer.speed = 200.0
        outcome.acknowledged.discard("")
        with contextlib.suppress(TimeoutError):
            await until(lambda: not _open(paths), 60)
        _examine(outcome, paths, peer, around)
    finally:
        await victim.kill(signal.SIGTERM)
        await nursery.close()
        await peer.kill()
    return outcome


def _line(kind: str, id: str) -> str:
    return f"这是第{id}条。" if kind == "say" else f"!{kind} {id}"


def _rows(paths: Paths, sql: str) -> list[tuple[str, ...]]:
    db = sqlite3.connect(f"{paths.journal.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def _open(paths: Paths) -> list[tuple[str, ...]]:
    return _rows(
        paths,
        "SELECT key, state FROM posts WHERE state IN ('waiting', 'queued')"
        " UNION ALL SELECT id, state FROM prompts WHERE state IN ('queued', 'started')",
    )


def _examine(outcome: Outcome, paths: Paths, peer: PlayoutPeer, around: set[tuple[str, str]]) -> None:
    left = _open(paths)
    if left:
        outcome.faults.append(f"never came to an end: {left}")
    posts = {key.removeprefix("child:"): (state, prompt) for key, state, prompt in _rows(
        paths, "SELECT key, state, prompt FROM posts")}  # fmt: skip
    prompts = dict(_rows(paths, "SELECT id, state FROM prompts"))
    outcome.posts = len(posts)
    known = posts.keys() | prompts.keys()
    outcome.faults += [f"acknowledged and lost: {each}" for each in sorted(outcome.acknowledged - known)]
    ends = Counter(state for state, _ in posts.values()) + Counter(prompts.values())
    outcome.faults += [f"{count} ended as {state}" for state, count in ends.items() if state not in ("done", "cut")]
    made = Counter(post for (post,) in _rows(paths, "SELECT post FROM prompts WHERE post <> ''"))
    outcome.faults += [f"more than one prompt of {post}" for post, count in made.items() if count > 1]
    heard = Counter((event.utterance, event.text) for event in peer.aired if event.event == "heard")
    outcome.sentences, again = heard.total(), {each: count - 1 for each, count in heard.items() if count > 1}
    outcome.repeated = sum(again.values())
    outcome.faults += [f"said again: {each}" for each in again if each not in around]
    spoken = {utterance for utterance, _ in heard}
    silent = [id for id, state in prompts.items() if state == "done" and id not in spoken]
    outcome.faults += [f"counts as said and was not heard: {id}" for id in silent]
