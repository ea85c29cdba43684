"""What happened when to every prompt, from its acceptance to air: puts the stamps of all stages together.

Director's event loop. Stamps are seconds of the loop's clock, which is CLOCK_MONOTONIC and so the same in playout.
Numbers only: no text of anybody ends up here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from broadcaster.latency import Latencies, Trace
from broadcaster.types import Inbound, PieceTimes
from broadcaster.wire import PackageOnAir

log = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Prompts that were accepted and not begun; the inbox has its own bound, this one only keeps a fault small."""

MAX_TURNS: Final = 16
"""Two are given to playout at a time, and one more may be leaving."""

LONGEST_ACCEPT_S: Final = 60.0
"""Between the two stamps of an acceptance; more means that the wall clock was set meanwhile."""


@dataclass(slots=True)
class _Turn:
    kind: str
    begun: float
    stamps: dict[str, float]
    brain: str = ""
    packages: dict[int, tuple[PieceTimes | None, str]] = field(default_factory=dict)
    """Given and not on air yet: times, and the voice."""
    aired: list[Trace] = field(default_factory=list)


class Tracer:
    """`keep` stores a trace. `last` is what the status shows of the last turn that has ended, or None."""

    def __init__(self, clock: Callable[[], float], keep: Callable[[Trace], None]) -> None:
        self.latencies = Latencies()
        self.last: dict[str, Any] | None = None
        self._clock = clock
        self._keep = keep
        self._waiting: dict[str, tuple[float, float]] = {}
        self._turns: dict[str, _Turn] = {}

    def accepted(self, prompt: Inbound) -> None:
        """It is in the journal now; when it came is told by its own stamp."""
        now = self._clock()
        since = (time.time_ns() - prompt.received_ns) / 1e9
        self._waiting[prompt.id] = now - min(max(0.0, since), LONGEST_ACCEPT_S), now
        _bound(self._waiting, MAX_WAITING)

    def begun(self, prompt: Inbound) -> None:
        now = self._clock()
        known = self._waiting.pop(prompt.id, None)
        stamps = {"begun": now} if known is None else {"accepted": known[0], "kept": known[1], "begun": now}
        self._turns[prompt.id] = _Turn(prompt.kind.value, now, stamps)
        _bound(self._turns, MAX_TURNS)

    def written(self, prompt: str, brain: str) -> None:
        """Something to say has come; the first time counts, and the last brain that is named."""
        turn = self._turns.get(prompt)
        if turn is not None:
            turn.stamps.setdefault("text", self._clock())
            turn.brain = brain or turn.brain

    def given(self, prompt: str, package: int, times: PieceTimes | None, voice: str) -> None:
        """A piece goes to playout; the first one of a package counts."""
        turn = self._turns.get(prompt)
        if turn is not None:
            turn.packages.setdefault(package, (times, voice))

    def aired(self, told: PackageOnAir) -> None:
        turn = self._turns.get(told.utterance)
        given = turn.packages.get(told.package) if turn is not None else None
        if turn is None or given is None or any(trace.package == told.package for trace in turn.aired):
            return  # an earlier director's, or heard once more after a fault
        times, voice = given
        stamps = dict(turn.stamps) if told.package == 0 else {}
        if times is not None:
            stamps |= {
                "package": times.text, "asked": times.asked, "sound": times.sound, "released": times.released,
            }  # fmt: skip
        for name, ns in (
            ("playout", told.arrived_ns),
            ("free", told.free_ns),
            ("lips", told.lips_ns),
            ("on_air", told.on_air_ns),
        ):
            if ns:
                stamps[name] = ns / 1e9
        stages = {name: round((at - turn.begun) * 1000, 1) for name, at in stamps.items()}
        trace = Trace(told.utterance, told.package, turn.kind, turn.brain, voice, time.time_ns(), stages, told.gap_ms)
        turn.aired.append(trace)
        self.latencies.add(trace)
        self._keep(trace)

    def ended(self, prompt: str) -> None:
        self._waiting.pop(prompt, None)
        turn = self._turns.pop(prompt, None)
        if turn is None or not turn.aired or not turn.aired[0].first:
            return
        first, later = turn.aired[0], [trace for trace in turn.aired if trace.later]
        figures: dict[str, Any] = {
            "total_ms": round(first.total_ms),
            "own_ms": round(first.own_ms),
            "packages": len(turn.aired),
            "late": sum(trace.gap_ms > 0 for trace in later),
            "least_margin_ms": round(min((trace.margin_ms for trace in later), default=0)) if later else None,
        }
        self.last = {"id": prompt, **figures}
        spans = {f"{name}_ms": round(ms, 1) for name, ms in first.spans.items()}
        who = {"prompt": prompt, "kind": turn.kind, "brain": turn.brain, "voice": first.voice}
        log.info("a turn was on air", extra={**who, **figures, **spans})


def _bound(entries: dict[str, Any], most: int) -> None:
    while len(entries) > most:
        del entries[next(iter(entries))]
