"""The report of a soak: figures, and what is wrong."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.watch import Session

DRIFT_MS = 22.0
"""One AAC frame: more is drift and not the grain of the measurement."""
PSS_MB_PER_MINUTE = 0.5
PSS_MINUTES = 10.0
"""A shorter run says nothing about a slope."""


@dataclass(slots=True)
class Report:
    minutes: float
    sessions: list[Session]
    expected_sessions: int
    clock: dict[str, float]
    deeds: Counter[str]
    deaths: Counter[str]
    starts: Counter[str]
    """Processes seen per role over the run."""
    outcomes: Counter[str]
    """done, cut, skipped, lost: what became of the accepted prompts."""
    pss_minutes: list[float] = field(default_factory=list)
    pss_mb: list[float] = field(default_factory=list)

    @property
    def pss_slope(self) -> float:
        if len(self.pss_mb) < 3:
            return 0.0
        return statistics.linear_regression(self.pss_minutes, self.pss_mb).slope

    def faults(self) -> list[str]:
        found = [f"gap: {gap}" for session in self.sessions for gap in session.gaps]
        if len(self.sessions) != self.expected_sessions:
            found.append(f"{len(self.sessions)} sessions of the healthy sink, {self.expected_sessions} expected")
        for number, session in enumerate(self.sessions):
            if abs(session.lead_change_ms) > DRIFT_MS:
                found.append(f"session {number}: sound moved by {session.lead_change_ms:.1f} ms against the picture")
        for role, count in self.starts.items():
            expected = 1 + self.deaths[role]
            if role in ("director", "voice", "head", "playout") and count != expected:
                found.append(f"{role}: {count} processes, {expected} expected")
        if self.outcomes["lost"]:
            found.append(f"{self.outcomes['lost']} accepted prompts were never heard of again")
        if self.minutes >= PSS_MINUTES and self.pss_slope > PSS_MB_PER_MINUTE:
            found.append(f"memory grows by {self.pss_slope:.2f} MB/min")
        return found

    def text(self) -> str:
        lines = [
            f"soak of {self.minutes:.1f} min",
            f"  deeds          {_counted(self.deeds)}",
            f"  prompts        {_counted(self.outcomes)}",
            f"  processes      {_counted(self.starts)} (killed on purpose: {_counted(self.deaths) or 'none'})",
            "  clock          " + ", ".join(f"{name} {value:g}" for name, value in self.clock.items()),
            f"  sessions       {len(self.sessions)}, {sum(s.pictures for s in self.sessions)} pictures, "
            f"{sum(len(s.gaps) for s in self.sessions)} gaps",
        ]
        for number, session in enumerate(self.sessions):
            lines.append(
                f"    session {number}: {session.pictures} pictures, sound against picture "
                f"{session.lead_change_ms:+.1f} ms, stream against monotonic clock {session.delay_change_ms:+.1f} ms"
            )
        if self.pss_mb:
            slope = f"{self.pss_slope:+.2f} MB/min" if self.minutes >= PSS_MINUTES else "too short for a slope"
            lines.append(f"  PSS            {self.pss_mb[0]:.0f} -> {self.pss_mb[-1]:.0f} MB, {slope}")
        wrong = self.faults()
        lines += [f"  WRONG          {fault}" for fault in wrong] or ["  nothing wrong"]
        return "\n".join(lines)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))
