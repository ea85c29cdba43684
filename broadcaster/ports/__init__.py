"""The Protocol of every stage. Stages import types, ports and errors, and nothing of each other.

An adapter runs once and raises; retry, back-off and logging belong to `supervisor/`. The ports of avatars
and talking heads stand in `face`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from threading import Event
from typing import Any, Protocol, runtime_checkable

from broadcaster.ports.face import AvatarPack as AvatarPack
from broadcaster.ports.face import FacePack as FacePack
from broadcaster.ports.face import SpeechTrack as SpeechTrack
from broadcaster.ports.face import TalkingHead as TalkingHead
from broadcaster.ports.face import ThinningHead as ThinningHead
from broadcaster.types import (
    PLAIN,
    Exchange,
    Inbound,
    Manner,
    Origin,
    Piece,
    Post,
    RawSound,
    Speech,
    Spent,
    SpokenPiece,
    Turn,
    Usage,
    Verdict,
    ViewerNote,
    Written,
)


class Intake(Protocol):
    """Where the sources bring what they receive. Bounded, and never waits for anybody."""

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        """From any thread; returns at once. The future is done when everything that was paid is synced to disk.

        It raises JournalError when that cannot be: an adapter with an acknowledgement then refuses it aloud, so that
        its platform sends it again; the others need not look at it. What is too much is dropped and counted here.
        """


class Source(Protocol):
    """A connection to a platform, or a door that others knock at: runs once, and ends only by cancel or SourceError.

    In the director's event loop. Closes its session with the platform when it is cancelled, within 3 s.
    """

    name: str

    async def run(self, intake: Intake) -> None: ...

    def status(self) -> dict[str, Any]:
        """`connected` (bool), `note` (for people, without secrets), and counters by name (int)."""


class Brain(Protocol):
    """An engine that writes a reply as it comes: raw text, and how many tokens it was once that is known.

    Runs once and raises BrainError, with `retryable`, `denied` and `retry_after_s` set where the error is translated;
    nothing of a server's own error text is ever yielded. Reasoning that arrives in a field of its own and tool calls
    are not yielded; what a model mixes into its text is taken out by the `Mind`. Closing the iterator cancels the
    request and frees its connection. Honours its own connect time-out; the deadlines are kept by whoever iterates.
    """

    name: str

    def reply(self, turn: Turn) -> AsyncIterator[str | Usage]: ...

    async def close(self) -> None: ...


class Mind(Protocol):
    """The whole of `brain/` as the director sees it: questions in, clean text out, and what was heard back in.

    Everything but `reply` returns at once; what must be stored is stored in the background.
    """

    async def open(self, memory: MemoryStore, ledger: Ledger) -> None:
        """Reads what is remembered. Never fails: what cannot be read is forgotten, and told in the log."""

    def reply(self, prompt: Inbound) -> AsyncIterator[Written]:
        """Closing the iterator cancels the request. Raises BrainError when nobody could answer (any further), Stale
        when the question has become too old to be answered. Another `brain` than before: that one broke off within
        its first sentence, and the answer begins anew."""

    def opening(self, prompt: Inbound) -> str:
        """What is said before the answer: who asks and what, shortened; "" for nothing. Raises Stale."""

    async def turn(self, prompt: Inbound) -> Turn:
        """The same question, put together for an engine that is asked past `reply` (an end-to-end voice). It is told
        the opening, which nobody else says for it."""

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        """Viewers have heard this of the host: a sentence in full, or up to the word where it was cut."""

    def ended(self, prompt: Inbound, *, cut: bool = False) -> None:
        """Nothing more of that prompt will be heard. `cut`: it was broken off."""

    def forget(self, viewer: str | None) -> None:
        """What is at hand about the viewer of that id, or about everybody. What is stored is deleted elsewhere."""

    def status(self) -> dict[str, Any]:
        """`engine` (that answered last), `degraded`, `error`, `rule_based`, `links`: list of `{name, state, answered,
        failures, error}` in the order of asking, `budget`: `{limit, spent, currency, tokens, links}` of today,
        `memory`: `{messages, tokens, viewers}`."""

    async def close(self) -> None: ...


class MemoryStore(Protocol):
    """The conversation in the journal database. The awaited ones raise JournalError; the others are stored later."""

    async def exchanges(self, limit: int) -> list[Exchange]:
        """The last ones, oldest first."""

    async def summary(self) -> str: ...

    async def viewer(self, id: str) -> ViewerNote | None: ...

    async def viewers(self) -> int:
        """How many are known."""

    def keep_exchange(self, exchange: Exchange, keep: int) -> None:
        """Adds it, or replaces that of the same prompt; only the last `keep` stay."""

    def keep_summary(self, text: str) -> None: ...

    def keep_viewer(self, note: ViewerNote, keep: int) -> None:
        """Adds or replaces; only the `keep` seen last stay."""


class Ledger(Protocol):
    """What the day's answers cost, in the journal database. `day` is a date as YYYY-MM-DD."""

    async def spent(self, day: str) -> list[Spent]:
        """Raises JournalError."""

    def add(self, day: str, entry: Spent) -> None:
        """Added to what that link has spent on that day; stored later."""


