"""Tables of the benches: a figure, its goal beside it, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is the highest value that is good; None for a figure without a goal."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal


def table(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        goal = "" if row.goal is None else f"goal <= {row.goal:g} {row.unit}".rstrip()
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        value = f"{row.value:,.2f} {row.unit}".rstrip()
        print(f"  {row.name:<{width}}  {value:>16}  {goal:<22} {verdict:<6} {row.note}".rstrip())


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile; nan for no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def spread(
    name: str, values: Sequence[float], unit: str, *, p50: float | None = None, p95: float | None = None
) -> list[Row]:
    """P50, P95 and maximum of `values` as rows."""
    count = f"n={len(values)}"
    return [
        Row(f"{name} P50", statistics.median(values) if values else float("nan"), unit, p50, count),
        Row(f"{name} P95", percentile(values, 95), unit, p95),
        Row(f"{name} max", max(values, default=float("nan")), unit),
    ]


def slope_per_minute(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Least-squares slope of `values` over time, per minute."""
    mean_t, mean_v = statistics.fmean(seconds), statistics.fmean(values)
    over = sum((t - mean_t) * (v - mean_v) for t, v in zip(seconds, values, strict=True))
    under = sum((t - mean_t) ** 2 for t in seconds)
    return 60 * over / under
