"""Work and lateness of ticks over the last second. Written and read by the tick thread."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TimingSummary:
    work_ms: float
    """Mean work per tick."""
    lateness_p99_ms: float


@dataclass(slots=True)
class Timing:
    _work: list[int] = field(default_factory=list)
    _lateness: list[int] = field(default_factory=list)

    def add(self, work_ns: int, lateness_ns: int) -> None:
        self._work.append(work_ns)
        self._lateness.append(lateness_ns)

    def take(self) -> TimingSummary:
        """The summary since the last call; empties."""
        if not self._work:
            return TimingSummary(0.0, 0.0)
        lateness = sorted(self._lateness)
        worst = lateness[min(len(lateness) - 1, len(lateness) * 99 // 100)]
        summary = TimingSummary(sum(self._work) / len(self._work) / 1e6, worst / 1e6)
        self._work.clear()
        self._lateness.clear()
        return summary
