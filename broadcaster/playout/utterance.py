"""One utterance as playout holds it: sound that was not aired yet, and where its sentences lie. Tick thread only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from broadcaster.errors import WireError
from broadcaster.types import PcmArray
from broadcaster.wire import AnyMessage, End, Speak


@dataclass(slots=True)
class Sentence:
    index: int
    text: str
    engine: str
    start: int
    end: int
    begun: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """Where a package of speech begins in its utterance, and when that came (CLOCK_MONOTONIC)."""

    number: int
    start: int
    arrived_ns: int


@dataclass(slots=True)
class Utterance:
    id: str
    generation: int
    pcm: list[PcmArray] = field(default_factory=list)
    samples: int = 0
    complete: bool = False
    aired: int = 0
    sentences: list[Sentence] = field(default_factory=list)
    phones: list[tuple[str, str, int, int]] = field(default_factory=list)
    head_base: int = 0
    """Samples that were aired before the present head connected, and that it knows nothing of."""
    packages: deque[Package] = field(default_factory=deque)
    """Those that have not begun to sound."""
    last_package: int = -1
    free_ns: int = 0
    """When nothing before it sounded any more, or when it came (CLOCK_MONOTONIC)."""

    def append(self, message: Speak, now_ns: int = 0) -> None:
        """Adds a piece that came `now_ns`. Raises WireError for a broken one."""
        if len(message.pcm) % 2:
            raise WireError(f"half a sample in the speech of {message.utterance}")
        pcm = np.frombuffer(message.pcm, dtype="<i2")
        if message.opens is not None or not self.sentences:
            text = message.opens or ""
            self.sentences.append(Sentence(message.sentence, text, message.engine, self.samples, self.samples))
        elif message.engine not in self.sentences[-1].engine.split("+"):
            self.sentences[-1].engine += f"+{message.engine}"  # another voice took over inside the sentence
        if message.package > self.last_package:
            self.last_package = message.package
            self.packages.append(Package(message.package, self.samples, now_ns))
        offset = self.samples
        self.phones += [
            (symbol, viseme, start + offset, end + offset) for symbol, viseme, start, end in message.phones
        ]
        self.pcm.append(pcm)
        self.samples += len(pcm)
        self.sentences[-1].end = self.samples

    def trim(self, sentence: int) -> bool:
        """Drops what lies behind that sentence, but nothing that has begun; no more is to come.

        False, and nothing is done, when a later one has begun that may not be whole.
        """
        newest = self.sentences[-1] if self.sentences else None
        if newest is not None and newest.begun and newest.index > sentence and not self.complete:
            return False
        self.sentences = [kept for kept in self.sentences if kept.index <= sentence or kept.begun]
        self.samples = self.sentences[-1].end if self.sentences else self.aired
        self.complete = True
        left = self.samples - self.aired
        pcm = np.concatenate([np.zeros(0, dtype=np.int16), *self.pcm])[:left]
        self.pcm = [pcm] if left else []
        self.phones = [
            (s, v, start, min(end, self.samples)) for s, v, start, end in self.phones if start < self.samples
        ]
        self.packages = deque(package for package in self.packages if package.start < self.samples)
        return True

    def replayed(self) -> list[AnyMessage]:
        """What a head that has just connected is told of what is still to be heard; its samples count from there."""
        base = self.head_base = self.aired
        pcm = np.concatenate([np.zeros(0, dtype=np.int16), *self.pcm]).astype("<i2").tobytes()
        phones = [(s, v, max(0, start - base), end - base) for s, v, start, end in self.phones if end > base]
        spoken: list[AnyMessage] = [Speak(self.generation, self.id, 0, None, pcm, phones)]
        return [*spoken, End(self.generation, self.id)] if self.complete else spoken

    def packages_begun(self) -> Iterator[Package]:
        """Those whose first sample was taken since the last call."""
        while self.packages and self.packages[0].start < self.aired:
            yield self.packages.popleft()

    def take(self, count: int) -> PcmArray:
        """The next `count` samples or what is there; moves on."""
        parts: list[PcmArray] = []
        wanted = count
        while wanted > 0 and self.pcm:
            head = self.pcm[0]
            part = head[:wanted]
            parts.append(part)
            wanted -= len(part)
            if len(part) == len(head):
                self.pcm.pop(0)
            else:
                self.pcm[0] = head[len(part) :]
        taken = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
        self.aired += len(taken)
        return taken
