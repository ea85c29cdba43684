"""One prompt on its way to air: its gated text and the sound made of it that was not heard yet. Pure bookkeeping.

The sound is kept until it was heard, so that a playout that dies can be given it again at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

from broadcaster.journal import Line
from broadcaster.sentences import sentence_end
from broadcaster.types import SAMPLE_RATE, Inbound, SpokenPiece, VerdictKind
from broadcaster.wire import Speak, pack_speech

STOPPED: Final = "stopped"
"""Why the end of the daemon cuts what is on air."""


class Script:
    """The lines that may be spoken, in order, while they are still being written."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.closed = False
        self._admitted: list[float | None] = []
        """When each line was, None until `stamp`."""
        self._changed = asyncio.Event()

    @property
    def text(self) -> str:
        return "".join(line.text for line in self.lines)

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self._admitted.append(None)
        self._changed.set()

    def stamp(self, now: float) -> list[int]:
        """Notes that the lines which came since the last time are admitted `now`; their numbers."""
        fresh = [number for number, at in enumerate(self._admitted) if at is None]
        for number in fresh:
            self._admitted[number] = now
        return fresh

    def admitted(self, start: int, length: int) -> float:
        """When the last of the lines was that these characters are of."""
        found = [self._admitted[number] for number in self._lines_of(start, length)]
        return max((at for at in found if at is not None), default=0.0)

    def offset(self, number: int) -> int:
        """Where that line begins."""
        return sum(len(line.text) for line in self.lines[:number])

    def insert(self, offset: int, line: Line) -> None:
        """Puts a line before that character; the line that it falls into is divided."""
        begins = 0
        for number, each in enumerate(self.lines):
            inside = offset - begins
            if inside == 0:
                self.lines.insert(number, line)
                self._admitted.insert(number, None)
                return
            if inside < len(each.text):
                parts = (each.text[:inside], each.text[inside:])
                self.lines[number : number + 1] = [Line(parts[0], each.verdict), line, Line(parts[1], each.verdict)]
                at = self._admitted[number]
                self._admitted[number : number + 1] = [at, None, at]
                return
            begins += len(each.text)
        self.add(line)

    def remove(self, offset: int, verdict: str) -> None:
        """Takes out the line that begins there, if that is its verdict."""
        begins = 0
        for number, each in enumerate(self.lines):
            if begins == offset and each.verdict == verdict:
                del self.lines[number], self._admitted[number]
                return
            begins += len(each.text)

    def close(self) -> None:
        self.closed = True
        self._changed.set()

    async def read(self, start: int = 0) -> AsyncIterator[str]:
        """The text from character `start` on, as it comes, until the script is closed."""
        at = 0
        skip = start
        while True:
            self._changed.clear()
            while at < len(self.lines):
                text = self.lines[at].text
                at += 1
                if skip >= len(text):
                    skip -= len(text)
                    continue
                yield text[skip:]
                skip = 0
            if self.closed and at == len(self.lines):
                return
            if not self._changed.is_set():
                await self._changed.wait()

    def verdict_of(self, start: int, length: int) -> str:
        """Verdict of the lines that these characters are of: the first one that did not simply pass, if any."""
        found = [self.lines[number].verdict for number in self._lines_of(start, length)]
        changed = [verdict for verdict in found if verdict not in ("", VerdictKind.PASS)]
        last = self.lines[-1].verdict if self.lines else ""
        return (changed or found or [last])[0]

    def _lines_of(self, start: int, length: int) -> list[int]:
        found = []
        begins = 0
        for number, line in enumerate(self.lines):
            if begins < start + max(length, 1) and begins + len(line.text) > start:
                found.append(number)
            begins += len(line.text)
        return found


