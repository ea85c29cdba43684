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
    """The message classes; turn taking has a policy for each."""

    SAY = "say"  # spoken as it stands
    ASK = "ask"  # answered by the brain
    EVENT = "event"  # something happened in the room: thanked, welcomed


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
class Viewer:
    """Somebody in the room. `id` is stable at its platform; `name` is what it shows. Data, never logged.

    `guard`: 0 none, 1 governor, 2 admiral, 3 captain (Bilibili's numbers). `medal` is a fan medal of this room.
    """

    id: str
    name: str
    level: int = 0
    medal: str = ""
    medal_level: int = 0
    guard: int = 0


class RoomEvent(StrEnum):
    """What can happen in a room besides talk."""

    GIFT = "gift"
    SUPER_CHAT = "super_chat"
    GUARD = "guard"
    FAN_CLUB = "fan_club"
    FOLLOW = "follow"
    LIKE = "like"
    ENTER = "enter"


class PostKind(StrEnum):
    """What a source can bring."""

    COMMENT = "comment"
    GIFT = "gift"
    SUPER_CHAT = "super_chat"
    GUARD = "guard"
    FAN_CLUB = "fan_club"
    FOLLOW = "follow"
    LIKE = "like"
    ENTER = "enter"
    REVOKE = "revoke"  # super chats were deleted: `revokes`
    LIVE_START = "live_start"
    LIVE_END = "live_end"


@dataclass(frozen=True, slots=True)
class Post:
    """One thing that a source has received, in every platform's words the same.

    `id` is the platform's own ("" where it gives none): what comes twice counts once. `price` is the whole of it in
    thousandths of a yuan, 0 for what was free; it is *paid* when that is positive. `text`: of a comment or a super
    chat; `item` and `count`: what was given. `at_ns`: the platform's time, `received_ns`: ours (both wall clock).
    `room` is the platform's number of the room. `combo`: gifts of one run, one post each, share it.
    """

    source: str
    kind: PostKind
    id: str = ""
    viewer: Viewer | None = None
    text: str = ""
    item: str = ""
    count: int = 1
    price: int = 0
    at_ns: int = 0
    received_ns: int = 0
    room: str = ""
    combo: str = ""
    revokes: tuple[str, ...] = ()

    @property
    def paid(self) -> bool:
        return self.price > 0

    @property
    def key(self) -> str:
        """Unique in the channel, "" for one without an id."""
        return f"{self.source}:{self.id}" if self.id else ""


class Lane(StrEnum):
    """Priority classes of the queue; `inbox.order` says which comes first."""

    MODERATOR = "moderator"  # said or asked by whoever runs the room
    SUPER_CHAT = "super_chat"
    SUPPORT = "support"  # guards, and gifts above `inbox.support_price`: each thanked on its own
    QUESTION = "question"
    THANKS = "thanks"  # smaller gifts, follows, likes: several in one sentence
    COMMENT = "comment"
    WELCOME = "welcome"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the room. `item` is what was given ("" where nothing is), `count` how many."""

    event: RoomEvent
    item: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """One viewer's part of what several are thanked (or welcomed) for in one sentence."""

    viewer: Viewer
    happening: Happening


@dataclass(frozen=True, slots=True)
class Inbound:
    """One text that asks for air time. `id` is unique per channel and made by whoever accepts it.

    `viewer` is who asks, where a source knows it. `resumable`: cut by another prompt or by a restart, it goes on at
    the sentence where it was cut. `recording` is a question as sound, for an end-to-end voice; `text` then says what
    it is about, and is what everybody else answers.

    Of the audience: `lane` is its priority class, `paid` what was paid for it (thousandths of a yuan), `alike` how
    many asked the same, `given` everything that one sentence of thanks is for, `post` the key of the post it was
    made of. `approved`: a moderator has let it through, so it is not judged once more.
    """

    id: str
    kind: PromptKind
    text: str
    origin: Origin
    received_ns: int = 0  # wall clock, time.time_ns()
    manner: Manner = PLAIN
    viewer: Viewer | None = None
    resumable: bool = False
    happening: Happening | None = None
    recording: Path | None = None
    lane: Lane = Lane.MODERATOR
    paid: int = 0
    alike: int = 1
    given: tuple[Given, ...] = ()
    post: str = ""
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that sees. `media_type` is image/jpeg, image/png or image/webp."""

    data: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model. `role`: "user" or "assistant"."""

    role: str
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a brain is asked to answer.

    `system` is who the host is and what it must know now; it is never empty when a `Mind` made it. `messages` is the
    conversation as it was heard, oldest first; the last one is the question (role "user"), worded for a model.
    `prompt.text` is the question as it was asked.
    """

    prompt: Inbound
    system: str = ""
    messages: tuple[Message, ...] = ()
    max_tokens: int = 400


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the server counted them (or as they were estimated)."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt's."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stretch of a reply, clean enough to be spoken, and the brain that wrote it."""

    text: str
    brain: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One prompt of the past and what was heard of the answer. `at_ns` is wall-clock time.

    `question` is "" for what the host said unasked; `cut`: the answer was broken off where `answer` ends.
    """

    prompt: str
    viewer: str
    question: str
    answer: str
    at_ns: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ViewerNote:
    """What is remembered about one viewer. Times are wall-clock; `visits` counts days or returns after hours."""

    id: str
    name: str
    first_ns: int
    last_ns: int
    visits: int
    exchanges: int
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one day and one link. `cost` in the millionth part of the configured currency."""

    link: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: int


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
