"""The voice process as the director sees it: port `Voice` over `Paths.voice_socket`. Director's event loop.

Connects when a piece is to be spoken, and again when the voice process was replaced: what it was working on is
asked again, so that a voice that is killed costs a moment and no words.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from broadcaster import wire
from broadcaster.config import VoiceConfig
from broadcaster.errors import VoiceError, WireError
from broadcaster.paths import Paths
from broadcaster.types import Piece, Speech

log = logging.getLogger(__name__)

AWAY_S: Final = 15.0
"""How long a piece waits for a voice process that is not there: a restart and its model take 3 to 8 s."""

CONNECT_RETRY_S: Final = 0.1

ASK_LIMIT: Final = 3
"""A piece that was asked so often and never answered is what brings the process down."""


class _Lost(Exception):
    """The voice process went away while it owed an answer."""


class _Line:
    """One connection: sends requests, hands each answer to whoever waits for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[wire.Synthesised | wire.SynthesisFailed]] = {}
        self.closed = False
        self._task = asyncio.create_task(self._listen(), name="voice answers")

    def send(self, message: wire.Synthesise | wire.Cancel) -> None:
        if not self.closed:
            self._writer.write(wire.encode(message))

    def expect(self, request: int) -> asyncio.Future[wire.Synthesised | wire.SynthesisFailed]:
        future: asyncio.Future[wire.Synthesised | wire.SynthesisFailed] = asyncio.get_running_loop().create_future()
        if self.closed:
            future.set_exception(_Lost())
        else:
            self._waiting[request] = future
        return future

    def forget(self, request: int) -> None:
        self._waiting.pop(request, None)

    async def _listen(self) -> None:
        try:
            while (message := await wire.read_message(self._reader)) is not None:
                if isinstance(message, wire.Synthesised | wire.SynthesisFailed):
                    future = self._waiting.pop(message.request, None)
                    if future is not None and not future.done():
                        future.set_result(message)
        except (OSError, WireError) as err:
            log.warning("the connection to the voice broke", extra={"reason": str(err)})
        finally:
            self.closed = True
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(_Lost())
            self._waiting.clear()
            self._writer.close()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class VoiceClient:
    """Port `Voice`. Several pieces may be spoken at once; the process answers them in order.

    `on_hung(reason)` is called, once per connection, when a request was not answered in time: whoever owns the
    process should replace it. `name` is the engine that spoke last.
    """

    def __init__(
        self, config: VoiceConfig, paths: Paths, on_hung: Callable[[str], None], *, away_s: float = AWAY_S
    ) -> None:
        self.name = config.engine
        self._config = config
        self._path = str(paths.voice_socket)
        self._on_hung = on_hung
        self._away_s = away_s
        self._requests = itertools.count(1)
        self._connecting = asyncio.Lock()
        self._line: _Line | None = None

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        """One chunk per piece. Raises VoiceError; closing the iterator cancels this generation's requests."""
        for attempt in range(ASK_LIMIT):
            line = await self._connected()
            try:
                yield await self._ask(line, piece, generation)
                return
            except _Lost:
                log.warning("the voice went away in mid-piece", extra={"attempt": attempt + 1})
        raise VoiceError(f"the voice process ended {ASK_LIMIT} times over one piece", retryable=False)

    async def warm(self) -> None:
        """Waits until the voice process is there and ready. Raises VoiceError when it is not in time."""
        await self._connected()

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()
            self._line = None

    async def _ask(self, line: _Line, piece: Piece, generation: int) -> Speech:
        request = next(self._requests)
        voice = self._config.zh if piece.language == "zh" else self._config.en
        answer = line.expect(request)
        line.send(wire.Synthesise(request, generation, piece.text, piece.language, voice, self._config.speed))
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                reply = await answer
        except TimeoutError:
            raise await self._hung(line) from None
        except asyncio.CancelledError:
            line.send(wire.Cancel(generation + 1))
            raise
        finally:
            line.forget(request)
        if isinstance(reply, wire.SynthesisFailed):
            raise VoiceError(reply.error, retryable=reply.retryable)
        self.name = reply.engine
        return wire.unpack_speech(reply.pcm, reply.phones)

    async def _hung(self, line: _Line) -> VoiceError:
        reason = f"the voice gave no answer for {self._config.request_timeout_s:g} s"
        if line is self._line:
            self._line = None
            self._on_hung(reason)
            await line.close()
        return VoiceError(reason)

    async def _connected(self) -> _Line:
        async with self._connecting:
            if self._line is not None and not self._line.closed:
                return self._line
            try:
                async with asyncio.timeout(self._away_s):
                    self._line = await self._connect()
            except TimeoutError:
                raise VoiceError(f"the voice process was not there for {self._away_s:g} s") from None
            return self._line

    async def _connect(self) -> _Line:
        """Tries until the process listens and says Hello, which it does when its engine is loaded."""
        while True:
            writer: asyncio.StreamWriter | None = None
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
                hello = await wire.read_message(reader)
                if isinstance(hello, wire.Hello):
                    line = _Line(reader, writer)
                    writer = None
                    return line
            except (OSError, WireError):
                pass  # not there yet
            finally:
                if writer is not None:
                    writer.close()
            await asyncio.sleep(CONNECT_RETRY_S)
