"""Somebody's own catcher: a program that posts JSON lines."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from broadcaster.config import IngestSource
from broadcaster.ports import Source
from sources.ingest import Ingest
from tests.contract.source_cases.case import LABEL, NAME, PRICE, TEXT, Platform, SourceCase

TOKEN = "token-of-the-catcher"
VIEWER = {"id": "u1", "name": NAME}


@asynccontextmanager
async def _there(folder: Path) -> AsyncIterator[Platform]:
    source = Ingest(IngestSource(name=LABEL, port=0, token=SecretStr(TOKEN)))

    async def send(**line: Any) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"http://127.0.0.1:{source.port}/ingest",
                json={**line, "viewer": VIEWER, "at_ms": 1_760_000_000_000},
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            assert answer.json()["accepted"] == 1

    async def comment() -> None:
        await send(kind="comment", id="1", text=TEXT)

    async def gift() -> None:
        await send(kind="gift", id="2", item=TEXT, price=PRICE)

    yield Platform(source, comment, gift)


@asynccontextmanager
async def _away(folder: Path) -> AsyncIterator[Source]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield Ingest(IngestSource(name=LABEL, port=taken.getsockname()[1], token=SecretStr(TOKEN)))


CASE = SourceCase((TOKEN,), _there, _away)
