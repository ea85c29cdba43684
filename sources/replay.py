"""A recording played as if it happened now: JSON lines at the pace they came in, or faster. Director's event loop.

Its ids are made new in every run and at every turn, so that what was answered yesterday is answered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from broadcaster.config import ReplaySource
from broadcaster.errors import SourceError
from broadcaster.ports import Intake
from broadcaster.types import Post
from sources.posts import BadLine, read_recorded

MAX_LINE: Final = 65_536
"""Bytes: several times the longest line that is ever written."""

AT_ONCE: Final = 250
"""Lines that are read from the disk, and posts that are brought, in one go."""

SHORTEST_TURN_S: Final = 1.0
"""Of a recording that is played in a loop: one with a single line must not spin."""


class Replay:
    """`ports.Source`. At the end of its recording it waits, or begins anew."""

    def __init__(self, settings: ReplaySource, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self.name = settings.label
        self._settings = settings
        self._wall_ns = wall_ns
        self._playing = False
        self._over = False
        self._posts = 0
        self._broken = 0
        self._turns = 0

    async def run(self, intake: Intake) -> None:
        clock = asyncio.get_running_loop().time
        began = f"{self._wall_ns() // 1_000_000:x}"
        self._playing, self._over = True, False
        try:
            while True:
                before, turn_began = self._posts, clock()
                self._turns += 1
                await self._play(intake, f"{began}.{self._turns}:")
                if self._posts == before:
                    raise SourceError(
                        f"no line of {self._settings.file.name} is a post -> name a recording", retryable=False
                    )
                if not self._settings.loop:
                    self._over = True
                    await asyncio.Event().wait()
                await asyncio.sleep(max(0.0, turn_began + SHORTEST_TURN_S - clock()))
        finally:
            self._playing = False

    def status(self) -> dict[str, Any]:
        note = "the recording is over" if self._over else self._settings.file.name
        return {
            "connected": self._playing,
            "note": note,
            "lines_broken": self._broken,
            "turns": self._turns,
        }

    async def _play(self, intake: Intake, prefix: str) -> None:
        """One turn through the recording."""
        clock = asyncio.get_running_loop().time
        began, first_ms, due = clock(), 0, 0.0
        waiting: list[Post] = []
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                try:
                    post, at_ms = read_recorded(line, self.name, 0)
                except BadLine:
                    self._broken += 1
                    continue
                first_ms = first_ms or at_ms
                # What was recorded out of order, or without a time, comes with what was before it.
                due = max(due, (at_ms - first_ms) / 1000 / self._settings.speed)
                if waiting and (began + due > clock() or len(waiting) >= AT_ONCE):
                    self._bring(intake, waiting)
                    waiting = []
                    await asyncio.sleep(max(0.0, began + due - clock()))
                elif began + due > clock():
                    await asyncio.sleep(began + due - clock())
                waiting.append(self._now(post, prefix))
        if waiting:
            self._bring(intake, waiting)

    def _bring(self, intake: Intake, posts: list[Post]) -> None:
        self._posts += len(posts)
        intake.bring(posts)

    def _now(self, post: Post, prefix: str) -> Post:
        now_ns = self._wall_ns()
        return replace(
            post,
            id=f"{prefix}{post.id}" if post.id else "",
            combo=f"{prefix}{post.combo}" if post.combo else "",
            revokes=tuple(f"{prefix}{each}" for each in post.revokes),
            at_ns=now_ns,
            received_ns=now_ns,
        )

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        """The lines that are not empty; one that is too long comes in pieces, each of them a broken line."""
        path, offset = self._settings.file, 0
        while True:
            try:
                block, offset = await asyncio.to_thread(_some, path, offset)
            except OSError as err:
                raise SourceError(f"{path} cannot be read ({err.strerror}) -> check the path") from err
            if not block:
                return
            for line in block:
                if not line.isspace():
                    yield line


def _some(path: Path, offset: int) -> tuple[list[bytes], int]:
    """The next lines from there on, and where those after them begin; none at the end."""
    with path.open("rb") as file:
        file.seek(offset)
        lines = [line for _ in range(AT_ONCE) if (line := file.readline(MAX_LINE))]
        return lines, file.tell()
