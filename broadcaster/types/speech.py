"""From pieces of text to paced sound. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from broadcaster.types.media import PcmArray, Phone
from broadcaster.types.prompts import PLAIN, Manner


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text handed to a voice in one call: part of a sentence, or several short ones that go together.

    `language` is "zh" or "en"; `sentence` counts the utterance's packages from 0 (`speech/packing.py`).
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
class PieceTimes:
    """When what happened to one piece: seconds of the monotonic clock (`time.monotonic`, the loop's clock).

    `text`: its package was whole; `asked`: a voice was asked; `sound`: its first sound came; `made`: its last (the
    same as `released` for one that is let go while it comes); `released`: it was handed out.
    """

    text: float
    asked: float
    sound: float
    made: float
    released: float


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """What the speech pipeline hands to the director, in order, for one utterance.

    `opens` carries the sentence's text on the first piece of a sentence, None on the others;
    `last` marks the last piece of the utterance. The pause after a sentence is part of its PCM.
    `engine` names the voice that really spoke (for the as-run log). `times` is None where nobody measured.
    """

    sentence: int
    opens: str | None
    speech: Speech
    engine: str
    last: bool = False
    times: PieceTimes | None = None