@dataclass(frozen=True, slots=True)
class Held:
    """One piece of sound that may still have to be sent (again)."""

    sentence: int
    opens: str | None
    pcm: bytes = field(repr=False)
    phones: list[tuple[str, str, int, int]] = field(repr=False)
    engine: str
    package: int = -1

    @property
    def samples(self) -> int:
        return len(self.pcm) // 2

    def message(self, generation: int, utterance: str) -> Speak:
        return Speak(
            generation, utterance, self.sentence, self.opens, self.pcm, self.phones, self.engine, self.package
        )


@dataclass(slots=True, eq=False)
class Utterance:
    """`generation` is the one it was last sent with. Sentences are counted from 0 over the whole prompt."""

    prompt: Inbound
    script: Script = field(default_factory=Script)
    generation: int = 0
    pieces: deque[Held] = field(default_factory=deque)
    sent: int = 0
    """How many of `pieces` playout has in this generation."""
    spoken: bool = False
    """No more pieces will come."""
    ended: bool = False
    """End was sent in this generation."""
    starts: list[int] = field(default_factory=list)
    """Character of the script where each sentence begins."""
    texts: list[str] = field(default_factory=list)
    cursor: int = 0
    """Character of the script where the next sentence is looked for."""
    on_air: int | None = None
    on_air_since: float = 0.0
    heard: int = 0
    """Sentences heard in full (the first `heard` ones)."""
    before: int = 0
    """How many of them before it was cut, or before a restart."""
    made: int = 0
    """Pieces that the speaker has made of it."""
    packages: int = 0
    """What the voices were asked for, one or several pieces each."""
    asked: float = -1.0
    """When the voice was asked for the last package: pieces of the same moment are of one package."""
    failure: str = ""
    """Why it ends before its text does; a `SkipReason`."""
    sound: tuple[SpokenPiece, ...] = ()
    """Of an end-to-end voice, in place of a speaker's; not given yet."""
    stale: bool = False
    """Its question became too old before anything of the answer was written."""
    last: int | None = None
    """It makes way for another prompt behind this sentence; -1: before its first."""
    dropped: str = ""
    """Taken off the air for good, and why; a `SkipReason`."""
    note: str = ""
    """Why moderation holds it, if it does."""
    again: bool = False
    """It was begun before, and goes on."""
    resumes: bool = False
    """A bridge comes first."""
    repeats: int = 0
    """How often the sentence `heard` was broken off on air by a fault and begun again."""
    resent: int = 0
    """How often it was sent again without a sentence heard in between."""

    @property
    def id(self) -> str:
        return self.prompt.id

    @property
    def begun(self) -> bool:
        """Something of it was, or is, on air."""
        return self.on_air is not None or self.heard > 0

    @property
    def sounding(self) -> bool:
        """Something of it was, or is, on air since it was begun (or begun again)."""
        return self.on_air is not None or self.heard > self.before

    @property
    def held(self) -> bool:
        """It was cut, and has not gone on yet."""
        return self.again and self.prompt.resumable and not self.sounding

    @property
    def unsaid(self) -> str:
        """The text behind the sentences that were made, or are known to be heard."""
        return self.script.text[self.cursor :].strip()

    def goes_on(self, reason: str) -> bool:
        """What is cut of it for this `SkipReason` is said later; by the end of the daemon, also what was paid for."""
        return self.prompt.resumable or (reason == STOPPED and self.prompt.paid > 0)

    def rest(self) -> Utterance:
        """What was not heard in full, to go on with later."""
        return resumed(self.prompt, self.script, self.texts[: self.heard])

    def add(self, piece: SpokenPiece, base: int) -> None:
        """Takes what the speaker made; `base` is the number of this run's first sentence."""
        sentence = base + piece.sentence
        if piece.opens is not None:
            self.open_sentence(sentence, piece.opens)
        pcm, phones = pack_speech(piece.speech)
        if piece.times is None or piece.times.asked != self.asked:
            self.packages += 1
            self.asked = piece.times.asked if piece.times is not None else -1.0
        self.pieces.append(Held(sentence, piece.opens, pcm, phones, piece.engine, self.packages - 1))
        self.made += 1

    def open_sentence(self, sentence: int, text: str) -> None:
        """Notes where a sentence begins. The speaker may leave numbers out and may have reworked the spaces."""
        while len(self.starts) < sentence:
            self.starts.append(self.cursor)
            self.texts.append("")
        del self.starts[sentence:], self.texts[sentence:]
        found = self.script.text.find(text.strip(), self.cursor)
        start = found if found >= 0 else self.cursor
        self.starts.append(start)
        self.texts.append(text)
        self.cursor = start + len(text)

    def rewind(self) -> tuple[int, int]:
        """Where a new run of the speaker goes on: (character of the script, number of its first sentence).

        The last sentence may be whole or not: it is said again unless it was heard, under a new number when
        playout already has a part of it.
        """
        if not self.starts:
            return 0, 0
        last = len(self.starts) - 1
        if last < self.heard:
            return self.cursor, last + 1
        self.cursor = self.starts[last]
        given, kept = list(self.pieces)[: self.sent], list(self.pieces)[self.sent :]
        self.pieces = deque([*given, *(piece for piece in kept if piece.sentence != last)])
        return self.starts[last], last + any(piece.sentence == last for piece in given)

    def whole(self, sentence: int) -> bool:
        """All sound of that sentence is in hand."""
        return self.spoken or any(piece.sentence > sentence for piece in self.pieces)

    def sound_of(self, sentence: int) -> tuple[list[Held], bool]:
        """What is in hand of the sound of that sentence, and whether that is all of it."""
        sound = [piece for piece in self.pieces if piece.sentence == sentence]
        return sound, bool(sound) and self.whole(sentence)

    def ending(self, number: int) -> int:
        """Where the sentence ends that `number` is, or is a clause of, as far as it was made: a slow model is put on
        air clause by clause."""
        while 0 <= number < len(self.texts) - 1 and sentence_end(self.texts[number], finished=True) is None:
            number += 1
        return number

    def verdict(self, sentence: int) -> str:
        if sentence >= len(self.starts):
            return ""
        return self.script.verdict_of(self.starts[sentence], len(self.texts[sentence]))

    def hear(self, sentence: int) -> None:
        """A sentence was heard in full: its sound is not needed any more."""
        self.heard = max(self.heard, sentence + 1)
        self.on_air = None
        self.repeats = 0
        self.resent = 0
        self._forget()

    def skip_sentence(self) -> None:
        """Gives up the sentence that would be next: it broke the air twice."""
        self.heard = self.pieces[0].sentence + 1 if self.pieces else self.heard + 1
        self.repeats = 0
        self._forget()

    def _forget(self) -> None:
        while self.pieces and self.pieces[0].sentence < self.heard:
            self.pieces.popleft()
            self.sent = max(0, self.sent - 1)

    def unsend(self, generation: int) -> None:
        """Playout has nothing of it any more: all that was not heard goes out again, under `generation`."""
        self.generation = generation
        self.sent = 0
        self.ended = False
        self.on_air = None

    def ahead_seconds(self, now: float) -> float:
        """Sound in hand that was not heard yet; `now` on the clock of `on_air_since`."""
        samples = sum(piece.samples for piece in self.pieces if self.last is None or piece.sentence <= self.last)
        if self.on_air is not None:
            this = sum(piece.samples for piece in self.pieces if piece.sentence == self.on_air)
            samples -= min(this, int((now - self.on_air_since) * SAMPLE_RATE))
        return samples / SAMPLE_RATE


def resumed(prompt: Inbound, script: Script, heard: Iterable[str]) -> Utterance:
    """The utterance as it stands after its sentences that were heard in full."""
    utterance = Utterance(prompt, script, again=True, resumes=prompt.resumable)
    for number, text in enumerate(heard):
        utterance.open_sentence(number, text)
    utterance.heard = utterance.before = len(utterance.texts)
    return utterance
