"""The voice process as the director sees it: port `Voice` over `Paths.voice_socket`. Director's event loop.

Connects when a piece is to be spoken, and again when the voice process was replaced: what it was working on is
asked again, so that a voice that is killed costs a moment and no words.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

from broadcaster import wire
from broadcaster.config import VoiceConfig
from broadcaster.errors import VoiceError, WireError
from broadcaster.paths import Paths
from broadcaster.speech.manner import pitch_of, speed_of
from broadcaster.types import Piece, Speech

log = logging.getLogger(__name__)

AWAY_S: Final = 15.0
"""How long a piece waits for a voice process that is not there: a restart and its model take 3 to 8 s."""

CONNECT_RETRY_S: Final = 0.1

ASK_LIMIT: Final = 3
"""A piece that was asked so often and never answered is what brings the process down."""

ANSWERS: Final = 256
"""Chunks of one piece that wait to be taken: a piece is a sentence at most. More is a fault, and ends the request."""

Answer = wire.Synthesised | wire.SynthesisFailed


class _Lost(Exception):
    """The voice process went away while it owed an answer."""


class _Line:
    """One connection: sends requests, hands each answer to whoever waits for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Queue[Answer | None]] = {}
        self.closed = False
        self._task = asyncio.create_task(self._listen(), name="voice answers")

    def send(self, message: wire.Synthesise | wire.Cancel) -> None:
        if not self.closed:
            self._writer.write(wire.encode(message))

    def expect(self, request: int) -> asyncio.Queue[Answer | None]:
        """Where the answers to `request` will come; None stands for a connection that is gone."""
        answers: asyncio.Queue[Answer | None] = asyncio.Queue(ANSWERS + 1)
        if self.closed:
            answers.put_nowait(None)
        else:
            self._waiting[request] = answers
        return answers

    def forget(self, request: int) -> None:
        self._waiting.pop(request, None)

    async def _listen(self) -> None:
        try:
            while (message := await wire.read_message(self._reader)) is not None:
                if isinstance(message, wire.Synthesised | wire.SynthesisFailed):
                    self._hand(message)
        except (OSError, WireError) as err:
            log.warning("the connection to the voice broke", extra={"reason": str(err)})
        finally:
            self.closed = True
            for answers in self._waiting.values():
                answers.put_nowait(None)
            self._waiting.clear()
            self._writer.close()

    def _hand(self, message: Answer) -> None:
        answers = self._waiting.get(message.request)
        if answers is None:
            return
        if isinstance(message, wire.Synthesised) and message.more and answers.qsize() >= ANSWERS - 1:
            message = wire.SynthesisFailed(message.request, f"{ANSWERS} chunks of one piece wait", retryable=False)
        answers.put_nowait(message)
        if isinstance(message, wire.SynthesisFailed) or not message.more:
            self.forget(message.request)

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
        """One or several chunks. Raises VoiceError; closing the iterator cancels this generation's requests."""
        for attempt in range(ASK_LIMIT):
            line = await self._connected()
            given = False
            try:
                async with contextlib.aclosing(self._ask(line, piece, generation)) as chunks:
                    async for chunk in chunks:
                        given = True
                        yield chunk
                return
            except _Lost:
                log.warning("the voice went away in mid-piece", extra={"attempt": attempt + 1})
                if given:
                    raise VoiceError("the voice process ended in the middle of a piece") from None
        raise VoiceError(f"the voice process ended {ASK_LIMIT} times over one piece", retryable=False)

    async def warm(self) -> None:
        """Waits until the voice process is there and ready. Raises VoiceError when it is not in time."""
        await self._connected()

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()
            self._line = None

    async def _ask(self, line: _Line, piece: Piece, generation: int) -> AsyncGenerator[Speech, None]:
        request = self._request(piece, generation)
        answers = line.expect(request.request)
        line.send(request)
        answered = False
        try:
            while not answered:
                async with asyncio.timeout(self._config.request_timeout_s):
                    reply = await answers.get()
                if reply is None:
                    answered = True
                    raise _Lost
                answered = isinstance(reply, wire.SynthesisFailed) or not reply.more
                if isinstance(reply, wire.SynthesisFailed):
                    raise VoiceError(reply.error, retryable=reply.retryable)
                self.name = reply.engine
                if reply.pcm:
                    yield wire.unpack_speech(reply.pcm, reply.phones)
        except TimeoutError:
            answered = True
            raise await self._hung(line) from None
        finally:
            line.forget(request.request)
            if not answered:
                line.send(wire.Cancel(generation + 1))

    def _request(self, piece: Piece, generation: int) -> wire.Synthesise:
        manner = piece.manner
        return wire.Synthesise(
            next(self._requests), generation, piece.text, piece.language,
            voice=self._config.zh if piece.language == "zh" else self._config.en,
            speed=speed_of(self._config.speed, manner.speed),
            pitch=pitch_of(self._config.pitch, manner.pitch),
            wish=manner.voice,
        )  # fmt: skip

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
