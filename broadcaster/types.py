"""The nouns every stage shares: frozen dataclasses and media-time arithmetic. No I/O, no threads.

Media time is counted, never measured: a *tick* is one picture (1/fps s), a *sample* is 1/48000 s of
sound, and both are integers from the start of the channel. Monotonic time only says when tick n runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 48_000
"""Samples per second of everything on air; engines of another rate are resampled in `speech`."""

PcmArray = NDArray[np.int16]
"""Mono speech: shape (samples,), int16, 48 kHz."""

Plane = NDArray[np.uint8]
"""One picture plane: shape (height, width), uint8, limited range BT.709."""


def samples_at(tick: int, fps: int) -> int:
    """First sample of `tick`. Exact for every fps that divides 48000 (24, 25, 30, 50, 60)."""
    return tick * SAMPLE_RATE // fps


def base_index(tick: int, loop_frames: int) -> int:
    """Index of the idle base frame shown at `tick`: a pure function, so that the body never jumps."""
    return tick % loop_frames


class Viseme(StrEnum):
    """Mouth shapes, the 15 classes of the Oculus/ARKit convention; every voice engine maps to these."""

    SIL = "sil"
    PP = "PP"  # p b m: lips closed
    FF = "FF"  # f v
    TH = "TH"  # th
    DD = "DD"  # t d, pinyin d t
    KK = "kk"  # k g, pinyin g k h
    CH = "CH"  # ch j sh, pinyin zh ch sh r j q x
    SS = "SS"  # s z, pinyin z c s
    NN = "nn"  # n l
    RR = "RR"  # r
    AA = "aa"
    E = "E"
    IH = "ih"
    OH = "oh"
    OU = "ou"


@dataclass(frozen=True, slots=True)
class Phone:
    """One phoneme of a piece of speech; `start` and `end` are samples from the first sample of its PCM."""

    symbol: str
    viseme: Viseme
    start: int
    end: int


class Role(StrEnum):
    """A viewer looks, a moderator speaks and interrupts, an operator also resumes and changes sinks."""

    VIEWER = "viewer"
    MODERATOR = "moderator"
    OPERATOR = "operator"

    def covers(self, needed: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class PromptKind(StrEnum):
    SAY = "say"  # spoken as it stands
    ASK = "ask"  # answered by the brain


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a text came from. `source` is the adapter's name, `author` a person's name (data, never logged)."""

    source: str
    author: str = ""
    role: Role = Role.VIEWER


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is to be said. `speed` 0.5..2.0 (1.0: the voice's own), `pitch` in semitones -6..6.

    `voice` is a name of the engine that speaks ("": the configured one); an engine that does not know it keeps
    its own.
    """

    speed: float = 1.0
    pitch: float = 0.0
    voice: str = ""


PLAIN: Final = Manner()


@dataclass(frozen=True, slots=True)
class Inbound:
    """One text that asks for air time. `id` is unique per channel and made by whoever accepts it."""

    id: str
    kind: PromptKind
    text: str
    origin: Origin
    received_ns: int = 0  # wall clock, time.time_ns()
    manner: Manner = PLAIN


@dataclass(frozen=True, slots=True)
class Turn:
    """What the brain is asked to answer, with what was really heard before it (oldest first)."""

    prompt: Inbound
    heard: tuple[str, ...] = ()


class VerdictKind(StrEnum):
    PASS = "pass"
    MASK = "mask"
    REPLACE = "replace"
    DROP = "drop"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision. `text` is what may be spoken (as admitted, masked or replaced)."""

    kind: VerdictKind
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text handed to a voice in one call: part of one sentence, never more.

    `language` is "zh" or "en"; `sentence` counts the utterance's sentences from 0.
    """

    text: str
    language: str
    sentence: int
    manner: Manner = PLAIN


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word (or a character) of a piece and when it sounds: seconds from the first sample of the piece's sound."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class RawSound:
    """Sound as an engine sends it: s16le, interleaved, any rate; a chunk may end inside a sample.

    `words` are those that became known with this chunk, counted from the piece's first sample.
    """

    data: bytes = field(repr=False)
    rate: int
    channels: int = 1
    words: tuple[TimedWord, ...] = ()


@dataclass(frozen=True, slots=True)
class VoiceReference:
    """A recording whose speaker the zero-shot engines imitate: a WAV file and exactly what is said in it."""

    recording: Path
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound with its mouth: 48 kHz mono PCM and phones counted in its samples.

    `kept`: it was made before and comes from a cache, so that nothing about its engine follows from it.
    """

    pcm: PcmArray
    phones: tuple[Phone, ...] = ()
    kept: bool = False


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """What the speech pipeline hands to the director, in order, for one utterance.

    `opens` carries the sentence's text on the first piece of a sentence, None on the others;
    `last` marks the last piece of the utterance. The pause after a sentence is part of its PCM.
    `engine` names the voice that really spoke (for the as-run log).
    """

    sentence: int
    opens: str | None
    speech: Speech
    engine: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class MouthBox:
    """Region of interest in the picture, all even numbers of pixels (I420 chroma is half size)."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MouthPatch:
    """Mouth pixels for one tick over one base frame.

    `planes` is I420 of the box: Y (h, w) then U and V (h/2, w/2), C order, concatenated, uint8. `epoch`
    is the number of the (re-)anchoring it was rendered for: a patch of an older epoch is never shown.
    """

    generation: int
    epoch: int
    tick: int
    base: int
    box: MouthBox
    planes: bytes = field(repr=False)
