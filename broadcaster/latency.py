"""How long the way to air takes: the stages of a turn, their spans, percentiles and histograms. Pure.

A package is what a voice is asked for at once; the first one of a turn decides how long viewers wait, the later ones
must only be ready before the one in front of them ends. Times are milliseconds since the director began the turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

STAGES: Final = {
    "accepted": "the prompt came",
    "kept": "it is in the journal, synced to disk",
    "begun": "its turn has come: it left the queue",
    "text": "first text of the brain",
    "package": "the package is whole",
    "asked": "a voice is asked",
    "sound": "its first sound came",
    "released": "let go by the pacing",
    "playout": "playout has it",
    "free": "nothing of an earlier prompt sounds any more",
    "lips": "the mouth of its first picture came",
    "on_air": "its first sample is on air",
}
"""In order of time. Each span is named by the stage at its end."""

WAITS: Final = ("begun", "free")
"""Spans in which a prompt only waits for those before it."""

BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MARGIN_BOUNDS_S: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Trace:
    """One package that was on air. `stages`: its stamps, in milliseconds since the turn began.

    `gap_ms`: the silence right before it, because it came too late.
    """

    prompt: str
    package: int
    kind: str
    brain: str
    voice: str
    at_ns: int
    stages: Mapping[str, float]
    gap_ms: int = 0

    @property
    def first(self) -> bool:
        """Viewers waited for it. What goes on after a cut or a restart has not begun with its question."""
        return self.package == 0 and "accepted" in self.stages

    @property
    def later(self) -> bool:
        """It follows another one without a break. What goes on after a cut or a fault has none in front of it."""
        return self.package > 0 and "free" not in self.stages

    @property
    def spans(self) -> dict[str, float]:
        """Milliseconds per stage; their sum is all there is. A stage nobody stamped is part of the next one."""
        found: dict[str, float] = {}
        before: float | None = None
        for name in STAGES:
            at = self.stages.get(name)
            if at is None:
                continue
            if before is not None:
                found[name] = max(0.0, at - before)
            before = at if before is None else max(before, at)
        return found

    @property
    def total_ms(self) -> float:
        """From accepted to on air."""
        return self.stages["on_air"] - self.stages["accepted"]

    @property
    def own_ms(self) -> float:
        """The same without the waiting for earlier prompts."""
        spans = self.spans
        return self.total_ms - sum(spans.get(name, 0.0) for name in WAITS)

    @property
    def margin_ms(self) -> float:
        """How long before it was due it was with playout; negative: so much silence was heard instead."""
        return -float(self.gap_ms) if self.gap_ms else self.stages["on_air"] - self.stages["playout"]


def spans_of(traces: Iterable[Trace]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Spans in milliseconds by stage, of first packages (with "total" and "own") and of later ones."""
    first: dict[str, list[float]] = {}
    later: dict[str, list[float]] = {}
    for trace in traces:
        if trace.first:
            for name, ms in {**trace.spans, "own": trace.own_ms, "total": trace.total_ms}.items():
                first.setdefault(name, []).append(ms)
        elif trace.later:
            for name, ms in trace.spans.items():
                later.setdefault(name, []).append(ms)
    return first, later


def summary(traces: Sequence[Trace]) -> dict[str, Any]:
    """What `broadcaster latency` and `/api/latency` show: plain JSON types.

    `stages`: list of `{stage, first, later}`, each `{n, p50, p95, max}` in ms or None; `turns` and `packages` count;
    `later`: `{n, late, silence_ms, margin: {p50, p5, min} or None}`, milliseconds.
    """
    first, later = spans_of(traces)
    names = [name for name in (*STAGES, "own", "total") if name in first or name in later]
    margins = [trace.margin_ms for trace in traces if trace.later]
    gaps = [trace.gap_ms for trace in traces if trace.later and trace.gap_ms]
    return {
        "turns": sum(trace.first for trace in traces),
        "packages": len(traces),
        "stages": [
            {"stage": name, "first": _spread(first.get(name)), "later": _spread(later.get(name))} for name in names
        ],
        "later": {"n": len(margins), "late": len(gaps), "silence_ms": sum(gaps), "margin": _low(margins)},
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank, to a tenth. `values` must not be empty."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[max(0, int(rank) - 1)], 1)


def _spread(values: list[float] | None) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "n": len(values),
        "p50": percentile(values, 50),
        "p95": percentile(values, 95),
        "max": round(max(values), 1),
    }


def _low(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"p50": percentile(values, 50), "p5": percentile(values, 5), "min": round(min(values), 1)}


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, cumulated only when they are asked for."""

    bounds: tuple[float, ...] = BOUNDS_S
    total: float = 0.0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        self.total += seconds
        place = next((n for n, bound in enumerate(self.bounds) if seconds <= bound), len(self.bounds))
        self.counts[place] += 1

    def buckets(self) -> list[tuple[str, int]]:
        """As Prometheus wants them: (upper bound, how many are not above it)."""
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return [(name, sum(self.counts[: n + 1])) for n, name in enumerate(names)]


class Latencies:
    """Histograms since the process began, for `/metrics`. Written in the director's loop, read in a thread."""

    def __init__(self) -> None:
        self.stages: dict[tuple[str, str], Histogram] = {}
        self.margin = Histogram(MARGIN_BOUNDS_S)
        self.late = 0

    def add(self, trace: Trace) -> None:
        for package, spans in zip(("first", "later"), spans_of([trace]), strict=True):
            for stage, values in spans.items():
                self.stages.setdefault((stage, package), Histogram()).observe(values[0] / 1000)
        if trace.later:
            self.margin.observe(trace.margin_ms / 1000)
            self.late += trace.gap_ms > 0
