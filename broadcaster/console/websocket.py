"""The two websockets of the console: `/ws` (prompts and events) and `/ws/preview/{sink}`. Event loop only.

Nothing here waits for a slow peer longer than `SEND_TIMEOUT_S`: it is dropped and comes back by itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterable, Awaitable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from broadcaster.console import relay
from broadcaster.console.access import Access, Caller, require
from broadcaster.console.denied import Denied
from broadcaster.console.prompts import Prompts
from broadcaster.errors import WireError
from broadcaster.paths import Paths
from broadcaster.station import Station
from broadcaster.telemetry.metrics import Metrics, TooManyClients
from broadcaster.types import Role

log = logging.getLogger(__name__)

PROTOCOL: Final = "broadcaster.v1"

MAX_CLIENTS: Final = 64
"""Prompt websockets at once: each costs a task, a subscription and its kernel buffers."""

MAX_STRANGERS: Final = 16
"""Websockets that have not shown a token yet: they must not take the places of those who have one."""

MAX_PREVIEWS: Final = 16
"""Preview pages at once: each is a full copy of the stream (2.6 Mbit/s at the defaults)."""

SEND_TIMEOUT_S: Final = 5.0
AUTH_TIMEOUT_S: Final = 5.0

CLOSE_GOING_AWAY: Final = 1012
CLOSE_TRY_LATER: Final = 1013
CLOSE_UNAUTHORISED: Final = 4401
CLOSE_SLOW: Final = 4408
CLOSE_PREVIEW_ENDED: Final = 4410


class Sockets:
    """Serves both websockets and keeps their numbers within bounds."""

    def __init__(self, station: Station, access: Access, prompts: Prompts, paths: Paths, metrics: Metrics) -> None:
        self._station = station
        self._access = access
        self._prompts = prompts
        self._paths = paths
        self._metrics = metrics
        self._broken: set[str] = set()

    async def prompts(self, socket: WebSocket) -> None:
        """`/ws`: JSON messages of the published schema, one per websocket message, both ways."""
        caller = self._access.caller(socket.scope)
        try:
            role = caller.role or await self._introduced(socket, caller)
            with self._metrics.client("prompts", None if caller.local else MAX_CLIENTS):
                if caller.role is not None:
                    await socket.accept(subprotocol=_subprotocol(socket))
                await self._talk(socket, role)
        except TimeoutError:
            self._metrics.slow("prompts")
            await _close(socket, CLOSE_SLOW, "too slow")
        except WebSocketDisconnect:
            pass  # the peer left
        except (Denied, TooManyClients) as no:
            if socket.application_state is WebSocketState.CONNECTING:
                raise  # the handshake can still say it
            code = no.error if isinstance(no, Denied) else "too_many_clients"
            await _send(socket, {"type": "error", "code": code, "message": str(no)})
            await _close(socket, CLOSE_UNAUTHORISED if isinstance(no, Denied) else CLOSE_TRY_LATER, code)

    async def _introduced(self, socket: WebSocket, caller: Caller) -> Role:
        with self._metrics.client("strangers", MAX_STRANGERS):
            await socket.accept(subprotocol=_subprotocol(socket))
            return await self._first_message(socket, caller)

    async def _talk(self, socket: WebSocket, role: Role) -> None:
        await _send(socket, {"type": "welcome", "role": role.value})
        events = self._station.subscribe()
        async with aclosing(events):
            await _either(self._read(socket, role), _push(socket, events))
        await _close(socket, CLOSE_GOING_AWAY, "the daemon is stopping")

    async def preview(self, socket: WebSocket, sink: str) -> None:
        """`/ws/preview/{sink}`: binary messages, kind byte first (see `relay`)."""
        caller = self._access.caller(socket.scope)
        require(caller, Role.VIEWER)
        reader, writer = await _open_preview(self._paths, sink)
        try:
            with self._metrics.client("preview", None if caller.local else MAX_PREVIEWS):
                await socket.accept(subprotocol=_subprotocol(socket))
                try:
                    await _either(_drain(socket), _relay(socket, reader))
                    self._broken.discard(sink)
                    await _close(socket, CLOSE_PREVIEW_ENDED, "the preview ended")
                except WireError as err:
                    if sink not in self._broken:
                        self._broken.add(sink)
                        log.warning("a preview sink sent something else", extra={"sink": sink, "problem": err})
                    await _close(socket, CLOSE_PREVIEW_ENDED, "the preview ended")
                except TimeoutError:
                    self._metrics.slow("preview")
                    await _close(socket, CLOSE_SLOW, "too slow")
                except WebSocketDisconnect:
                    pass  # the page left
        finally:
            writer.close()

    async def _first_message(self, socket: WebSocket, caller: Caller) -> Role:
        """Waits for `{"type": "auth", "token": ...}`. Raises Denied for anything else."""
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                raw = await _receive(socket)
            message = json.loads(raw)
            token = message["token"] if message["type"] == "auth" else None
        except (TimeoutError, ValueError, TypeError, KeyError, RecursionError):
            token = None
        if not isinstance(token, str):
            raise Denied(401, "unauthorised", 'Send {"type": "auth", "token": "..."} first.')
        return self._access.role_of(token, caller.peer)

    async def _read(self, socket: WebSocket, role: Role) -> None:
        session = self._prompts.session(role, "websocket")
        while True:
            raw = await _receive(socket)
            async for answer in self._prompts.answer(session, raw):
                await _send(socket, answer)


async def _push(socket: WebSocket, events: AsyncIterable[dict[str, Any]]) -> None:
    async for event in events:
        await _send(socket, event)


async def _open_preview(paths: Paths, sink: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not relay.SINK_NAME.fullmatch(sink):
        raise Denied(404, "no_preview", "No sink can have this name.")
    path: Path = paths.preview_socket(sink)
    try:
        return await relay.connect(path)
    except OSError as err:
        raise Denied(404, "no_preview", f"No preview sink named {sink} is running.") from err


async def _relay(socket: WebSocket, reader: asyncio.StreamReader) -> None:
    async for message in relay.fragments(reader):
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await socket.send_bytes(message)


async def _drain(socket: WebSocket) -> None:
    """Reads and ignores, so that the peer's leaving is noticed."""
    while True:
        await _receive(socket)


async def _receive(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return text if text is not None else bytes(message.get("bytes") or b"")


async def _send(socket: WebSocket, event: dict[str, Any]) -> None:
    """Raises TimeoutError when the peer does not take it in time."""
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await socket.send_text(json.dumps(event, ensure_ascii=False, separators=(",", ":")))


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Says goodbye to a peer that may not be listening any more."""
    try:
        async with asyncio.timeout(0.2):
            await socket.close(code, reason)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        pass  # its send buffer is full, or it has left: the transport is closed under it either way


async def _either(*work: Coroutine[Any, Any, None]) -> None:
    """Runs all until the first ends, cancels the others and raises what the first raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        waiting: Awaitable[Any] = asyncio.gather(*tasks, return_exceptions=True)
        await waiting
    for task in done:
        task.result()


def _subprotocol(socket: WebSocket) -> str | None:
    return PROTOCOL if PROTOCOL in (socket.scope.get("subprotocols") or ()) else None
