"""The preview relay: real fragments from the real preview sink to a websocket, its bounds and its endings."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import av
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broadcaster.config import Console
from broadcaster.console import websocket as console_websocket
from broadcaster.paths import Paths
from tests.fakes.preview import HEIGHT, WIDTH, TestCard
from tests.support.console import MODERATOR, TOKENS, VIEWER, RunningConsole, running_console
from tests.support.waiting import until

pytestmark = pytest.mark.integration

PREVIEW = "/ws/preview/preview"


async def messages(console: RunningConsole, count: int, **options: Any) -> list[bytes]:
    async with console.socket(path=PREVIEW, **options) as connection, asyncio.timeout(20):
        return [await connection.recv(decode=False) for _ in range(count)]


async def test_a_page_gets_codec_init_and_fragments_that_decode(paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console:
            await until(lambda: card.tick > 60)
            got = await messages(console, 80)
    kinds = bytes(message[0] for message in got)
    assert kinds.startswith(b"CIK")
    assert set(kinds[3:]) <= set(b"KD")
    assert got[0][1:].startswith(b"avc1.")
    with av.open(io.BytesIO(b"".join(message[1:] for message in got[1:])), "r") as media:
        video = media.streams.video[0]
        assert (video.width, video.height) == (WIDTH, HEIGHT)
        pictures = [frame.pts or 0 for frame in media.decode(video)]
    assert len(pictures) >= 70
    assert sorted(set(pictures)) == pictures


async def test_the_cached_group_comes_at_once(paths: Paths) -> None:
    """A new page does not wait for the next key picture: everything since the last one is there already."""
    with TestCard(paths.preview_socket("preview")) as card:
        async with running_console(paths) as console:
            await until(lambda: card.tick % 50 > 30)
            before = card.tick
            got = await messages(console, before % 50)
            assert card.tick - before <= 20
    assert bytes(got[2][:1]) == b"K"


async def test_it_needs_a_viewer(paths: Paths) -> None:
    with TestCard(paths.preview_socket("preview")):
        async with running_console(paths, Console(port=0, tokens=TOKENS)) as console:
            with pytest.raises(InvalidStatus) as refused:
                await messages(console, 1)
            assert refused.value.response.status_code == 401
            for token in (VIEWER, MODERATOR):
                assert (await messages(console, 1, token=token))[0][:1] == b"C"


@pytest.mark.parametrize("name", ["nothing", "..%2fcontrol", "UPPER", "a" * 40, "%00", "preview%2f..%2fx"])
async def test_a_name_that_is_no_preview_is_not_found(paths: Paths, name: str) -> None:
    async with running_console(paths) as console:
        with pytest.raises(InvalidStatus) as refused:
            async with console.socket(path=f"/ws/preview/{name}"):
                pass
        assert refused.value.response.status_code in (403, 404)


async def test_the_end_of_the_sink_ends_the_page_and_a_new_one_starts_afresh(paths: Paths) -> None:
    card = TestCard(paths.preview_socket("preview"))
    card.start()
    async with running_console(paths) as console:
        async with console.socket(path=PREVIEW) as connection, asyncio.timeout(10):
            await connection.recv()
            await asyncio.to_thread(card.stop)
            with contextlib.suppress(ConnectionClosed):
                async for _ in connection:
                    pass  # what was on its way
            assert connection.close_code == console_websocket.CLOSE_PREVIEW_ENDED
        card.start()
        assert bytes(message[0] for message in await messages(console, 3)) == b"CIK"
        await asyncio.to_thread(card.stop)


async def test_the_number_of_pages_is_bounded(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_websocket, "MAX_PREVIEWS", 1)
    with TestCard(paths.preview_socket("preview")):
        async with running_console(paths) as console:
            async with console.socket(path=PREVIEW) as first:
                await first.recv()
                with pytest.raises(InvalidStatus) as refused:
                    await messages(console, 1)
                assert refused.value.response.status_code == 503
                assert json.loads(refused.value.response.body)["error"] == "too_many_clients"


async def test_a_page_that_does_not_read_is_dropped(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_websocket, "SEND_TIMEOUT_S", 0.3)
    path = paths.preview_socket("preview")
    async with flood(path), running_console(paths) as console:
        reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
        writer.write(
            f"GET {PREVIEW} HTTP/1.1\r\nHost: {console.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a page whose tab is frozen
        async with console.http() as client:
            wanted = 'broadcaster_console_slow_clients_total{socket="preview"} 1.0'
            async with asyncio.timeout(10):
                while wanted not in (await client.get("/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        writer.transport.abort()


class flood:
    """A preview socket that sends fragments without end."""

    def __init__(self, path: Path, message: bytes = b"D" + b"x" * 100_000) -> None:
        self._path = path
        self._data = struct.pack(">I", len(message)) + message

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_unix_server(self._send, str(self._path))

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _send(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(self._data)
                await writer.drain()
        except ConnectionError:
            writer.close()


@pytest.mark.parametrize("message", [b"Zabc", b"", b"D" + b"x" * 17_000_000])
async def test_a_socket_that_is_no_preview_ends_the_page(
    paths: Paths, message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with flood(paths.preview_socket("preview"), message), running_console(paths) as console:
        with pytest.raises(ConnectionClosed) as closed:
            await messages(console, 1)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == console_websocket.CLOSE_PREVIEW_ENDED
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "a preview sink sent something else"
    ]
    assert "Traceback" not in caplog.text
