"""Who may record where: a remote operator below the channel's recordings only, whoever is on the machine anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from broadcaster.config import Console
from broadcaster.paths import Paths
from tests.support.console import OPERATOR, TOKENS, RunningConsole, running_console

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, Console(port=0, tokens=TOKENS)) as running:
        yield running


def command(directory: Any) -> dict[str, Any]:
    return {"action": "add", "name": "tape", "settings": {"type": "file", "name": "tape", "directory": directory}}


async def ask(console: RunningConsole, body: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {OPERATOR}"}) as client:
        return await client.post(f"{console.address}api/sinks", json=body)


async def test_a_remote_operator_records_below_the_channels_recordings(console: RunningConsole) -> None:
    folder = console.paths.state / "recordings"
    for directory in (folder, folder / "monday"):
        assert (await ask(console, command(str(directory)))).status_code == 200
    assert len(console.station.commands) == 2


async def test_and_nowhere_else(console: RunningConsole, tmp_path: Path) -> None:
    folder = console.paths.state / "recordings"
    folder.mkdir(parents=True)
    (folder / "way-out").symlink_to(tmp_path)
    for directory in ("/etc", str(folder / ".." / "x"), str(folder / "way-out" / "x"), "recordings", "~/x", 7, None):
        answer = await ask(console, command(directory))
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        assert str(folder) in answer.json()["message"]
    assert console.station.commands == []


async def test_on_the_machine_itself_any_folder_will_do(console: RunningConsole, tmp_path: Path) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(console.paths.control_socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/api/sinks", json=command(str(tmp_path / "tape")))
    assert answer.status_code == 200
