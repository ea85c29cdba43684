"""A voice service that has a fault for one sentence only: a fake of the contract suite, and its engine beside it.

The fakes have one `fault` and one `sound`, set before a request. Here several requests are under way at once, so both
are properties that answer for the request (by its text) whose connection asks. asyncio, in the loop of the bench.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.spoken_tones import SCRIPT, places, tones
from broadcaster.config.voices import LinkBase
from broadcaster.ports import VoiceEngine
from broadcaster.types import Piece, RawSound
from tests.contract.voice_cases.case import OTHER_RATE, Fault, VoiceCase, VoiceServer, reference
from tests.fakes.http_wire import stereo
from tests.fakes.voice_links import said

TIMEOUTS = {"connect_timeout_s": 1.0, "first_sound_timeout_s": 1.5, "gap_timeout_s": 1.0}


class Untold(StrEnum):
    """Wrong sound where the wire has no place to tell what it is."""

    OTHER_RATE = "other rate, not told"
    STEREO = "stereo, not told"


@dataclass
class Script:
    """What the service does. `pending` is the fault of the piece asked for last, for what comes before its text."""

    case: VoiceCase
    fault: Fault | Untold | None
    bad: int
    """The sentence that has it."""
    pending: Fault | None = None

    def of(self, text: str) -> tuple[Fault | None, bytes]:
        start = SCRIPT.index(said(text))
        fault = self.fault if start in places(self.bad) else None
        other = fault in (Fault.OTHER_RATE, Untold.OTHER_RATE)
        sound = tones(text, OTHER_RATE if other else self.case.rate).astype("<i2").tobytes()
        if fault is Untold.STEREO:
            sound = stereo(sound)
        return (fault if isinstance(fault, Fault) else None), sound

    def asked(self, piece: Piece) -> None:
        fault = self.fault if piece.sentence == self.bad else None
        self.pending = fault if isinstance(fault, Fault) else None


_REQUEST: ContextVar[tuple[Fault | None, bytes] | None] = ContextVar("request", default=None)
"""Set in the task of a connection, inherited by the task that answers."""


class _Requests(list[Any]):
    def __init__(self, script: Script) -> None:
        self._script = script

    def append(self, request: Any) -> None:
        super().append(request)
        _REQUEST.set(self._script.of(self._script.case.text_of(request)))


def _scripted(server: VoiceServer, script: Script) -> None:
    def fault(_: Any) -> Fault | None:
        request = _REQUEST.get()
        return script.pending if request is None else request[0]

    def sound(_: Any) -> bytes:
        request = _REQUEST.get()
        return b"" if request is None else request[1]

    server.requests = _Requests(script)
    if isinstance(script.fault, Untold) and hasattr(server, "announces"):
        server.announces = False
    kind = type(server)
    server.__class__ = type(kind.__name__, (kind,), {"fault": property(fault), "sound": property(sound)})


class _Asking:
    """Port `VoiceEngine`: the engine, whose every request is announced to the script."""

    def __init__(self, engine: VoiceEngine, script: Script) -> None:
        self._engine = engine
        self._script = script

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        self._script.asked(piece)
        return self._engine.stream(piece)


_ADDRESS: ContextVar[str] = ContextVar("address")


class _Address(str):
    """An address that is another one in every task: for an SDK that keeps its only one in a module."""

    def __format__(self, spec: str) -> str:
        return format(_ADDRESS.get(), spec)


class Addresses:
    """Stands in for pytest's `monkeypatch` in `VoiceCase.patch`."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def setattr(self, target: Any, name: str, value: str) -> None:
        _ADDRESS.set(value)
        if not isinstance(getattr(target, name), _Address):
            self._before.append((target, name, getattr(target, name)))
            setattr(target, name, _Address())

    def undo(self) -> None:
        for target, name, value in self._before:
            setattr(target, name, value)


@asynccontextmanager
async def service(script: Script, addresses: Addresses, folder: Path) -> AsyncIterator[tuple[VoiceEngine, LinkBase]]:
    """A running one: its real engine, and the settings of its link."""
    case = script.case
    async with case.serve() as server:
        _scripted(server, script)
        case.patch(addresses, server)
        engine = case.make(server, reference(folder), **TIMEOUTS)
        try:
            yield _Asking(engine, script), case.link(server, **TIMEOUTS)
        finally:
            await engine.close()