class EndToEnd(Protocol):
    """A model that answers with sound of its own: it takes the place of brain and voice for one turn.

    Yields raw sound, its transcript (str, as it comes) and Usage, in the order of arrival. Runs once and raises
    BrainError. Closing the iterator cancels the answer. `turn.prompt.recording`, where there is one, is the question
    as a sound file. The deadlines and the gate are kept by whoever iterates.
    """

    name: str

    def converse(self, turn: Turn) -> AsyncIterator[RawSound | str | Usage]: ...

    async def close(self) -> None: ...


class Gate(Protocol):
    """Every text passes it on its way in and before it may be spoken, whoever wrote it. Event loop; never raises."""

    async def admit(self, text: str, origin: Origin) -> Verdict:
        """May the host say this?"""

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        """May these be answered? All checks, the costly ones too, in one go: for what may be chosen."""

    def glance(self, text: str) -> Verdict:
        """The cheap checks only (some microseconds), for everything that comes in."""

    def nickname(self, name: str) -> str:
        """A viewer's or a gift's name as it may be said and written on screen; "" when it may not."""

    def status(self) -> dict[str, Any]:
        """The section `moderation` of `station.Station.status`; {} of a gate that judges nothing."""


class Voice(Protocol):
    """Speaks one piece, as one or several chunks of sound. Closing the iterator cancels. Raises VoiceError."""

    @property
    def name(self) -> str: ...

    def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]: ...


class VoiceEngine(Protocol):
    """An engine behind a network (or a pipe), one request per piece, in the director's event loop.

    `piece.text` comes as it is to be read (see `speech/normalise.py`). Closing the iterator cancels the request and
    frees its connection. Honours its own connect time-out; the time-outs of the first sound and of a gap are kept by
    whoever iterates. Runs once and raises VoiceError, with `retryable` set where the error is translated.

    An engine whose service changes speed (or pitch) itself says so with a class attribute `own_speed = True`
    (`own_pitch = True`) and applies the link's times (plus) the manner's; for the others `FinishedVoice` does both.
    """

    name: str

    def stream(self, piece: Piece) -> AsyncIterator[RawSound]: ...

    async def close(self) -> None: ...


class Breaker(Protocol):
    """Whether a voice is asked at all (see `supervisor/breaker.py`). Each `allows` that said yes is answered by one
    of `succeeded`, `failed` and `released`."""

    @property
    def state(self) -> str:
        """closed: asked; open: not asked for a while; half_open: one try decides."""

    def allows(self) -> bool:
        """Whether it may be asked now. The yes of a breaker that is half open is the one try it has."""

    def succeeded(self) -> None: ...

    def failed(self, *, for_good: bool = False) -> None:
        """`for_good`: it opens at once, without waiting for more failures."""

    def released(self) -> None:
        """It was not asked after all, or broken off without a result."""


class AlwaysClosed:
    """Port `Breaker` of whoever is asked in any case, because nobody stands behind it."""

    state = "closed"

    def allows(self) -> bool:
        return True

    def succeeded(self) -> None:
        pass

    def failed(self, *, for_good: bool = False) -> None:
        pass

    def released(self) -> None:
        pass


class Hands(Protocol):
    """What is behind the speech pipeline: playout with the sound it holds, and the head with its lips."""

    def unheard(self) -> float:
        """Seconds of sound that wait in playout's hands, of earlier utterances too."""

    def lips(self) -> float:
        """Seconds that the head needs from a piece of sound to its first mouth; 0 where nobody knows."""


class Speaker(Protocol):
    """The whole of `speech/` as the director sees it: growing text in, paced pieces of sound out.

    Pieces come out no sooner than they should be put on air: playout may start the first at once.
    Closing the iterator cancels what is being synthesised. Raises VoiceError when every voice failed.
    """

    def speak(
        self,
        text: AsyncIterator[str],
        generation: int,
        manner: Manner = PLAIN,
        hands: Hands | None = None,
    ) -> AsyncIterator[SpokenPiece]: ...


class Synthesiser(Protocol):
    """An in-process engine inside the voice process; synchronous, one call at a time."""

    name: str
    voices: tuple[str, ...]

    def load(self) -> None:
        """Reads and verifies weights and warms up. Raises AssetError or VoiceError."""

    def synthesise(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Speech:
        """Trimmed 48 kHz speech of `text`. Raises VoiceError, also when `cancelled` became true."""


@runtime_checkable
class StreamingSynthesiser(Protocol):
    """A Synthesiser that hands its sound out as it is made: finished Speech, or RawSound for others to finish."""

    name: str
    voices: tuple[str, ...]

    def load(self) -> None: ...

    def stream(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Iterator[Speech | RawSound]:
        """Mono chunks, at least one, that follow each other without a gap. Raises VoiceError, also when `cancelled`
        became true; closing the iterator ends the work."""


class PacketReader(Protocol):
    """Encoded packets as a sink child receives them (see `sinks/packets.py`)."""


class Sink(Protocol):
    """Runs in a child process, connects once, raises SinkError. Returns when `stop` is set or the input ends."""

    def run(self, packets: PacketReader, stop: Event) -> None: ...
