"""What asks for air time, who it is from, and what the gate says to it. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from broadcaster.types.room import Given, Happening, Lane, Viewer


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
