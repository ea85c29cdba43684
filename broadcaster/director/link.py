"""The director's connection to playout: connects, connects again, sends in order with a way past for the brakes.

Director's event loop only. Playout is restarted by the parent within seconds, so a try is made often and for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from broadcaster.errors import WireError
from broadcaster.wire import AnyMessage, Cut, End, Hello, Panic, Speak, Trim, Welcome, encode, read_message

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Waits between tries, the last one repeated: a local socket costs nothing to try, and every try is dead air."""

WELCOME_SECONDS: Final = 5.0
QUEUED_MESSAGES: Final = 64
"""Speech that playout has not read yet; whoever sends more waits in `room`. Brakes and commands pass always."""

WRITE_BUFFER: Final = 64 * 1024
"""Bytes handed to the kernel's side ahead of a brake: what lies there cannot be overtaken any more."""


class Sender(Protocol):
    """The part of `PlayoutLink` that the rundown needs."""

    @property
    def connected(self) -> bool: ...

    def send(self, message: Any) -> bool: ...

    def brake(self, message: Cut | Panic) -> bool: ...


class PlayoutLink:
    """`run` keeps the connection; `on_up` is called with every Welcome, `on_down` when it is gone again."""

    def __init__(
        self,
        path: Path,
        *,
        on_up: Callable[[Welcome], None],
        on_down: Callable[[], None],
        on_message: Callable[[AnyMessage], None],
    ) -> None:
        self._path = path
        self._on_up = on_up
        self._on_down = on_down
        self._on_message = on_message
        self._out: deque[AnyMessage] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writer: asyncio.StreamWriter | None = None
        self.connections = 0

    @property
    def connected(self) -> bool:
        return self._writer is not None

    async def run(self) -> None:
        """Ends only when cancelled."""
        tries = 0
        while True:
            try:
                reader, writer, welcome = await self._connect()
            except (OSError, TimeoutError, WireError) as err:
                if tries == len(RETRY_SECONDS):
                    log.warning("playout does not answer; trying on", extra={"reason": str(err)})
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
                continue
            tries = 0
            self.connections += 1
            try:
                await self._serve(reader, writer, welcome)
            finally:
                self._writer = None
                self._out.clear()
                self._room.set()
                writer.close()
                self._on_down()
            log.warning("the connection to playout is gone")

    def send(self, message: AnyMessage) -> bool:
        """Queues a message in order. False when there is no connection (the message is not kept)."""
        if self._writer is None:
            return False
        self._out.append(message)
        self._flush()
        return True

    def brake(self, message: Cut | Panic) -> bool:
        """Sends at once, past all speech that waits; what the message makes void is dropped here already."""
        if self._writer is None:
            return False
        kept = [m for m in self._out if not (isinstance(m, Speak | End | Trim) and m.generation < message.generation)]
        self._out = deque([message, *kept])
        self._flush()
        return True

    async def room(self) -> None:
        """Waits while playout does not read."""
        await self._room.wait()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Welcome]:
        async with asyncio.timeout(WELCOME_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(self._path))
            try:
                writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)
                writer.write(encode(Hello(role="director")))
                welcome = await read_message(reader)
                if not isinstance(welcome, Welcome):
                    raise WireError("playout did not greet")
            except BaseException:
                writer.close()
                raise
        return reader, writer, welcome

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, welcome: Welcome) -> None:
        self._writer = writer
        pump = asyncio.create_task(self._pump(writer))
        try:
            self._on_up(welcome)
            while (message := await read_message(reader)) is not None:
                self._on_message(message)
        except (OSError, WireError) as err:
            log.warning("playout broke the connection", extra={"reason": str(err)})
        finally:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await pump

    async def _pump(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            await writer.drain()
            self._flush()

    def _flush(self) -> None:
        """Writes while the transport takes it: straight to the socket when nothing is ahead."""
        writer = self._writer
        if writer is None or writer.transport.is_closing():
            return
        while self._out and writer.transport.get_write_buffer_size() <= WRITE_BUFFER:
            writer.write(encode(self._out.popleft()))
        if self._out:
            self._more.set()
        if len(self._out) < QUEUED_MESSAGES:
            self._room.set()
        else:
            self._room.clear()
