"""Whatever happens, nothing is heard before its time and nothing that was dropped: a playout in virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.director.delay import Delay
from broadcaster.director.pulse import Pulse
from broadcaster.director.rundown import Rundown
from broadcaster.director.turns import Cutting
from broadcaster.director.utterance import Utterance
from broadcaster.journal import Journal, Line
from broadcaster.types import SAMPLE_RATE, Inbound, Origin, PromptKind
from broadcaster.wire import Aired, AnyMessage, Cut, End, Panic, Speak, Trim, Welcome
from tests.fakes.voice import run_virtually
from tests.unit.test_director_rundown import piece

pytestmark = pytest.mark.unit

REPORT_S = 0.01
"""A report of playout is on its way for so long."""

OVER_S = 200.0


@dataclass(eq=False)
class Playing:
    id: str
    generation: int
    pieces: deque[Speak] = field(default_factory=deque)
    complete: bool = False
    sentence: int = -1
    text: str = ""


class VirtualPlayout:
    """Plays what it gets, in order, on the loop's clock, and reports it a little later. One piece is a sentence."""

    def __init__(self) -> None:
        self.connected = True
        self.begun: list[tuple[float, str, int, str]] = []
        """(when, id, sentence, text) of everything that sounded."""
        self.cut_at: dict[str, float] = {}
        self.rundown: Rundown
        self._queue: deque[Playing] = deque()
        self._current: Playing | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._life = 0
        self._generation = 0
        self._panicked = False

    def send(self, message: AnyMessage) -> bool:
        match message:
            case Speak() if message.generation >= self._generation and not self._panicked:
                found = self._find(message.utterance)
                if found is None:
                    found = Playing(message.utterance, message.generation)
                    self._queue.append(found)
                found.pieces.append(message)
            case End():
                if (found := self._find(message.utterance)) is not None:
                    found.complete = True
            case Trim():
                self._trim(message)
        self._changed.set()
        return True

    def brake(self, message: Cut | Panic) -> bool:
        if isinstance(message, Panic):
            self._panicked = message.on
        self._generation = message.generation
        self._queue = deque(each for each in self._queue if each.generation >= self._generation)
        if self._current is not None and self._current.generation < self._generation:
            cut, self._current = self._current, None
            self.cut_at[cut.id] = self._loop.time()
            self._report("cut", cut)
        self._changed.set()
        return True

    def die(self) -> None:
        self._life += 1
        self.connected = False
        self._queue.clear()
        self._current = None
        self._generation = 0
        self.rundown.down()

    def come_back(self) -> None:
        self.connected = True
        self.rundown.up(Welcome(0, 25, 200, self._generation))

    async def play(self) -> None:
        while True:
            if self._current is None and self._queue:
                self._current = self._queue.popleft()
            current = self._current
            if current is None or not (current.pieces or current.complete):
                await self._change()
            elif current.pieces:
                await self._play_piece(current)
            else:
                self._end_sentence(current)
                self._current = None
                self._report("done", current)

    async def _play_piece(self, current: Playing) -> None:
        speak = current.pieces.popleft()
        self._end_sentence(current)
        current.sentence, current.text = speak.sentence, speak.opens or ""
        self.begun.append((self._loop.time(), current.id, current.sentence, current.text))
        self._report("on_air", current)
        until = self._loop.time() + len(speak.pcm) / 2 / SAMPLE_RATE
        while self._current is current and self._loop.time() < until:
            await self._change(until - self._loop.time())

    async def _change(self, timeout: float | None = None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _end_sentence(self, current: Playing) -> None:
        if current.sentence >= 0:
            self._report("heard", current)
            current.sentence = -1

    def _trim(self, message: Trim) -> None:
        found = self._find(message.utterance)
        if found is None or found.generation != message.generation:
            return
        last = max(message.sentence, found.sentence)
        found.pieces = deque(each for each in found.pieces if each.sentence <= last)
        found.complete = True
        if found in self._queue and not found.pieces:
            self._queue.remove(found)
            self._report("done", found)

    def _find(self, name: str) -> Playing | None:
        return next((each for each in (self._current, *self._queue) if each is not None and each.id == name), None)

    def _report(self, event: str, of: Playing) -> None:
        life, aired = self._life, Aired(event, of.generation, of.id, of.sentence, of.text, "tone", 0, 0, 0)
        self._loop.call_later(REPORT_S, lambda: self._life == life and self.rundown.aired(aired))


class Channel:
    """A rundown over that playout. `admitted` tells when each sentence was, `dropped` when a prompt was taken off."""

    def __init__(self, folder: Path, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.playout = VirtualPlayout()
        self.admitted: dict[str, float] = {}
        self.dropped: dict[str, float] = {}
        self.dropped_now: dict[str, float] = {}
        self.ended: Counter[str] = Counter()
        self.began: list[str] = []
        self.writing: list[asyncio.Task[None]] = []
        self.rundown = Rundown(
            self.playout,
            Journal(folder / "unused.sqlite"),
            Pulse(),
            lambda event: None,
            lambda utterance, state, reason, event: self.ended.update([utterance.id]),
            loop.time,
            delay=Delay(delay_s),
        )
        self.playout.rundown = self.rundown
        self.rundown.up(Welcome(0, 25, 200, 0))

    def begin(self, sentences: list[tuple[float, float]]) -> None:
        """(seconds until it is written, seconds of its sound) each. One prompt is written and spoken at a time."""
        before = self.writing[-1] if self.writing else None
        self.writing.append(asyncio.create_task(self._write(sentences, before)))

    async def _write(self, sentences: list[tuple[float, float]], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        name = f"p{len(self.began)}"
        self.began.append(name)
        resumable = len(self.began) % 2 == 0
        utterance = Utterance(Inbound(name, PromptKind.SAY, name, Origin("test"), resumable=resumable))
        self.rundown.add(utterance)
        for number, (gap, seconds) in enumerate(sentences):
            await asyncio.sleep(gap)
            if utterance not in self.rundown.active:
                return
            text = f"{name}之{number}。"
            utterance.script.add(Line(text, "pass"))
            self.rundown.admitted(utterance)
            self.admitted[text] = asyncio.get_running_loop().time()
            self.rundown.give(utterance, piece(number, text, seconds), 0)
        if utterance in self.rundown.active:
            self.rundown.complete(utterance)

    async def do(self, action: tuple[Any, ...]) -> None:
        now = asyncio.get_running_loop().time()
        match action:
            case "begin", sentences:
                self.begin(sentences)
            case "wait", seconds:
                await asyncio.sleep(seconds)
            case "drop" | "drop now" as how, number:
                name = f"p{number}"
                if self.rundown.take_off(name, "dropped", at_once=how == "drop now"):
                    (self.dropped_now if how == "drop now" else self.dropped)[name] = now
            case ("interrupt",):
                self.rundown.interrupt()
            case ("make way",):
                self.rundown.make_way(lambda prompt: Cutting.AFTER_SENTENCE if prompt.resumable else Cutting.NEVER)
            case "die", seconds:
                self.playout.die()
                await asyncio.sleep(seconds)
                self.playout.come_back()


SENTENCES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 1.5, 4.0]), st.sampled_from([0.5, 1.0, 3.0])), min_size=1, max_size=4
)
ACTION = st.one_of(
    st.tuples(st.just("begin"), SENTENCES),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.5, 1.0, 2.9, 5.0])),
    st.tuples(st.sampled_from(["drop", "drop now"]), st.integers(0, 4)),
    st.tuples(st.sampled_from(["interrupt", "make way"])),
    st.tuples(st.just("die"), st.sampled_from([0.1, 2.0])),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(delay_s=st.sampled_from([0.0, 0.7, 3.0, 30.0]), actions=st.lists(ACTION, min_size=2, max_size=14))
