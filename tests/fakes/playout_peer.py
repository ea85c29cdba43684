"""Playout as the director meets it: the real socket and messages, sound that passes `speed` times faster than life.

Runs in the test's event loop. It plays utterances in order, reports what was heard, keeps reports while no
director is connected, and can be killed and started again without its memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from broadcaster.types import SAMPLE_RATE
from broadcaster.wire import (
    Aired,
    AnyMessage,
    Cut,
    End,
    Hello,
    PackageOnAir,
    Panic,
    PlayoutStatus,
    SinkCommand,
    SinkReply,
    SinkStatus,
    Speak,
    Trim,
    Welcome,
    encode,
    read_message,
)

FPS = 25


@dataclass(eq=False)
class Playing:
    id: str
    generation: int
    pieces: deque[Speak] = field(default_factory=deque)
    complete: bool = False
    sentence: int = -1
    text: str = ""
    engine: str = ""
    samples: int = 0
    package: int = -1
    began: float = 0.0
    """When the piece on air began; 0: none is."""
    piece: int = 0
    """Its samples."""


class PlayoutPeer:
    """`received` is everything directors ever sent, with the time; `aired` everything that was reported."""

    def __init__(self, path: Path, *, speed: float = 40.0, status_every: float = 0.05) -> None:
        self.path = path
        self.speed = speed
        self.status_every = status_every
        self.received: list[tuple[float, AnyMessage]] = []
        self.aired: list[Aired] = []
        self.panicked = False
        self.generation = 0
        self.sinks: list[SinkStatus] = []
        self.answer_commands = True
        self.deliver = True
        """False: reports get lost."""
        self.connections = 0
        self._pause_in: str | None = None
        self._server: asyncio.Server | None = None
        self._director: asyncio.StreamWriter | None = None
        self._missed: deque[Aired] = deque(maxlen=1000)
        self._queue: deque[Playing] = deque()
        self._current: Playing | None = None
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._served: set[asyncio.Task[None]] = set()
        self._clock: Callable[[], float] = time.monotonic
        self._began = self._clock()

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._clock = asyncio.get_running_loop().time  # monotonic time, or a test's own
        self._began = self._clock()
        self._server = await asyncio.start_unix_server(self._accept, str(self.path))
        self._tasks = [asyncio.create_task(self._play()), asyncio.create_task(self._report())]

    async def kill(self) -> None:
        """As SIGKILL: the connection breaks, and everything it knew is gone."""
        if self._server is not None:
            self._server.close()
        self.disconnect()
        for task in (*self._tasks, *self._served):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._served, return_exceptions=True)
        self._queue.clear()
        self._missed.clear()
        self._current = None
        self.generation = 0
        self.panicked = False
        self.path.unlink(missing_ok=True)

    def disconnect(self) -> None:
        if self._director is not None:
            self._director.close()
            self._director = None

    def pause_in(self, text: str | None) -> None:
        """The sentence of that text does not end (None: it does), so that something happens within it for certain."""
        self._pause_in = text
        self._changed.set()

    @property
    def tick(self) -> int:
        return int((self._clock() - self._began) * FPS * self.speed)

    @property
    def talking(self) -> str:
        return self._current.id if self._current is not None and self._current.sentence >= 0 else ""

    def messages(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        return [message for _, message in self.received if isinstance(message, kind)]

    def heard(self, prompt: str | None = None) -> list[str]:
        """Texts of the sentences heard in full, in order."""
        wanted = (event for event in self.aired if event.event == "heard")
        return [event.text for event in wanted if prompt is None or event.utterance == prompt]

    def events(self, prompt: str) -> list[str]:
        return [event.event for event in self.aired if event.utterance == prompt]

    # -- the socket -------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass  # killed, or the director was
        finally:
            self._served.discard(task)
            writer.close()
            if self._director is writer:
                self._director = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await read_message(reader)
        if not isinstance(hello, Hello):
            return
        self.connections += 1
        self._director = writer
        writer.write(encode(Welcome(self.tick, FPS, 200, self.generation)))
        while self._missed:
            writer.write(encode(self._missed.popleft()))
        while (message := await read_message(reader)) is not None:
            self.received.append((time.perf_counter(), message))
            self._handle(message)

    def _send(self, message: AnyMessage) -> None:
        if self._director is not None:
            self._director.write(encode(message))

    def _handle(self, message: AnyMessage) -> None:
        match message:
            case Speak():
                self._on_speak(message)
            case End():
                found = self._find(message.utterance)
                if found is not None:
                    found.complete = True
            case Trim():
                self._trim(message)
            case Cut():
                self._cut(message.generation)
            case Panic():
                self.panicked = message.on
                self._cut(message.generation)
            case SinkCommand() if self.answer_commands:
                self._send(SinkReply(message.request, message.name != "missing", "" if message.name else "no name"))
        self._changed.set()

    def _on_speak(self, message: Speak) -> None:
        if self.panicked or message.generation < self.generation:
            return
        found = self._find(message.utterance)
        if found is None:
            found = Playing(message.utterance, message.generation)
            self._queue.append(found)
        found.pieces.append(message)

    def _trim(self, message: Trim) -> None:
        found = self._find(message.utterance)
        if found is None or found.generation != message.generation:
            return
        overrun = found.sentence > message.sentence
        if overrun and not found.complete and all(piece.sentence == found.sentence for piece in found.pieces):
            return  # nobody here knows whether that sentence is whole
        last = max(message.sentence, found.sentence)
        found.pieces = deque(piece for piece in found.pieces if piece.sentence <= last)
        found.complete = True
        if found in self._queue and not found.pieces:
            self._queue.remove(found)
            self._emit("done", found, -1)

    def _find(self, utterance: str) -> Playing | None:
        return next((p for p in (self._current, *self._queue) if p is not None and p.id == utterance), None)

    def _cut(self, generation: int) -> None:
        self.generation = max(self.generation, generation)
        self._queue = deque(p for p in self._queue if p.generation >= self.generation)
        if self._current is not None and self._current.generation < self.generation:
            cut, self._current = self._current, None
            if cut.began:
                cut.samples += min(cut.piece, int((self._clock() - cut.began) * self.speed * SAMPLE_RATE))
            self._emit("cut", cut, max(cut.sentence, 0))
        self._changed.set()

    # -- the air ----------------------------------------------------------------------------------------------

    async def _play(self) -> None:
        while True:
            if self._current is None and self._queue and (self._queue[0].pieces or self._queue[0].complete):
                self._current = self._queue.popleft()
            if self._current is None:
                await self._change()
                continue
            await self._play_piece(self._current)

    async def _play_piece(self, playing: Playing) -> None:
        if not playing.pieces:
            if playing.complete:
                self._close_sentence(playing)
                self._current = None
                self._emit("done", playing, max(playing.sentence, 0))
            else:
                await self._change()
            return
        piece = playing.pieces.popleft()
        if piece.opens is not None:
            self._close_sentence(playing)
            playing.sentence, playing.text, playing.engine, playing.samples = (
                piece.sentence,
                piece.opens,
                piece.engine,
                0,
            )
            self._emit("on_air", playing, piece.sentence)
        if piece.package > playing.package:
            playing.package = piece.package
            now = time.monotonic_ns()
            self._send(PackageOnAir(playing.generation, playing.id, piece.package, now, 0, 0, now))
        samples = len(piece.pcm) // 2
        playing.began = began = self._clock()
        playing.piece = samples
        length = samples / SAMPLE_RATE / self.speed
        while self._current is playing and (left := began + length - self._clock()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                break
        while self._current is playing and self._pause_in == playing.text:
            await self._change()
        if self._current is playing:
            playing.samples += samples
            playing.began = 0.0

    def _close_sentence(self, playing: Playing) -> None:
        if playing.sentence >= 0:
            self._emit("heard", playing, playing.sentence)
            playing.sentence = -1

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _emit(self, event: str, playing: Playing, sentence: int) -> None:
        aired = Aired(
            event, playing.generation, playing.id, sentence, playing.text, playing.engine,
            self.tick, playing.samples, time.time_ns(),
        )  # fmt: skip
        self.aired.append(aired)
        if not self.deliver:
            return
        if self._director is None:
            self._missed.append(aired)
        else:
            self._send(aired)

    async def _report(self) -> None:
        while True:
            queued = [p for p in (self._current, *self._queue) if p is not None]
            pending = sum(len(piece.pcm) // 2 for p in queued for piece in p.pieces)
            self._send(
                playout_status(self.tick, self.talking, pending * 1000 // SAMPLE_RATE, self.panicked, self.sinks)
            )
            await asyncio.sleep(self.status_every)


def playout_status(
    tick: int, talking: str = "", queued_ms: int = 0, panicked: bool = False, sinks: list[SinkStatus] | None = None
) -> PlayoutStatus:
    return PlayoutStatus(
        tick=tick, fps=FPS, late_ticks=0, held_ticks=0, reanchored=0, tick_ms=1.0, lateness_p99_ms=0.1,
        encoder="x264", encoder_restarts=0, talking=talking, queued_ms=queued_ms, holes=0, hole_ms=0,
        patches_shown=0, patches_missing=0, patches_late=0, av_skew_ms=0.0, head=None,
        sinks=list(sinks or []), panicked=panicked, uptime_s=1.0,
    )  # fmt: skip
