"""The words of the suite over the voice engines: faults, outcomes, and what a case of an engine has to say.

A case is one engine in one setting (a response format, a mode) beside a local server that speaks its wire format.
`tests/contract/voice_cases/<name in registry.VOICES>.py` defines `CASES`, a list of them; the module of an engine
without one fails the suite. A case tells for every `Fault` what its engine makes of it, either in `outcomes` or,
with a reason, in `impossible`; there is no third way.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from broadcaster import registry
from broadcaster.config.voices import LinkBase
from broadcaster.ports import VoiceEngine
from broadcaster.types import VoiceReference

SECRET = "sk-canary-0123456789abcdef"
"""The key, or the password in the address, of every link: it may turn up in no error."""

TEXT = "今天的天气真好啊。"
AGAIN = "我们再说一句吧。"


class Fault(StrEnum):
    """What the server does instead of answering well. `VoiceServer.fault` is set before the request."""

    SLOW_START = "slow start"  # takes the request and says nothing
    STALL = "stall"  # half of the sound, then nothing
    ODD_CHUNKS = "odd chunks"  # all of it, in pieces of 1, 2, 3, 5, 7, ... bytes: headers and samples are cut in two
    TRUNCATED = "truncated"  # half of the sound, then the connection ends against the rules of the protocol
    SHORT = "short"  # half of the sound, then a proper end
    HALF_SAMPLE = "half sample"  # half of the sound and one byte more, then a proper end
    ERROR = "error"  # the wire's own way of saying that it went wrong inside; the key and the text are in the body
    JSON = "json"  # a success by its status, with JSON in place of sound
    UNAUTHORIZED = "401"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    DROPPED = "dropped"  # the connection is closed in place of an answer
    RESET = "reset"  # half of the sound, then the connection is reset
    OTHER_RATE = "other rate"  # `OTHER_RATE` samples per second instead of the usual rate
    STEREO = "stereo"  # two channels, the same sound in both
    EMPTY = "empty"  # a success without any sound


OTHER_RATE = 16_000

Heard = Literal["all", "some", "none", "any"]
"""Of the sound: all of it; some but not all; nothing; whatever came before the error."""

Ends = Literal["well", "retry", "final"]
"""The stream ends; with a VoiceError that may pass (`retryable`); with one that another request cannot help."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes out of an engine. `says` must be in the error's text; `why` explains an outcome that surprises."""

    heard: Heard
    ends: Ends
    says: str = ""
    rate: int | None = None
    channels: int = 1
    why: str = ""


WHOLE = Outcome("all", "well")
UNSEEN = Outcome("some", "well", why="a proper end on the wire; only the length of the sound tells")
NOTHING = Outcome("none", "retry")
REFUSED = Outcome("none", "final")
BROKEN = Outcome("any", "retry")

OVER_HTTP: Mapping[Fault, Outcome] = {
    Fault.ODD_CHUNKS: WHOLE,
    Fault.TRUNCATED: BROKEN,
    Fault.SHORT: UNSEEN,
    Fault.HALF_SAMPLE: BROKEN,
    Fault.ERROR: Outcome("none", "retry", says="500"),
    Fault.JSON: NOTHING,
    Fault.UNAUTHORIZED: Outcome("none", "final", says="401"),
    Fault.TOO_MANY: Outcome("none", "retry", says="429"),
    Fault.SERVER_ERROR: Outcome("none", "retry", says="500"),
    Fault.DROPPED: NOTHING,
    Fault.RESET: BROKEN,
    Fault.EMPTY: Outcome("none", "retry", says="no sound"),
}
"""Where to start for an engine behind plain HTTP."""

ENDLESS = (Fault.SLOW_START, Fault.STALL)
"""No engine ends these by itself: whoever iterates gives up, and the engine has to let go. The same for all."""


class VoiceServer(Protocol):
    """A running fake. `sound` is what it sends for the next request: s16le mono at `VoiceCase.rate`."""

    fault: Fault | None
    sound: bytes
    requests: list[Any]
    """One entry per request that was fully read, in the fake's own form."""
    left: int
    """Requests whose client went away before they were answered to the end."""
    open: int
    """Connections that are open now."""
    port: int
    """On 127.0.0.1; the cases make their address of it."""


class VoiceCase:
    """Base of the cases; class attributes and four methods to fill in."""

    engine: ClassVar[str]
    """Name in `registry.VOICES`."""
    setting: str = ""
    """What tells the cases of one engine apart."""
    rate: int = 24_000
    exact: bool = True
    """The wire is lossless: the bytes that come out are compared; else their length and their energy."""
    streams: bool = True
    """Sound comes out before the answer has ended. False needs a reason: a form that can only be taken whole."""
    words: bool = False
    """Words with their times come with the sound."""
    needs_reference: bool = False
    """Cannot speak without a recording of a speaker."""
    outcomes: Mapping[Fault, Outcome] = OVER_HTTP
    impossible: Mapping[Fault, str] = {}

    def __str__(self) -> str:
        return f"{self.engine}-{self.setting}" if self.setting else self.engine

    def serve(self) -> AbstractAsyncContextManager[VoiceServer]:
        raise NotImplementedError

    def link(self, server: VoiceServer, **options: Any) -> LinkBase:
        """The settings that lead to `server`, with `SECRET` as its key or in its address."""
        raise NotImplementedError

    def text_of(self, request: Any) -> str:
        """What one entry of `requests` asked to be spoken."""
        raise NotImplementedError

    def speed_of(self, request: Any) -> float | None:
        """The speed it asked for; None where the request does not speak of speed."""
        raise NotImplementedError

    def patch(self, monkeypatch: Any, server: VoiceServer) -> None:
        """For an SDK that takes no address."""

    def make(self, server: VoiceServer, reference: VoiceReference | None, **options: Any) -> VoiceEngine:
        made: VoiceEngine = registry.resolve(registry.VOICES, self.engine, "voice")(
            self.link(server, **options), reference
        )
        return made


def sound(rate: int, seconds: float = 0.4) -> bytes:
    """s16le mono: a rising tone no two samples of which line up, so that a byte lost or doubled shows."""
    t = np.arange(int(rate * seconds)) / rate
    wave = np.sin(2 * np.pi * (200 + 400 * t) * t) * 9000 + 40
    return wave.astype("<i2").tobytes()


def reference(folder: Path) -> VoiceReference:
    """A recording of nobody: what the zero-shot engines are given as their speaker."""
    from tests.fakes.http_wire import wav

    path = folder / "speaker.wav"
    path.write_bytes(wav(sound(24_000, 3.5), 24_000))
    return VoiceReference(path, "这是一段参考录音。", "zh")


def cases_of(name: str) -> Sequence[VoiceCase]:
    """The cases of one engine; empty where nobody has written any."""
    module = f"tests.contract.voice_cases.{name}"
    if importlib.util.find_spec(module) is None:
        return ()
    found: Sequence[VoiceCase] = importlib.import_module(module).CASES
    return found


def all_cases() -> list[VoiceCase]:
    return [case for name in registry.VOICES for case in cases_of(name)]