def test_nothing_is_heard_too_early_nor_after_its_drop_and_everything_ends_once(
    delay_s: float, actions: list[tuple[Any, ...]]
) -> None:
    async def main(folder: Path) -> None:
        channel = Channel(folder, delay_s)
        playing = asyncio.create_task(channel.playout.play())
        for action in actions:
            await channel.do(action)
        await asyncio.sleep(OVER_S)
        playing.cancel()
        for at, name, _, text in channel.playout.begun:
            assert at >= channel.admitted[text] + delay_s - 1e-6
            assert at <= channel.dropped.get(name, at) + REPORT_S
            assert at <= channel.dropped_now.get(name, at)
        assert channel.rundown.active == []
        assert channel.rundown.nothing_leaving
        assert channel.ended == Counter(channel.began)

    with tempfile.TemporaryDirectory() as folder:
        run_virtually(main(Path(folder)))


@settings(max_examples=60, deadline=None)
@given(
    delay_s=st.sampled_from([0.7, 3.0, 30.0]),
    sentences=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.45]), st.sampled_from([0.5, 1.0, 3.0])), min_size=2, max_size=8
    ),
)  # fmt: skip
def test_what_is_written_faster_than_it_is_spoken_has_one_wait_and_no_hole(
    delay_s: float, sentences: list[tuple[float, float]]
) -> None:
    async def main(folder: Path) -> None:
        channel = Channel(folder, delay_s)
        playing = asyncio.create_task(channel.playout.play())
        channel.begin(sentences)
        await asyncio.sleep(OVER_S)
        playing.cancel()
        begun = channel.playout.begun
        assert begun[0][0] == pytest.approx(channel.admitted[begun[0][3]] + delay_s, abs=1e-6)
        for (at, *_), (after, *_), (_, seconds) in zip(begun, begun[1:], sentences, strict=False):
            assert after == pytest.approx(at + seconds, abs=0.05)

    with tempfile.TemporaryDirectory() as folder:
        run_virtually(main(Path(folder)))
