"""A recording: what is written into it before it is played, and what is appended, comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broadcaster.config import ReplaySource
from broadcaster.ports import Source
from broadcaster.types import Post, PostKind, Viewer
from sources.posts import write_post
from sources.replay import Replay
from tests.contract.source_cases.case import LABEL, NAME, PRICE, TEXT, Platform, SourceCase

VIEWER = Viewer("u1", NAME)
RECORDED = (
    Post("live", PostKind.COMMENT, "1", VIEWER, TEXT, at_ns=5_000_000, received_ns=5_000_000),
    Post("live", PostKind.GIFT, "2", VIEWER, item=TEXT, price=PRICE, at_ns=5_000_000, received_ns=5_000_000),
)


@asynccontextmanager
async def _there(folder: Path) -> AsyncIterator[Platform]:
    file = folder / "room.jsonl"
    file.write_bytes(b"".join(write_post(post) + b"\n" for post in RECORDED))

    async def nothing() -> None:
        """Both are in the recording."""

    yield Platform(Replay(ReplaySource(name=LABEL, file=file)), nothing, nothing)


@asynccontextmanager
async def _away(folder: Path) -> AsyncIterator[Source]:
    yield Replay(ReplaySource(name=LABEL, file=folder / "none.jsonl"))


CASE = SourceCase((), _there, _away)
